"""The dashboard: Grafana's own library reads it, and it asks for nothing that nobody tells."""

import json
import re
from pathlib import Path

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "pushtasks.json").read_text(encoding="utf-8"))
PANELS = DASHBOARD["panels"]
QUERIES = [
    (panel["title"], target["expr"]) for panel in PANELS for target in panel.get("targets", ())
]
WIDTH = 24
#: What Grafana replaces before it asks.
VARIABLES = {"$__rate_interval": "5m", "$provider": ".*", "$app": ".*"}


def lost(before, after, path=""):
    """Yield what of some JSON another one has not."""
    if isinstance(before, dict):
        for key, value in before.items():
            if not isinstance(after, dict) or key not in after:
                yield f"{path}.{key}"
            else:
                yield from lost(value, after[key], f"{path}.{key}")
    elif isinstance(before, list):
        assert len(before) == len(after), path
        for place, pair in enumerate(zip(before, after, strict=True)):
            yield from lost(*pair, f"{path}[{place}]")
    elif before != after:
        yield f"{path} = {before!r}, {after!r}"


def test_grafana_knows_every_key_of_it():
    register_default_plugins()

    dashboard = Dashboard.from_json(DASHBOARD)

    assert list(lost(DASHBOARD, json.loads(JSONEncoder().encode(dashboard)))) == []


def test_panels_have_their_own_place_and_number():
    taken = [
        (x, y)
        for panel in PANELS
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(taken) == len(set(taken))
    assert all(x < WIDTH for x, _ in taken)
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_every_panel_says_what_it_shows():
    for panel in PANELS:
        if panel["type"] != "row":
            assert panel["description"].endswith("."), panel["title"]
            assert panel["targets"], panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}"


def test_every_variable_that_is_used_is_there():
    used = set(re.findall(r"\$\{?(\w+)", json.dumps([PANELS, DASHBOARD["templating"]])))

    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == used - {
        "__rate_interval",
        "__all",
    }


def test_every_metric_of_a_query_is_told(told):
    for title, expression in QUERIES:
        asked = set(re.findall(r"\bpushtasks_\w+", expression))
        assert asked, title
        assert asked <= told, title


def test_prometheus_can_read_every_query(promtool, tmp_path):
    queries = [expression for _, expression in QUERIES]
    for name, value in VARIABLES.items():
        queries = [query.replace(name, value) for query in queries]
    rules = [{"record": f"panel:{n}", "expr": query} for n, query in enumerate(queries)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))

    assert f"{len(queries)} rules found" in promtool("check", "rules", file)
