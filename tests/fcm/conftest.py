"""A real OAuth token server over TLS, whose answers a test decides."""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import jwt
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KEY_ID = "key-1"
EMAIL = "sender@my-project.iam.gserviceaccount.com"


class TokenServer(ThreadingHTTPServer):
    """Gives `token-1`, `token-2`, … for assertions that bear the service account's signature."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, certificate, public_key):
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )
        self.url = f"https://127.0.0.1:{self.server_port}/token"
        self.public_key = public_key
        self.claims = []
        self.fetches = 0
        self.expires_in = 3600
        #: (status, body) to answer with in place of a token.
        self.answer = None
        #: Set whenever a request arrives.
        self.arrived = threading.Event()
        #: No request is answered before this is set.
        self.gate = threading.Event()
        self.gate.set()

    def verified(self, assertion):
        """Check the assertion as Google does and return its claims."""
        assert jwt.get_unverified_header(assertion)["kid"] == KEY_ID
        return jwt.decode(
            assertion,
            self.public_key,
            algorithms=["RS256"],
            issuer=EMAIL,
            audience="https://oauth2.googleapis.com/token",
            options={"require": ["iss", "aud", "iat", "exp", "scope"]},
        )

    def answer_to(self, form):
        self.fetches += 1
        number = self.fetches
        self.arrived.set()
        self.gate.wait(30)
        if self.answer is not None:
            return self.answer
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        self.claims.append(self.verified(form["assertion"][0]))
        token = {"access_token": f"token-{number}", "expires_in": self.expires_in}
        return 200, json.dumps(token | {"token_type": "Bearer"}).encode()

    def handle_error(self, request, client_address):
        """Say nothing of clients that leave, which some tests make them do."""


class Handler(BaseHTTPRequestHandler):
    timeout = 30

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        status, body = self.server.answer_to(form)
        self.send_response(status)
        self.end_headers()
        for part in [body] if isinstance(body, bytes) else body:
            self.wfile.write(part)

    def log_message(self, *args):
        """Leave the test's output alone."""


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture(scope="session")
def private_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def certificate(authority):
    return authority.issue_cert("127.0.0.1")


@pytest.fixture
def token_server(certificate, private_key):
    with TokenServer(certificate, private_key.public_key()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.gate.set()
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def private_pem(private_key):
    return private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture
def service_account(token_server, private_pem):
    return {
        "type": "service_account",
        "project_id": "my-project",
        "private_key_id": KEY_ID,
        "private_key": private_pem,
        "client_email": EMAIL,
        "token_uri": token_server.url,
    }
