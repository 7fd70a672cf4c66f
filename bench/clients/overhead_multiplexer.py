"""Ours without its upper half: requests go to the multiplexer, answers are counted."""

from http import HTTPStatus

from common import Job, apns_id, measure, read_job
from pushtasks_apns import BULK, make_client

from pushtasks.apns import http2
from pushtasks.apns.auth import ProviderToken
from pushtasks.apns.notification import notification
from pushtasks.net.multiplexer import Multiplexer

#: Seconds for a request.
TIMEOUT = 10.0


class Requests:
    """Sends requests that share what the pushes of a bulk task share."""

    def __init__(self, job: Job, multiplexer: Multiplexer) -> None:
        token = ProviderToken(job.key_file.read_bytes(), job.key_id, job.team_id)
        alert = notification(job.apns_payload(), topic=job.topic)
        self._job = job
        self._multiplexer = multiplexer
        self._origin = make_client(job, multiplexer).origin
        self._payload = alert.payload
        self._shared = http2.headers(alert, token.authorization())

    def send(self, first: int, end: int) -> int:
        """Send pushes from the first to before the second number; return how many were accepted."""
        accepted = 0
        for begin in range(first, end, BULK):
            requests = [
                http2.request(
                    self._shared, self._job.device_token(number), self._payload, apns_id(number)
                )
                for number in range(begin, min(begin + BULK, end))
            ]
            answers = self._multiplexer.exchange(self._origin, requests, TIMEOUT)
            accepted += sum(answer.status == HTTPStatus.OK for answer in answers)
        return accepted


if __name__ == "__main__":
    job = read_job()
    multiplexer = Multiplexer()
    measure(job, Requests(job, multiplexer).send)
    multiplexer.close()
