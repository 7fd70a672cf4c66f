"""Imports go one way, and what is pure stays pure: read from the sources, nothing is imported."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "pushtasks"

#: What may import what: downwards only, or within one name. Names in one row are strangers. What
#: is in a room and not named itself is where the room is.
#: "" is pushtasks/__init__.py, the public names.
LAYERS = (
    ("adapters", "testing"),
    ("emulator",),
    ("",),
    ("celery",),
    ("celery_loader",),
    ("celery_defaults",),
    ("schedule",),
    ("fanout",),
    ("tasks",),
    (*("sending.attempts", "chunks"), *("feedback.poll_task", "feedback.handover_task"), "edges"),
    ("sending.task_base",),
    ("sending.addressing", "sending.identified", "sending.observed"),
    ("sending.arguments", "sending.delivery"),
    ("sending.pacing",),
    ("sending.gathering", "sending.progress"),
    ("sending",),
    ("feedback.polling",),
    ("feedback.leases",),
    ("clients",),
    ("feedback.ledger",),
    ("feedback",),
    ("feedback.late", "feedback.handover"),
    ("feedback.telling",),
    ("feedback.consumers",),
    ("apns", "fcm"),
    ("net",),
    ("store", "signals"),
    ("host",),
    ("config",),
    ("retries",),
    ("feedback.breaker",),
    ("news", "observers"),
    ("results",),
    ("garbage", "keyfiles", "redis_urls"),
    ("errors", "masking"),
    ("wire",),
)
DEPTHS = {name: depth for depth, names in enumerate(LAYERS) for name in names}

#: No input, no output, no clock, no lock; neither do the modules of ours that they import.
PURE = (
    "adapters.http.page.attention",
    "adapters.http.page.figures",
    "adapters.http.page.model",
    "adapters.http.page.plot",
    "adapters.http.page.rows",
    "adapters.http.page.seals",
    "adapters.http.page.snapshot",
    "adapters.prometheus.reasons",
    "adapters.relay.dead_letters",
    "adapters.relay.entries",
    "adapters.relay.gapless",
    "apns.binary",
    "apns.feedback",
    "apns.frames",
    "apns.http2",
    "apns.live_activity",
    "apns.notification",
    "apns.payload",
    "config.rules",
    "config.tables",
    "errors",
    "fanout.chunks",
    "fanout.devices",
    "fanout.records",
    "fcm.checks",
    "fcm.fields",
    "fcm.legacy",
    "fcm.legacy_fields",
    "fcm.legacy_message",
    "fcm.legacy_text",
    "fcm.message",
    "fcm.v1",
    "feedback.breaker",
    "feedback.ledger",
    "masking",
    "net.http",
    "news",
    "redis_urls",
    "results",
    "retries",
    "store.dead",
    "testing.answers",
    "testing.settings",
    "wire",
)
IMPURE = {
    *("asyncio", "gevent", "logging", "select", "selectors", "socket", "ssl", "subprocess"),
    *("threading", "time"),
    *("celery", "google", "httpx", "kombu", "pycurl", "redis", "requests", "urllib3"),
}


def modules():
    """Return the path of each module by its name within the package."""
    return {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source, package):
    """Return the full names that a module imports, wherever in it.

    Args:
        source: Its text.
        package: Full name of the package that it is in, for relative imports.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def imports_of(path):
    return imported(path.read_text(encoding="utf-8"), ".".join(package_of(path)))


def package_of(path):
    return (PACKAGE.name, *path.relative_to(PACKAGE).parent.parts)


def own(name, known):
    """Return the module of ours that an imported name is or is in, None for what is not ours."""
    if name.partition(".")[0] != PACKAGE.name:
        return None
    parts = name.split(".")[1:]
    while parts and ".".join(parts) not in known:
        parts.pop()
    return ".".join(parts)


def layer_of(module):
    layer = module if module in DEPTHS else module.partition(".")[0]
    assert layer in DEPTHS, (
        f"pushtasks/{layer} is in no layer: put it into LAYERS in {Path(__file__).name}, above all"
        " that it imports and below all that imports it"
    )
    return layer


def is_wrong(importer, target):
    """Tell whether a module of ours must not import another."""
    upper, lower = layer_of(importer), layer_of(target)
    if upper == "emulator":
        return lower not in {"emulator", "wire"}
    return upper != lower and DEPTHS[upper] >= DEPTHS[lower]


MODULES = modules()


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_the_layers(module):
    targets = {own(name, MODULES) for name in imports_of(MODULES[module])} - {None}

    wrong = sorted(target for target in targets if is_wrong(module, target))

    assert not wrong, f"pushtasks.{module} must not import {wrong}: see LAYERS"


@pytest.mark.parametrize("module", [name for name in PURE if name in MODULES])
def test_pure_modules_stay_pure(module):
    reached, waiting = set(), {name for name in MODULES if f"{name}.".startswith(f"{module}.")}
    while waiting:
        current = waiting.pop()
        reached.add(current)
        names = set(imports_of(MODULES[current]))
        impure = sorted(name for name in names if name.partition(".")[0] in IMPURE)
        assert not impure, f"pushtasks.{module} is pure but imports {impure} (in {current})"
        waiting |= {own(name, MODULES) for name in names} - {None} - reached


@pytest.mark.parametrize(
    ("importer", "target"),
    [
        ("apns.client", "fcm.client"),
        ("fcm.v1", "apns.payload"),
        ("net.multiplexer", "apns.http2"),
        ("emulator.server", "errors"),
        ("emulator.server", "apns.http2"),
        ("tasks", "celery"),
        ("tasks", ""),
        ("celery", "adapters.cli"),
        ("clients", "emulator"),
        ("wire", "errors"),
    ],
)
def test_an_import_that_points_back_would_be_found(importer, target):
    assert is_wrong(importer, target)


def test_a_module_in_no_layer_would_be_found():
    with pytest.raises(AssertionError, match="pushtasks/elsewhere is in no layer"):
        is_wrong("elsewhere.x", "errors")


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a.b, c", ["a.b", "c"]),
        ("from pushtasks.net import http", ["pushtasks.net.http"]),
        ("from . import payload", ["pushtasks.apns.payload"]),
        ("from ..net.http import Request", ["pushtasks.net.http.Request"]),
        ("def f():\n    import late", ["late"]),
    ],
)
def test_imports_are_read_in_every_form(source, names):
    assert list(imported(source, "pushtasks.apns")) == names
