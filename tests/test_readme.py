"""The README and the pages beside it name all that there is, and nothing that there is not."""

import os
import re
import shlex
from pathlib import Path

import click
import pytest

from pushtasks import errors, retries
from pushtasks.adapters.cli import main
from pushtasks.config import ApnsApp, FeedbackSettings, GcmApp, load_settings
from pushtasks.config.apps import WrittenSettings
from pushtasks.config.sources import CELERY_VARIABLES, FILE_VARIABLE
from pushtasks.config.watching import LogSettings, MetricsSettings
from pushtasks.emulator import behaviour, faults, traffic
from pushtasks.results import APNS, Action, Outcome, Result
from pushtasks.sending.gathering import Listing, Summary
from pushtasks.wire import apns_binary, apns_http2, fcm, gcm

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "deploy" / "README.md", *sorted((ROOT / "docs").glob("*.md")))
README = PAGES[0].read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: A command line, in a block of code or between backticks.
COMMAND = re.compile(r"^    (?:\w+=\S+ )*(pushtasks .+)$|`(pushtasks [^`]+)`", re.MULTILINE)


def text_of(page):
    return page.read_text(encoding="utf-8")


def anchors(page):
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings}


def blocks(language, pages=PAGES[:1]):
    found = [block for page in pages for block in BLOCK.findall(text_of(page))]
    return [text for name, text in found if name == language]


def section(title):
    """Return what stands under a heading."""
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(text):
    """Return the cells of all rows of tables, by the first cell without its backticks."""
    cells = [
        re.split(r"\s*\|\s*", line.strip("| ")) for line in text.splitlines() if line[:1] == "|"
    ]
    return {first.strip("`"): rest for first, *rest in cells}


def command_lines():
    found = [line for page in PAGES for line in COMMAND.findall(text_of(page))]
    return sorted({whole or quoted for whole, quoted in found})


def leaves(command, path=()):
    """Yield the words of every command that is no group."""
    if not isinstance(command, click.Group):
        yield " ".join(path)
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        yield from leaves(command.get_command(context, name), (*path, name))


def described_settings(*models):
    """Return the settings that all of these have, without the app's name, which is its table's."""
    fields = set.intersection(*[set(model.model_fields) for model in models])
    return fields - {"name"}


@pytest.mark.parametrize(
    "model", [ApnsApp, GcmApp, FeedbackSettings, LogSettings, MetricsSettings, WrittenSettings]
)
def test_every_setting_has_a_row(model):
    assert described_settings(model) <= rows(section("Settings")).keys()


def test_defaults_in_the_tables_are_those_in_force():
    table = rows(section("Settings"))
    shared = described_settings(ApnsApp, GcmApp) - {"protocol", "server", "streams", "ramp"}

    binary = {"pool_size", "assume_sent", "confirm", "command", "idle_age"}
    for name in shared | binary | {"environment"}:
        default = ApnsApp.model_fields[name].default
        assert default is None or table[name][0].strip("`") == str(default), name
    for name, field in FeedbackSettings.model_fields.items():
        assert field.default is None or table[name][0].strip("`") == str(field.default), name


@pytest.mark.parametrize("model", [ApnsApp, GcmApp])
@pytest.mark.parametrize("name", ["streams", "ramp"])
def test_what_differs_between_the_providers_is_in_the_tables_as_in_force(model, name):
    assert f"| `{name}` | {model.model_fields[name].default} |" in section("Settings")


def test_every_variable_has_a_row():
    variables = {*CELERY_VARIABLES, FILE_VARIABLE, "PUSHTASKS_REDIS_URL"}

    assert variables <= rows(section("Settings")).keys()


def test_no_other_variable_is_named():
    for variable in set(re.findall(r"PUSHTASKS_[A-Z_]+", README)) - {"PUSHTASKS_", FILE_VARIABLE}:
        if variable not in CELERY_VARIABLES:
            load_settings(
                None, environ={variable: "redis://localhost"} if "__" not in variable else {}
            )


@pytest.mark.parametrize("toml", blocks("toml", PAGES))
def test_an_example_of_settings_loads(toml, tmp_path):
    (tmp_path / "pushtasks.toml").write_text(toml, encoding="utf-8")

    assert load_settings(None, environ={}, directory=tmp_path).configured


def test_variables_of_the_text_are_settings():
    environ = dict(re.findall(r"`(PUSHTASKS_\w+__\w+)=(\S+)`", README))
    needed = {
        "PUSHTASKS_APNS__DEFAULT__KEY": "key.p8",
        "PUSHTASKS_APNS__DEFAULT__KEY_ID": "ABC1234567",
        "PUSHTASKS_APNS__DEFAULT__TEAM_ID": "TEAM123456",
    }

    settings = load_settings(None, environ={**needed, **environ})

    assert len(environ) == 2
    assert (settings.apns.keys(), settings.gcm.keys()) == ({"default"}, {"default"})


@pytest.mark.parametrize("enum", [Outcome, Action])
def test_every_outcome_and_action_has_a_row(enum):
    assert {member.value for member in enum} <= rows(section("Results")).keys()


def test_every_key_of_a_result_is_explained():
    one = Result(APNS, "default", "ab", Outcome.ACCEPTED).to_dict()
    summary = Summary(APNS, "default", {}).to_dict()
    listing = Listing("default", "id", {}).to_dict()

    assert one.keys() <= rows(section("Results")).keys()
    for key in summary.keys() | listing.keys():
        assert f"`{key}`" in section("Results")


@pytest.mark.parametrize(
    ("rules", "statuses"),
    [
        (retries.APNS_RULES, apns_http2.REASONS),
        (retries.FCM_RULES, {code: status for code, (status, _) in fcm.ERROR_CODES.items()}),
        (
            {k: v for k, v in retries.GATEWAY_RULES.items() if k not in retries.APNS_RULES},
            {name: status for status, name in apns_binary.STATUSES.items()},
        ),
        (
            {k: v for k, v in retries.GCM_RULES.items() if k not in retries.APNS_RULES},
            {
                **dict.fromkeys(gcm.ERRORS, 200),
                **{name: status for status, name in gcm.STATUS_REASONS.items()},
            },
        ),
    ],
    ids=["apns", "fcm", "gateway", "gcm"],
)
def test_every_reason_has_a_row_with_its_status_retries_and_action(rules, statuses):
    table = rows(section("Reasons"))
    general = {reason: status for status, reason in fcm.GENERAL_REASONS.items()}
    general |= {reason: status for status, reason in fcm.PASSING_STATUSES.items()}

    for reason, rule in rules.items():
        status, _, again, action = table[reason]
        assert int(status) == statuses.get(reason, general.get(reason)), reason
        assert (again == "no") == rule.is_final, reason
        assert ("new" in again) == (rule.before is not retries.Before.NOTHING), reason
        assert action == f"`{rule.action.value}`", reason


def test_every_reason_in_the_tables_is_known():
    known = set().union(*retries.RULES.values())

    assert rows(section("Reasons")).keys() - {"reason", "---"} == known


def test_every_exception_is_explained():
    raised = {name for name, value in vars(errors).items() if isinstance(value, type)}

    assert raised - {"PushError"} <= rows(section("Exceptions")).keys()


def test_every_push_type_is_named():
    for push_type in apns_http2.PUSH_TYPES:
        assert f"`{push_type}`" in section("Tasks")


def test_every_command_is_listed():
    for path in leaves(main):
        group, _, name = path.partition(" ")
        assert f"`pushtasks {group}" in section("Commands")
        assert not name or f"{name}`" in section("Commands")


@pytest.mark.parametrize("line", command_lines())
def test_a_command_line_is_accepted(line):
    words = shlex.split(line.partition(" | ")[0], comments=True)[1:]
    command, context = main, click.Context(main, info_name="pushtasks")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, command, words = command.resolve_command(context, words)
        context = click.Context(command, parent=context, info_name=name)

    if isinstance(command, click.Group):
        assert words == []  # the README speaks of the group as a whole
    elif words:
        command.parse_args(context, words)


def test_a_wrong_command_line_would_be_noticed():
    with pytest.raises(click.UsageError):
        test_a_command_line_is_accepted("pushtasks check --nonsense")


def test_control_calls_and_faults_are_listed():
    table = section("The emulator")
    words = set(re.findall(r"\w+", table))

    assert faults.RULES.keys() <= words
    for call in ("PUT /tokens/", "DELETE /tokens", "POST /faults", "DELETE /faults"):
        assert f"`{call}" in table
    for call in ("GET /received", "GET /received/count", "DELETE /received"):
        assert f"`{call}`" in table
    for call in ("`POST /feedback`", "`GET /feedback`", "`DELETE /feedback`"):
        assert call in table
    for counts in (traffic.Traffic(), traffic.GatewayTraffic(), traffic.Requests()):
        assert counts.to_dict().keys() <= words
    assert behaviour.RULES.keys() <= words
    assert set(faults.SERVICES) <= words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for file, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", text_of(page)):
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), file
        assert not anchor or anchor in anchors(target), anchor


def test_files_that_the_layout_names_exist():
    for name in re.findall(r"`([\w/]+(?:\.py|/))`", section("Development")):
        assert (ROOT / name).exists() or (ROOT / "pushtasks" / name).exists(), name


def test_examples_are_short():
    for example in blocks("python", PAGES):
        assert len(example.splitlines()) <= 12, example


def test_no_setting_of_this_machine_is_needed(monkeypatch, tmp_path):
    for variable in [name for name in os.environ if name.startswith("PUSHTASKS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)

    assert not load_settings(None).configured
