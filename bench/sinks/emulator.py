"""The emulator as a sink: it checks what Apple and Google check, and takes its time for it.

It is itself in Python, so it is busy long before the quicker clients are: their CPU per push can be
read, their rates cannot.
"""

import json
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from suite.contract import Sink

from sinks import Behaviour, SinkError


@contextmanager
def sinks(directory: Path, behaviours: Iterable[Behaviour]) -> Iterator[Mapping[Behaviour, Sink]]:
    """Run an emulator for each behaviour, in a process of its own.

    Raises:
        SinkError: It does not start.
    """
    with ExitStack() as stack:
        yield {
            behaviour: stack.enter_context(_emulator(directory / str(number), behaviour))
            for number, behaviour in enumerate(behaviours)
        }


@contextmanager
def _emulator(directory: Path, behaviour: Behaviour) -> Iterator[Sink]:
    command = [str(Path(sys.executable).with_name("pushtasks")), "emulator", "--json", "--dir"]
    with subprocess.Popen([*command, str(directory)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise SinkError("the emulator did not start: see what it says above")
            endpoints = json.loads(line)
            _behave(endpoints["control"], behaviour)
            yield _sink(directory, endpoints)
        finally:
            process.terminate()


def _behave(control: str, behaviour: Behaviour) -> None:
    faults = {name: value for name, value in asdict(behaviour).items() if value}
    if faults:
        body = json.dumps(faults).encode()
        urllib.request.urlopen(urllib.request.Request(f"{control}/faults", body)).close()


def _sink(directory: Path, endpoints: Mapping[str, str]) -> Sink:
    settings = tomllib.loads((directory / "pushtasks.toml").read_text())
    apns, gcm = settings["apns"]["default"], settings["gcm"]["default"]
    return Sink(
        url=endpoints["apns"],
        fcm_url=endpoints["fcm"],
        ca_file=directory / apns["ca_file"],
        key_file=directory / apns["key"],
        key_id=apns["key_id"],
        team_id=apns["team_id"],
        service_account=directory / gcm["credentials"],
    )
