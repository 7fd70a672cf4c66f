"""Makes clients in other languages ready to run, in a cache folder that git ignores.

A client's folder holds its source and a manifest that pins what it depends on; what that is, the
language's own package manager fetches. Sources are copied first, so nothing is ever written beside
them. What has been built once is used until its sources change.
"""

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

CLIENTS = Path(__file__).parent.parent / "clients"
CACHE = Path(__file__).parent.parent / ".cache"
#: Seconds that one step of a build gets.
TIME_LIMIT = 300.0


class Missing(Exception):
    """A client cannot run here; one line that says why."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A client that can run."""

    command: tuple[str, ...]
    version: str


def python(script: str, *packages: str, needs: str | None = None) -> Ready:
    """Prepare a client in Python: the packages are to be installed, and a program if need be.

    Raises:
        Missing: One is not.
    """
    if needs:
        tool(needs)
    try:
        versions = [f"{package} {importlib.metadata.version(package)}" for package in packages]
    except importlib.metadata.PackageNotFoundError as error:
        raise Missing(f"{error.name} is not installed: pip install --group bench") from None
    return Ready((sys.executable, str(CLIENTS / script)), ", ".join(versions))


def go(folder: str) -> Ready:
    """Build a client in Go; its modules are those of `go.mod`.

    Raises:
        Missing: There is no Go, or it cannot build.
    """
    compiler = tool("go")
    built = _build(folder, [[compiler, "build", "-o", "client", "."]])
    packages = re.findall(
        r"^\t(\S+) v(\S+)$", (CLIENTS / folder / "go.mod").read_text(), re.MULTILINE
    )
    names = ", ".join(f"{path.rpartition('/')[2]} {version}" for path, version in packages)
    return Ready((str(built / "client"),), f"{names}, {_first_line(compiler, 'version')}")


def node(folder: str) -> Ready:
    """Install what a client for Node.js depends on, by its `package.json`.

    Raises:
        Missing: There is no Node.js or npm, or it cannot install.
    """
    engine = tool("node")
    built = _build(folder, [[tool("npm"), "install", "--no-audit", "--no-fund", "--silent"]])
    manifest = (CLIENTS / folder / "package.json").read_text()
    packages = re.findall(r'"@[^/]*/([^"]+)": "(\d[^"]*)"', manifest)
    names = ", ".join(f"{name} {version}" for name, version in packages)
    return Ready(
        (engine, str(built / "main.js")), f"{names}, node {_first_line(engine, '--version')}"
    )


def java(folder: str) -> Ready:
    """Compile a client in Java; Maven fetches what its `pom.xml` names.

    Raises:
        Missing: There is no JDK or Maven, or it cannot compile.
    """
    engine, compiler = tool("java"), tool("javac")
    fetch = [tool("mvn"), "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    built = _build(folder, [fetch, [compiler, "-cp", "lib/*", "-d", "classes", "Main.java"]])
    manifest = (CLIENTS / folder / "pom.xml").read_text()
    packages = re.findall(r"<artifactId>(.*)</artifactId>\s*<version>([\d.]+)\.", manifest)
    names = ", ".join(f"{name} {version}" for name, version in packages if name != "slf4j-nop")
    classes = f"{built / 'classes'}:{built / 'lib'}/*"
    return Ready((engine, "-cp", classes, "Main"), f"{names}, {_first_line(engine, '--version')}")


def never(reason: str) -> Callable[[], Ready]:
    """Stand for a client that cannot be measured at all."""

    def refuse() -> Ready:
        raise Missing(reason)

    return refuse


def tool(name: str) -> str:
    """Return the path of a program, looked for beside this Python first.

    Raises:
        Missing: It is not installed.
    """
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        raise Missing(f"{name} is not installed")
    return found


def _build(folder: str, steps: Sequence[Sequence[str]]) -> Path:
    """Copy a client's sources into the cache and build them there, unless that has been done."""
    sources = sorted((CLIENTS / folder).iterdir())
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    built = CACHE / folder
    stamp = built / "built"
    if stamp.exists() and stamp.read_text() == digest:
        return built
    shutil.rmtree(built, ignore_errors=True)
    shutil.copytree(CLIENTS / folder, built)
    for step in steps:
        _run(step, built)
    stamp.write_text(digest)
    return built


def _run(step: Sequence[str], folder: Path) -> None:
    name = f"{Path(step[0]).name} {step[1]}"
    try:
        subprocess.run(
            step, cwd=folder, check=True, capture_output=True, text=True, timeout=TIME_LIMIT
        )
    except subprocess.TimeoutExpired:
        raise Missing(f"{name} was not done in {TIME_LIMIT:.0f} s") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines() or [""]
        raise Missing(f"{name} failed: {said[-1][:200]}") from None


def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout.strip().splitlines() or ["?"])[0]
