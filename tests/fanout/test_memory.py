"""The memory of a publisher, alone in its process, while something settles its chunks."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FEW = 20_000
MANY = 1_000_000 if os.environ.get("CI") else 200_000
MIB = 1024  # KiB
#: Tells the resident memory after few devices, and after all.
CODE = """
from celery import Celery
from pushtasks import fanout

def devices():
    for number in range({many} + 1):
        if number in ({few}, {many}):
            print(open("/proc/self/status").read(), flush=True)
        yield f"{{number:064x}}"

app = Celery("x", broker={broker!r})
app.conf.pushtasks = {{}}
done = fanout.start("apns", devices(), "Hi", celery_app=app)
print("published:", done.devices)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")
def test_a_publisher_needs_no_more_memory_for_more_devices(eager_workers, redis_server):
    code = CODE.format(few=FEW, many=MANY, broker=redis_server.url(0))

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603

    after_few, after_many = map(int, re.findall(r"^VmRSS:\s+(\d+) kB", done.stdout, re.MULTILINE))
    assert done.stdout.endswith(f"published: {MANY + 1}\n")
    assert after_many < after_few + 3 * MIB
    assert after_many < 100 * MIB
    assert eager_workers.most_waiting <= 100
