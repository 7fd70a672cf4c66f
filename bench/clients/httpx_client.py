"""httpx with HTTP/2, for those who write the few lines themselves."""

import asyncio
import ssl
from collections.abc import Iterator

import httpx
from common import Job, apns_id, measure, read_job

from pushtasks.apns.auth import ProviderToken


def make_client(job: Job) -> httpx.AsyncClient:
    token = ProviderToken(job.key_file.read_bytes(), job.key_id, job.team_id)
    return httpx.AsyncClient(
        base_url=job.url,
        http1=False,
        http2=True,
        verify=ssl.create_default_context(cafile=job.ca_file),
        limits=httpx.Limits(max_connections=job.connections),
        headers={
            "authorization": token.authorization(),
            "apns-topic": job.topic,
            "apns-push-type": "alert",
        },
    )


async def work(job: Job, client: httpx.AsyncClient, numbers: Iterator[int]) -> int:
    accepted = 0
    for number in numbers:
        response = await client.post(
            f"/3/device/{job.device_token(number)}",
            json=job.apns_payload(),
            headers={"apns-id": apns_id(number)},
        )
        accepted += response.is_success
    return accepted


async def send(job: Job, client: httpx.AsyncClient, first: int, end: int) -> int:
    numbers = iter(range(first, end))
    return sum(await asyncio.gather(*(work(job, client, numbers) for _ in range(job.in_flight))))


if __name__ == "__main__":
    job = read_job()
    with asyncio.Runner() as runner:
        client = make_client(job)
        measure(job, lambda first, end: runner.run(send(job, client, first, end)))
        runner.run(client.aclose())
