"""The README's first example, run as it stands."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.acceptance
def test_the_first_example_prints_the_result_that_the_readme_shows(
    start_worker, environ, emulator, tmp_path
):
    example, shown = PYTHON.findall(README.read_text(encoding="utf-8"))[:2]
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
