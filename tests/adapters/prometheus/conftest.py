"""What Prometheus itself thinks of metrics."""

import os
import shutil
import subprocess

import pytest


@pytest.fixture
def check_metrics():
    """(text) → fails if Prometheus' own tool finds anything to object to."""
    promtool = shutil.which("promtool")
    if promtool is None:
        assert "CI" not in os.environ, "promtool is missing: apt-get install prometheus"
        pytest.skip("promtool is missing: it comes with Prometheus")

    def check(text):
        done = subprocess.run(  # noqa: S603
            [promtool, "check", "metrics"],
            input=text,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, "")

    return check
