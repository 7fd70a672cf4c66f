"""The yardstick: the plainest loop around libcurl's multi interface, and nothing else."""

import select
import time
from collections.abc import Iterator

import pycurl
from common import IN_FLIGHT, PAYLOAD, TOPIC, Task, apns_id, device_token, read_task, report

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
    """Keeps requests in flight over one connection; easy handles are used again and again."""

    def __init__(self, task: Task) -> None:
        authorization = ProviderToken(
            task.key_file.read_bytes(), task.key_id, task.team_id
        ).authorization()
        self._url = f"{task.url}/3/device/"
        self._ca_file = str(task.ca_file)
        self._body = encode_payload(PAYLOAD, 4096)
        self._headers = [
            "content-type: application/json",
            f"authorization: {authorization}",
            f"apns-topic: {TOPIC}",
            "apns-push-type: alert",
        ]
        self._free: list[pycurl.Curl] = []
        self._poll = select.epoll()
        self._registered: set[int] = set()
        self._due = float("inf")
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_PIPELINING, 2)
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, 1)
        self._multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, 1000)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)

    def send(self, first: int, end: int) -> int:
        """Send these pushes; return how many were accepted."""
        numbers = iter(range(first, end))
        accepted = done = 0
        self._start(numbers, IN_FLIGHT)
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
            curl.setopt(pycurl.URL, self._url + device_token(number))
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
    task = read_task()
    report(task.pushes, Loop(task).send)
