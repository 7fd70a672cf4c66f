"""h2load, which comes with nghttp2, in C: the limit, for it sends the same push again and again."""

import json
import re
import resource
import subprocess
import sys
import tempfile

from common import Job, apns_id, read_job, tell

from pushtasks.apns.auth import ProviderToken


def command(job: Job, body: str) -> list[str]:
    token = ProviderToken(job.key_file.read_bytes(), job.key_id, job.team_id)
    headers = (
        "content-type: application/json",
        f"authorization: {token.authorization()}",
        f"apns-topic: {job.topic}",
        "apns-push-type: alert",
        f"apns-id: {apns_id(1)}",
    )
    return [
        "h2load",
        f"--requests={job.pushes}",
        f"--clients={job.connections}",
        f"--max-concurrent-streams={job.in_flight // job.connections}",
        f"--data={body}",
        *(f"--header={header}" for header in headers),
        f"{job.url}/3/device/{1:064x}",
    ]


def seconds(text: str) -> float:
    """Return what a time of h2load's is in seconds, such as `135.62ms`."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[unit]


if __name__ == "__main__":
    job = read_job()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as body:
        body.write(json.dumps(job.apns_payload(), separators=(",", ":")))
        body.flush()
        done = subprocess.run(command(job, body.name), capture_output=True, text=True, check=False)
    finished = re.search(r"finished in (\S+),", done.stdout)
    accepted = re.search(r"status codes: (\d+) 2xx", done.stdout)
    if not finished or not accepted:
        sys.exit(done.stdout + done.stderr)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    tell(job, int(accepted[1]), seconds(finished[1]), usage.ru_utime + usage.ru_stime)
