"""The alerts: each fires on what it is for, none while all is well, and none asks in vain."""

import re
from pathlib import Path

import pytest
import yaml

from pushtasks.results import Action
from pushtasks.retries import RULES

FILE = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yml"
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load(FILE.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}
APP = 'provider="apns",app="default"'
PUSHES = f"pushtasks_pushes_total{{{APP},"
ACCEPTED = f'{PUSHES}outcome="accepted",reason=""}}'
UNREGISTERED = f'{PUSHES}outcome="rejected",reason="Unregistered"}}'
DAY = 86_400
#: Minutes of samples, and when to look.
LONG, LOOK = 120, 110
MANY = f"0+600x{LONG}"
AT_REST = f"7x{LONG}"


def constant(value):
    return f"{value}x{LONG}"


#: A day like any other.
CALM = {
    ACCEPTED: MANY,
    UNREGISTERED: f"0+20x{LONG}",
    'pushtasks_answer_seconds_bucket{server="host:1",le="0.1"}': f"0+590x{LONG}",
    'pushtasks_answer_seconds_bucket{server="host:1",le="5.0"}': f"0+600x{LONG}",
    'pushtasks_answer_seconds_bucket{server="host:1",le="+Inf"}': f"0+600x{LONG}",
    'pushtasks_connections_opened_total{server="host:1"}': constant(1),
    'pushtasks_provider_token_age_seconds{team_id="T",key_id="K"}': constant(1800),
    'pushtasks_certificate_expiry_timestamp_seconds{app="classic"}': constant(90 * DAY),
    'pushtasks_queue_tasks{queue="push"}': constant(12),
    'pushtasks_fanouts{state="running"}': constant(1),
    'pushtasks_fanout_devices{state="settled"}': f"0+500x{LONG}",
    'pushtasks_fanout_devices{state="outstanding"}': constant(100_000),
    f"pushtasks_pause_seconds{{{APP}}}": constant(0),
    "pushtasks_feedback_entries": constant(100),
    "pushtasks_feedback_entries_limit": constant(100_000),
    "pushtasks_feedback_entries_lost_total": constant(0),
    f"pushtasks_held_rejections_total{{{APP}}}": constant(4),
    "pushtasks_store_up": constant(1),
    "pushtasks_broker_up": constant(1),
    'up{job="pushtasks-worker",instance="h:9540"}': constant(1),
}
#: By alert, what is otherwise when it is to fire.
TROUBLE = {
    "PushtasksNothingAccepted": {ACCEPTED: AT_REST},
    "PushtasksWrongEnvironment": {
        f'{PUSHES}outcome="rejected",reason="BadDeviceToken"}}': f"0+400x{LONG}"
    },
    "PushtasksConfigurationRejected": {
        f'{PUSHES}outcome="rejected",reason="TopicDisallowed"}}': f"0+1x{LONG}"
    },
    "PushtasksPushesGivenUp": {
        f'{PUSHES}outcome="not_sent",reason="unanswered"}}': f"_x{LOOK - 5} 1x20"
    },
    "PushtasksManyRetries": {f'{PUSHES}outcome="retried",reason="Shutdown"}}': f"0+300x{LONG}"},
    "PushtasksSlowAnswers": {
        'pushtasks_answer_seconds_bucket{server="host:1",le="0.1"}': f"0+100x{LONG}"
    },
    "PushtasksReconnecting": {
        'pushtasks_connections_opened_total{server="host:1"}': f"0+60x{LONG}"
    },
    "PushtasksProviderTokenOld": {
        'pushtasks_provider_token_age_seconds{team_id="T",key_id="K"}': constant(3700)
    },
    "PushtasksTasksFail": {
        'pushtasks_task_failures_total{task="pushtasks.send_apns",exception="InvalidSettings"}': (
            f"_x{LOOK - 5} 1x20"
        )
    },
    "PushtasksLateRejections": {
        'pushtasks_late_rejections_total{app="classic",reason="InvalidToken"}': f"0+2x{LONG}"
    },
    "PushtasksCertificateExpires": {
        'pushtasks_certificate_expiry_timestamp_seconds{app="classic"}': constant(20 * DAY)
    },
    "PushtasksCertificateExpiresSoon": {
        'pushtasks_certificate_expiry_timestamp_seconds{app="classic"}': constant(2 * DAY)
    },
    "PushtasksQueueLong": {'pushtasks_queue_tasks{queue="push"}': constant(20_000)},
    "PushtasksNoWorkerTakes": {ACCEPTED: AT_REST, UNREGISTERED: AT_REST},
    "PushtasksFanoutStuck": {'pushtasks_fanout_devices{state="settled"}': constant(500)},
    "PushtasksProviderAsksToWait": {f"pushtasks_pause_seconds{{{APP}}}": constant(60)},
    "PushtasksFeedbackUnread": {"pushtasks_feedback_entries": constant(90_000)},
    "PushtasksFeedbackLost": {"pushtasks_feedback_entries_lost_total": f"0+1x{LONG}"},
    "PushtasksRejectionsHeldBack": {f"pushtasks_held_rejections_total{{{APP}}}": f"0+1x{LONG}"},
    "PushtasksStoreDown": {"pushtasks_store_up": constant(0)},
    "PushtasksBrokerDown": {"pushtasks_broker_up": constant(0)},
    "PushtasksTargetDown": {'up{job="pushtasks-worker",instance="h:9540"}': constant(0)},
}
#: Alerts that fire along with another, since the same thing is wrong.
ALONG = {
    "PushtasksNothingAccepted": set(),
    "PushtasksCertificateExpiresSoon": {"PushtasksCertificateExpires"},
    "PushtasksQueueLong": set(),
}


def case(firing, otherwise):
    """Return a test of promtool: these alerts fire, and no other."""
    series = CALM | otherwise
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{LOOK}m",
                "exp_samples": [
                    {"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(firing)
                ],
            }
        ],
    }


def test_each_alert_fires_on_what_it_is_for_and_none_while_all_is_well(promtool, tmp_path):
    assert TROUBLE.keys() == ALERTS.keys()
    tests = [case(set(), {})]
    tests += [
        case({alert} | ALONG.get(alert, set()), otherwise) for alert, otherwise in TROUBLE.items()
    ]
    file = tmp_path / "tests.yml"
    document = {"rule_files": [str(FILE)], "evaluation_interval": "5m", "tests": tests}
    file.write_text(yaml.safe_dump(document, sort_keys=False))

    promtool("test", "rules", file)


def test_every_metric_of_an_alert_is_told(told):
    for name, rule in ALERTS.items():
        asked = set(re.findall(r"\bpushtasks_\w+", rule["expr"]))
        assert asked <= told, name


def test_every_alert_says_how_bad_it_is_and_what_to_do():
    for name, rule in ALERTS.items():
        assert name.startswith("Pushtasks")
        assert rule["labels"]["severity"] in {"warning", "critical"}, name
        assert rule["annotations"]["summary"], name
        assert rule["annotations"]["description"].endswith("."), name


def test_reasons_that_mean_a_wrong_configuration_are_all_watched():
    wrong = {
        reason
        for rules in RULES.values()
        for reason, rule in rules.items()
        if rule.action is Action.FIX_CONFIG
    }
    [listed] = re.findall(r'reason=~"([^"]+)"', ALERTS["PushtasksConfigurationRejected"]["expr"])

    assert set(listed.split("|")) == wrong


def test_the_example_of_a_configuration_is_valid(promtool):
    assert "SUCCESS" in promtool("check", "config", FILE.with_name("prometheus.yml"))


@pytest.mark.parametrize("name", ["prometheus.yml", "alerts.yml"])
def test_files_end_with_a_line_end(name):
    assert FILE.with_name(name).read_text(encoding="utf-8").endswith("\n")
