"""The README's examples, run as they stand."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
TESTING = README.parent / "docs" / "testing.md"
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = re.compile(r"^```text\n(\{'version'.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.acceptance
def test_the_first_example_prints_the_result_that_the_readme_shows(
    start_worker, environ, emulator, tmp_path
):
    text = README.read_text(encoding="utf-8")
    example, shown = PYTHON.findall(text)[0], SHOWN.findall(text)[0]
    start_worker("-P", "threads", "-c", "2")

    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-c", example],
        env=environ,
        cwd=tmp_path,
        text=True,
        capture_output=True,
        timeout=30,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    printed, promised = ast.literal_eval(ran.stdout), ast.literal_eval(shown)
    [received] = emulator.received()
    assert printed == {**promised, "message_id": received["headers"]["apns-id"]}
    assert received["token"] == promised["token"]
    assert received["payload"] == {"aps": {"alert": "Your order is on its way"}}


@pytest.mark.acceptance
@pytest.mark.parametrize("page", [README, TESTING], ids=["README", "testing"])
def test_the_tests_that_are_shown_work_in_pytest_with_the_fixture_that_is(page, tmp_path):
    [fixture] = [e for e in PYTHON.findall(TESTING.read_text()) if "@pytest.fixture" in e]
    [test] = [e for e in PYTHON.findall(page.read_text()) if e.startswith("def test_")]
    (tmp_path / "conftest.py").write_text(fixture, encoding="utf-8")
    importing = "from pushtasks import send_apns\n\n\n"
    (tmp_path / "test_example.py").write_text(importing + test, encoding="utf-8")

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        env={name: text for name, text in os.environ.items() if not name.startswith("PUSHTASKS_")},
        cwd=tmp_path,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout
    assert " passed" in ran.stdout
