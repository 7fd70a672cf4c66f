"""The container files, as far as they can be checked where there is no container engine."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from celery.bin.beat import beat
from celery.bin.worker import worker

from pushtasks.celery_loader import QUEUES, completed
from pushtasks.config.sources import CELERY_VARIABLES, FILE_VARIABLE

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()

#: Of the Compose specification, those that are in use here.
SERVICE_KEYS = {
    *("build", "command", "depends_on", "environment", "healthcheck", "image", "ports"),
    *("profiles", "restart", "stop_grace_period", "volumes"),
}
OURS = ["worker", "beat", "flower", "emulator"]


def test_the_services_are_those_of_a_whole_installation():
    assert list(SERVICES) == ["redis", *OURS]
    assert [name for name in SERVICES if "profiles" in SERVICES[name]] == ["emulator"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_known_keys_only(name):
    assert set(SERVICES[name]) <= SERVICE_KEYS


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_names_services_and_volumes_that_exist(name):
    service = SERVICES[name]

    assert set(service.get("depends_on", {})) <= set(SERVICES)
    volumes = [volume.partition(":")[0] for volume in service.get("volumes", [])]
    assert {volume for volume in volumes if "/" not in volume} <= set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_told_what_the_program_reads(name):
    environment = SERVICES[name]["environment"]

    assert set(environment) <= {FILE_VARIABLE, *CELERY_VARIABLES}
    broker = environment["PUSHTASKS_BROKER_URL"]
    assert broker == "redis://redis:6379/0"
    assert completed({"broker_url": broker}, {}, [])["result_backend"] == "redis://redis:6379/1"


@pytest.mark.parametrize("program", [worker, beat])
def test_a_celery_command_has_options_that_celery_knows(program):
    command = shlex.split(SERVICES[program.name]["command"])

    assert command[:4] == ["celery", "-A", "pushtasks", program.name]
    context = program.make_context(program.name, command[4:], resilient_parsing=True)
    assert context.args == []


def test_workers_serve_every_queue():
    command = shlex.split(SERVICES["worker"]["command"])

    assert not {"-Q", "--queues"} & set(command)
    assert QUEUES == ("push", "push.bulk", "push.feedback")


def test_the_emulator_listens_under_the_name_that_others_know_it_by():
    command = shlex.split(SERVICES["emulator"]["command"])

    assert command[command.index("--host") + 1] == "emulator"
    directory = command[command.index("--dir") + 1]
    for name in ("worker", "emulator"):
        assert f"emulator:{directory}" in SERVICES[name]["volumes"]
    assert directory in DOCKERFILE


def test_nothing_is_published_beyond_this_machine():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_image_asks_for_extras_that_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = re.search(r"^ARG EXTRAS=(.*)$", DOCKERFILE, re.MULTILINE)[1].split(",")

    assert set(extras) == {"embedded", "flower"}
    assert set(extras) <= set(project["optional-dependencies"])


def test_the_image_does_not_run_as_root():
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]

    assert re.search(r"^USER (?!root|0)\w+$", last_stage, re.MULTILINE)
    assert last_stage.index("\nUSER ") < last_stage.index("\nCMD ")


def test_the_image_is_built_from_all_that_the_wheel_needs():
    allowed = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert {project["name"], project["readme"], *project["license-files"]} <= allowed
    assert "pyproject.toml" in allowed
    assert all((ROOT / name).exists() for name in allowed)
