"""The yardstick: the plainest loop around libcurl's multi interface, and nothing else."""

import select
import time
from collections.abc import Iterator

import pycurl
from common import Job, apns_id, measure, read_job

from pushtasks.apns.auth import ProviderToken
from pushtasks.apns.payload import encode_payload

READY = select.EPOLLIN | select.EPOLLOUT
ACTIONS = {
    0: 0,
    select.EPOLLIN: pycurl.CSELECT_IN,
    select.EPOLLOUT: pycurl.CSELECT_OUT,
    READY: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}


class Loop:
    """Keeps requests in flight over few connections; easy handles are used again and again."""

    def __init__(self, job: Job) -> None:
        authorization = ProviderToken(
            job.key_file.read_bytes(), job.key_id, job.team_id
        ).authorization()
        self._job = job
        self._url = f"{job.url}/3/device/"
        self._ca_file = str(job.ca_file)
        self._body = encode_payload(job.apns_payload(), 4096)
        self._headers = [
            "content-type: application/json",
            f"authorization: {authorization}",
            f"apns-topic: {job.topic}",
            "apns-push-type: alert",
        ]
        self._free: list[pycurl.Curl] = []
        self._poll = select.epoll()
        self._registered: set[int] = set()
        self._due = float("inf")
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_PIPELINING, 2)
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, job.connections)
        # libcurl opens a further connection only when those that it has are full.
        self._multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, job.in_flight // job.connections)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)

    def send(self, first: int, end: int) -> int:
        """Send these pushes; return how many were accepted."""
        numbers = iter(range(first, end))
        accepted = done = 0
        self._start(numbers, self._job.in_flight)
        while done < end - first:
            for descriptor, events in self._poll.poll(max(0.0, min(1.0, self._wait()))):
                self._multi.socket_action(descriptor, ACTIONS[events & READY])
            if self._wait() <= 0:
                self._due = float("inf")
                self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
            answered, failed = self._finish()
            done += len(answered) + failed
            accepted += answered.count(200)
            self._start(numbers, len(answered) + failed)
        return accepted

    def _start(self, numbers: Iterator[int], room: int) -> None:
        for _, number in zip(range(room), numbers, strict=False):
            curl = self._free.pop() if self._free else self._new_handle()
            curl.setopt(pycurl.URL, self._url + self._job.device_token(number))
            curl.setopt(pycurl.POSTFIELDS, self._body)
            curl.setopt(pycurl.HTTPHEADER, [*self._headers, f"apns-id: {apns_id(number)}"])
            self._multi.add_handle(curl)

    def _finish(self) -> tuple[list[int], int]:
        statuses: list[int] = []
        failures = 0
        left = 1
        while left:
            left, answered, failed = self._multi.info_read()
            for curl in answered:
                statuses.append(curl.getinfo(pycurl.RESPONSE_CODE))
                self._multi.remove_handle(curl)
                self._free.append(curl)
            for curl, _, _ in failed:
                failures += 1
                self._multi.remove_handle(curl)
        return statuses, failures

    def _new_handle(self) -> pycurl.Curl:
        curl = pycurl.Curl()
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        curl.setopt(pycurl.CAINFO, self._ca_file)
        curl.setopt(pycurl.PIPEWAIT, 1)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.TIMEOUT_MS, 10_000)
        curl.setopt(pycurl.WRITEFUNCTION, lambda _: None)
        return curl

    def _wait(self) -> float:
        return self._due - time.monotonic()

    def _on_timer(self, milliseconds: int) -> None:
        self._due = time.monotonic() + milliseconds / 1000 if milliseconds >= 0 else float("inf")

    def _on_socket(self, event: int, descriptor: int, _multi: object, _data: object) -> None:
        if event == pycurl.POLL_REMOVE:
            if descriptor in self._registered:
                self._poll.unregister(descriptor)
                self._registered.discard(descriptor)
            return
        wanted = select.EPOLLIN if event & pycurl.POLL_IN else 0
        wanted |= select.EPOLLOUT if event & pycurl.POLL_OUT else 0
        change = self._poll.modify if descriptor in self._registered else self._poll.register
        change(descriptor, wanted)
        self._registered.add(descriptor)


if __name__ == "__main__":
    job = read_job()
    measure(job, Loop(job).send)
