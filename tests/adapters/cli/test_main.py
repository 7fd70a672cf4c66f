import subprocess
import sys
from importlib.metadata import version

import click
import pytest

from pushtasks.adapters.cli import COMMANDS, main


def commands(command, path=()):
    """Return all commands by the words that call them."""
    found = {path: command}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found |= commands(command.get_command(context, name), (*path, name))
    return found


ALL = commands(main)


def test_help_lists_every_command(pushtasks):
    ran = pushtasks("--help")

    assert ran.status == 0
    assert all(name in ran.out for name in COMMANDS)


@pytest.mark.parametrize("path", [path for path in ALL if path], ids=" ".join)
def test_the_help_of_every_command_has_an_example(path):
    context = click.Context(ALL[path], info_name="pushtasks " + " ".join(path))

    assert f"Example:\n    pushtasks {path[0]}" in ALL[path].get_help(context)


def test_help_loads_neither_celery_nor_libcurl():
    program = (
        "import sys; from pushtasks.adapters.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print([name for name in ('celery', 'pycurl', 'rich', 'pydantic') if name in sys.modules])"
    )

    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "[]"


def test_version_is_that_of_the_package(pushtasks):
    assert pushtasks("--version").out == f"pushtasks {version('pushtasks')}\n"


def test_an_unknown_command_is_wrong_use(pushtasks):
    ran = pushtasks("sned")

    assert (ran.status, "No such command 'sned'" in ran.error) == (2, True)


@pytest.mark.parametrize("command", ["demo", "up", "emulator --dir x"])
def test_a_missing_extra_is_named(command, tmp_path):
    program = (
        "import sys; sys.modules['trustme'] = None; from pushtasks.adapters.cli import main; main()"
    )

    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program, *command.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith("Error: trustme missing: ")
    assert done.stderr.endswith("pip install 'pushtasks[embedded]'\n")
