"""The container files, as far as they can be checked where there is no container engine."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from celery.bin.beat import beat
from celery.bin.worker import worker
from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema import Draft202012Validator

from pushtasks.adapters.alive import FILE_VARIABLE as FILE_OF_LIFE
from pushtasks.adapters.http.settings import KEYS
from pushtasks.celery_loader import QUEUES, completed
from pushtasks.config.sources import CELERY_VARIABLES, FILE_VARIABLE

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()

OURS = ["worker", "beat", "flower", "serve", "emulator"]
#: Those that a start without a profile starts, in the order in which they are written.
WHOLE = ["redis", *OURS[:-1]]


def test_the_file_is_one_of_compose():
    schema = get_builtin_schema("vendor.compose-spec")

    errors = [error.message for error in Draft202012Validator(schema).iter_errors(COMPOSE)]

    assert errors == []
    wrong = {**COMPOSE, "services": {"x": {"imagine": "pushtasks"}}}
    assert not Draft202012Validator(schema).is_valid(wrong)


def test_the_services_are_those_of_a_whole_installation():
    assert list(SERVICES) == ["redis", *OURS]
    assert [name for name in SERVICES if "profiles" not in SERVICES[name]] == WHOLE


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_names_services_and_volumes_that_exist(name):
    service = SERVICES[name]

    assert set(service.get("depends_on", {})) <= set(SERVICES)
    volumes = [volume.partition(":")[0] for volume in service.get("volumes", [])]
    assert {volume for volume in volumes if "/" not in volume} <= set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_healthcheck_and_starts_again(name):
    service = SERVICES[name]

    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", OURS)
def test_our_services_wait_for_what_they_need_and_have_no_rights_that_they_need_not(name):
    service = SERVICES[name]

    needed = {"redis", "emulator"} - ({"redis", name} if name == "emulator" else set())
    assert set(service["depends_on"]) == needed
    conditions = {one["condition"] for one in service["depends_on"].values()}
    assert conditions <= {"service_healthy"}
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_told_what_the_program_reads(name):
    environment = SERVICES[name]["environment"]

    known = {FILE_VARIABLE, *CELERY_VARIABLES, "PUSHTASKS_METRICS__LISTEN", KEYS}
    assert set(environment) <= known
    broker = environment["PUSHTASKS_BROKER_URL"]
    assert broker == "redis://redis:6379/0"
    assert completed({"broker_url": broker}, {}, [])["result_backend"] == "redis://redis:6379/1"


def test_the_worker_is_healthy_in_the_image_as_in_compose():
    [command] = re.findall(r"^HEALTHCHECK .*\n    CMD (.+)$", DOCKERFILE, re.MULTILINE)

    assert SERVICES["worker"]["healthcheck"]["test"] == ["CMD-SHELL", command]
    [alive] = re.findall(rf"{FILE_OF_LIFE}=(\S+)", DOCKERFILE)
    assert alive in command


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

    assert set(extras) == {"embedded", "flower", "serve"}
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
