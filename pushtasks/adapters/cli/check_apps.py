"""Looks at the apps in the settings: keys, certificates, service accounts, and their servers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final

import pycurl
from celery import Celery
from cryptography import x509

from pushtasks.adapters.cli.findings import Finding, ok, warning, wrong
from pushtasks.apns.gateway import GatewayClient
from pushtasks.clients import apns_client, fcm_client
from pushtasks.config import ApnsApp, GcmApp
from pushtasks.errors import InvalidSettings, PushError
from pushtasks.fcm.client import FcmClient, service_account
from pushtasks.fcm.legacy_client import LegacyClient
from pushtasks.fcm.token_server import TokenServer
from pushtasks.net.http import Unanswered
from pushtasks.net.line import words
from pushtasks.net.origin import Origin
from pushtasks.net.transfer import Transfer

#: Before the end of a certificate.
WARN_BEFORE: Final = timedelta(days=30)
#: Seconds.
TIMEOUT: Final = 10.0
MILLISECONDS: Final = 1000


def check_apns(celery_app: Celery, app: ApnsApp, *, connects: bool) -> Iterator[Finding]:
    """Look at one app at Apple."""
    subject = f"apns.{app.name}"
    try:
        client = apns_client(celery_app, app.name)
    except InvalidSettings as error:
        yield wrong(f"{subject} {'certificate' if app.certificate else 'key'}", error)
        return
    if isinstance(client, GatewayClient):
        yield _certificate(f"{subject} certificate", client.certificate.certificate_pem)
        if connects:
            yield _gateway(f"{subject} gateway", client)
        return
    origin = client.origin
    if origin.certificate is None:
        yield ok(f"{subject} key", f"{app.key_id} of team {app.team_id}, EC P-256")
    else:
        yield _certificate(f"{subject} certificate", origin.certificate)
    if connects:
        yield _connection(f"{subject} server", origin)


def check_gcm(celery_app: Celery, app: GcmApp, *, connects: bool) -> Iterator[Finding]:
    """Look at one app at Google."""
    subject = f"gcm.{app.name}"
    try:
        client = fcm_client(celery_app, app.name)
    except InvalidSettings as error:
        yield wrong(f"{subject} {'api_key' if app.protocol == 'legacy' else 'credentials'}", error)
        return
    if isinstance(client, LegacyClient):
        if connects:
            yield _legacy_server(f"{subject} server", client)
        return
    account = service_account(app)
    project = app.project or account["project_id"]
    yield ok(f"{subject} credentials", f"{account['client_email']}, project {project}")
    if connects:
        yield _access_token(f"{subject} access token", app, client)
        yield _connection(f"{subject} server", client.origin)


def _certificate(subject: str, pem: bytes) -> Finding:
    certificate = x509.load_pem_x509_certificates(pem)[0]
    expires = certificate.not_valid_after_utc
    left = expires - datetime.now(UTC)
    name = certificate.subject.rfc4514_string()
    detail = f"{name}, expires on {expires:%Y-%m-%d}, in {left.days} days"
    if left >= WARN_BEFORE:
        return ok(subject, detail)
    return warning(
        subject, f"{detail}: make a new one in Apple's developer account, or change to a key"
    )


def _gateway(subject: str, client: GatewayClient) -> Finding:
    """Connect; whether the gateway takes our certificate, TLS 1.3 tells with the first push."""
    address = "{}:{}".format(*client.address)
    try:
        with client.connect() as connected:
            version = connected.version()
    except OSError as error:
        return wrong(
            subject,
            f"{address} cannot be reached ({words(error)}): check gateway and ca_file, and that a"
            " firewall lets it through",
        )
    return ok(subject, f"{address}: {version}, certificate verified")


def _access_token(subject: str, app: GcmApp, client: FcmClient) -> Finding:
    origin = client.origin
    try:
        server = TokenServer(
            service_account(app), ca_file=origin.ca_file, proxy=origin.proxy, timeout=app.timeout
        )
        lifetime = server.fetch().lifetime
    except PushError as error:
        return wrong(subject, f"{error}: is there a way to it from this machine?")
    return ok(subject, f"granted for {lifetime / 60:.0f} minutes")


def _legacy_server(subject: str, client: LegacyClient) -> Finding:
    """Post a message for nobody: enough to hear what the server thinks of the API key."""
    answer = client.probe()
    if isinstance(answer, Unanswered):
        return wrong(
            subject,
            f"{client.url} cannot be reached ({answer.reason}): check server, ca_file and proxy,"
            " and that a firewall lets it through",
        )
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return wrong(
            subject,
            f"{client.url} refuses the API key: check api_key, and that the server lets this"
            " machine's address in",
        )
    if answer.status in {HTTPStatus.OK, HTTPStatus.BAD_REQUEST}:  # as one for nobody deserves
        return ok(subject, f"{client.url}: answers, and does not refuse the API key")
    return wrong(subject, f"{client.url} answers HTTP {answer.status}: check server")


class _NoOne:
    def opened(self) -> None:
        """Nobody counts these connections."""


def _connection(subject: str, origin: Origin) -> Finding:
    """Ask for a page that no provider has: enough to see TLS and HTTP/2, and no push."""
    curl = Transfer(origin, _NoOne()).curl
    curl.setopt(pycurl.URL, origin.url)
    curl.setopt(pycurl.HTTPGET, 1)
    curl.setopt(pycurl.WRITEFUNCTION, len)  # what it says does not matter
    curl.setopt(pycurl.TIMEOUT_MS, int(TIMEOUT * MILLISECONDS))
    try:
        curl.perform()
    except pycurl.error:
        return wrong(
            subject,
            f"{origin.url} cannot be reached ({curl.errstr()}): check server, ca_file and"
            " proxy, and that a firewall lets it through",
        )
    else:
        return _connected(subject, origin, curl)
    finally:
        curl.close()


def _connected(subject: str, origin: Origin, curl: pycurl.Curl) -> Finding:
    connected = curl.getinfo(pycurl.APPCONNECT_TIME)
    answered = curl.getinfo(pycurl.STARTTRANSFER_TIME) - curl.getinfo(pycurl.PRETRANSFER_TIME)
    if curl.getinfo(pycurl.INFO_HTTP_VERSION) != pycurl.CURL_HTTP_VERSION_2_0:
        return wrong(
            subject, f"{origin.url} does not speak HTTP/2: check server, and what stands between"
        )
    return ok(
        subject,
        f"{origin.url}: TLS verified and HTTP/2 agreed on in {connected * MILLISECONDS:.0f} ms,"
        f" answers in {answered * MILLISECONDS:.0f} ms",
    )
