"""The benchmarks run, and what their clients send passes the checks of the emulator."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="pip install --group bench")

RUN = Path(__file__).parent.parent / "bench" / "run.py"


@pytest.fixture
def run_bench(tmp_path):
    """(arguments) → the finished process, and what it saved."""

    def run(*arguments):
        figures = tmp_path / "figures.json"
        files = ["--json", str(figures), "--plot", str(tmp_path / "figures.png")]
        command = [sys.executable, str(RUN), *arguments, *files]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)  # noqa: S603
        return done, json.loads(figures.read_text()) if figures.exists() else None

    return run


def test_clients_are_compared_and_the_machine_is_named(run_bench, tmp_path):
    done, figures = run_bench(
        *("--only", "client", "--clients", "bare pycurl,pushtasks,a2", "--sink", "emulator"),
        *("--rounds", "1", "--pushes", "1000"),
    )
    assert done.returncode == 0, done.stderr
    (result,) = figures["results"]
    contenders = {each["name"]: each for each in result["contenders"]}
    assert contenders["bare pycurl"]["cpu_ratio"] == 1
    assert contenders["pushtasks"]["rounds"][0]["ok"] == 1000
    assert contenders["a2"]["trouble"].startswith("skipped: ")
    assert {"processor", "cores", "kernel", "python", "libcurl"} <= figures["machine"].keys()
    assert [goal["goal"] for goal in figures["goals"]] == [
        "pushtasks: CPU per push ≤ 1.15 times that of bare pycurl"
    ]
    assert (tmp_path / "figures.png").read_bytes().startswith(b"\x89PNG")


def test_an_unknown_section_is_named(run_bench):
    done, figures = run_bench("--only", "client,cleint")
    assert (done.returncode, figures) == (2, None)
    assert "'cleint' is none of client, " in done.stderr
