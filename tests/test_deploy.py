"""The examples in deploy/: valid by the schemas of their readers, and true to the programs."""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from celery.bin.beat import beat
from celery.bin.worker import worker

from pushtasks.adapters.cli.serve import command as serve
from pushtasks.adapters.http import Options
from pushtasks.adapters.http.keys import ApiKeys
from pushtasks.config import load_settings

ROOT = Path(__file__).parent.parent
SYSTEMD = ROOT / "deploy" / "systemd"
KUBERNETES = ROOT / "deploy" / "kubernetes"
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
PROGRAMS = {"worker": worker, "beat": beat, "serve": serve}
#: The oldest that the schemas are there for, and a younger one.
VERSIONS = ["1.25", "1.33"]


def test_the_guide_names_every_file():
    guide = (ROOT / "deploy" / "README.md").read_text()

    for folder in (SYSTEMD, KUBERNETES):
        for file in folder.iterdir():
            assert f"`{file.name}`" in guide


def options_are_known(program, words):
    """Return whether a program takes these words, and leaves none."""
    context = program.make_context(program.name, words, resilient_parsing=True)
    return context.args == []


# Kubernetes -----------------------------------------------------------------------------------

KUSTOMIZATION = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
RESOURCES = [
    document
    for name in KUSTOMIZATION["resources"]
    for document in yaml.safe_load_all((KUBERNETES / name).read_text())
]


def of_kind(kind):
    return {one["metadata"]["name"]: one for one in RESOURCES if one["kind"] == kind}


DEPLOYMENTS = {name.removeprefix("pushtasks-"): it for name, it in of_kind("Deployment").items()}


def pod_of(name):
    return DEPLOYMENTS[name]["spec"]["template"]["spec"]


def container_of(name):
    [container] = pod_of(name)["containers"]
    return container


def test_kustomization_leaves_no_file_out():
    files = {file.name for file in KUBERNETES.iterdir()}

    assert files == {*KUSTOMIZATION["resources"], "kustomization.yaml"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("resource", RESOURCES, ids=lambda it: f"{it['kind']}-{it['metadata']}")
def test_resources_are_valid_by_kubernetes_own_schema(resource, version):
    kubernetes_validate.validate(resource, version, strict=True)


def test_the_schema_would_find_a_mistake():
    wrong = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "stringDate": {}}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("name", PROGRAMS)
def test_pods_run_what_compose_runs(name):
    container = container_of(name)

    assert container["command"] == shlex.split(SERVICES[name]["command"])
    assert container["image"] == "pushtasks" == KUSTOMIZATION["images"][0]["name"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_pods_have_probes_and_no_rights_that_they_need_not(name):
    container, pod = container_of(name), pod_of(name)

    assert "livenessProbe" in container
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    assert "limits" in container["resources"]


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_probes_look_where_composes_healthchecks_look(name):
    shell = container_of(name)["livenessProbe"]["exec"]["command"]

    assert shell == ["sh", "-c", SERVICES[name]["healthcheck"]["test"][1]]


def test_a_pod_that_serves_has_room_for_the_uploads_that_it_publishes():
    [tmp] = [volume for volume in pod_of("serve")["volumes"] if volume["name"] == "tmp"]

    limit = tmp["emptyDir"]["sizeLimit"]
    assert limit.endswith("Gi")
    assert int(limit.removesuffix("Gi")) * 1024**3 > Options().uploads * Options().upload_limit


def test_a_worker_has_longer_to_end_than_a_push_may_take():
    settings = load_settings({"gcm": {"a": {"credentials": "x"}}}, environ={})

    assert pod_of("worker")["terminationGracePeriodSeconds"] > 5 * settings.gcm["a"].timeout


def test_there_is_one_beat_at_a_time():
    spec = DEPLOYMENTS["beat"]["spec"]

    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_what_selects_pods_finds_some():
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in DEPLOYMENTS.values()]
    selectors = [
        of_kind("Service")["pushtasks-serve"]["spec"]["selector"],
        of_kind("PodDisruptionBudget")["pushtasks-worker"]["spec"]["selector"]["matchLabels"],
        *(one["spec"]["podSelector"]["matchLabels"] for one in of_kind("NetworkPolicy").values()),
    ]

    for selector in selectors:
        assert any(selector.items() <= one.items() for one in labels)


@pytest.mark.parametrize("name", PROGRAMS)
def test_pods_take_their_settings_from_secrets_that_exist(name):
    container, secrets = container_of(name), of_kind("Secret")

    named = {one["secretRef"]["name"] for one in container["envFrom"]}
    mounted = {one["secret"]["secretName"] for one in pod_of(name)["volumes"] if "secret" in one}
    assert named | mounted <= set(secrets)
    [file] = [it["value"] for it in container["env"] if it["name"] == "PUSHTASKS_CONFIG"]
    assert Path(file).name in secrets["pushtasks-config"]["stringData"]


def test_the_settings_in_the_example_are_valid_and_name_what_lies_beside_them(tmp_path):
    secrets = of_kind("Secret")
    files = secrets["pushtasks-config"]["stringData"]
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    environ = {**secrets["pushtasks-environment"]["stringData"]}
    environ["PUSHTASKS_CONFIG"] = str(tmp_path / "pushtasks.toml")
    settings = load_settings(None, environ=environ)

    written = tomllib.loads(files["pushtasks.toml"])
    assert written["apns"]["default"]["key"] in files
    assert written["gcm"]["default"]["credentials"] in files
    assert settings.configured
    assert ApiKeys.parse([secrets["pushtasks-serve"]["stringData"]["PUSHTASKS_SERVE_KEYS"]])


# systemd --------------------------------------------------------------------------------------


def unit(name):
    """Return the keys of a unit's [Service], each with the values it is given."""
    parser = configparser.RawConfigParser(strict=False, dict_type=dict, delimiters=("=",))
    parser.optionxform = str
    parser.read(SYSTEMD / name)
    return parser["Service"]


UNITS = {
    "worker": "pushtasks-worker@.service",
    **{n: f"pushtasks-{n}.service" for n in ("beat", "serve")},
}


@pytest.mark.parametrize("name", UNITS)
def test_units_start_programs_by_options_that_they_know(name):
    path, *words = unit(UNITS[name])["ExecStart"].split()

    program = "pushtasks" if name == "serve" else "celery"
    assert path == f"/opt/pushtasks/bin/{program}"
    before = [name] if name == "serve" else ["-A", "pushtasks", name]
    assert words[: len(before)] == before
    words = [word for word in words[len(before) :] if not word.startswith("$")]
    assert options_are_known(PROGRAMS[name], words)


def test_a_hanging_worker_is_started_anew_and_a_stopped_one_ends_its_tasks():
    service = unit(UNITS["worker"])

    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) >= 60
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) >= 60


@pytest.mark.parametrize("name", UNITS)
def test_units_are_alike_in_what_they_may_not_do(name):
    marker = "# Nothing of the system"
    hardening = [
        re.search(rf"{marker}.*?(?=\[Install\])", (SYSTEMD / file).read_text(), re.DOTALL)[0]
        for file in UNITS.values()
    ]

    assert len(set(hardening)) == 1
    assert unit(UNITS[name])["User"] == "pushtasks"


def test_systemd_understands_the_units(tmp_path):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("needs systemd-analyze, which comes with systemd")
    for file in SYSTEMD.iterdir():
        name = file.name.replace("@.", "@1.")
        here = file.read_text().replace("/opt/pushtasks/bin", str(Path(sys.executable).parent))
        (tmp_path / name).write_text(here)

    files = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run(  # noqa: S603
        [analyze, "verify", "--man=no", *files], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
