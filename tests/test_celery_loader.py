import pytest

from pushtasks.celery_loader import MAX_CONNECTIONS, SEARCH, completed
from pushtasks.errors import InvalidSettings

WORKER = ["celery", "-A", "pushtasks", "worker"]


def complete(settings=None, environ=None, arguments=WORKER):
    return completed(
        {"broker_url": "redis://localhost:6379/0", **(settings or {})}, environ or {}, arguments
    )


def test_results_go_beside_the_broker_whoever_chose_it():
    assert complete()["result_backend"] == "redis://localhost:6379/1"
    assert complete({"broker_url": "redis://mine/0"})["result_backend"] == "redis://mine/1"
    assert complete({"broker_url": ["redis://a/0", "redis://b/0"]})["result_backend"] == (
        "redis://a/1"
    )
    environ = {"CELERY_BROKER_URL": "amqp://elsewhere"}  # as `celery --broker` sets it
    assert complete(environ=environ)["result_backend"] == "rpc://"


def test_a_result_backend_of_ones_own_stays():
    environ = {"PUSHTASKS_RESULT_BACKEND": "redis://env/7"}

    assert complete(environ=environ)["result_backend"] == "redis://env/7"
    settings = complete({"result_backend": "db+sqlite:///x"}, environ)
    assert settings["result_backend"] == "db+sqlite:///x"


@pytest.mark.parametrize(
    ("pool", "concurrency"), [("threads", 64), ("gevent", 100), ("prefork", None), ("solo", None)]
)
@pytest.mark.parametrize("how", ["environment", "setting", "-P", "-Ppool", "--pool", "--pool="])
def test_concurrency_goes_by_the_pool_however_that_is_chosen(how, pool, concurrency):
    arguments = {
        "-P": [*WORKER, "-P", pool],
        "-Ppool": [*WORKER, f"-P{pool}", "-l", "info"],
        "--pool": [*WORKER, "--pool", pool],
        "--pool=": [*WORKER, f"--pool={pool}"],
    }
    settings = complete(
        {"worker_pool": pool} if how == "setting" else {},
        {"PUSHTASKS_WORKER_POOL": pool} if how == "environment" else {},
        arguments.get(how, WORKER),
    )

    assert settings["worker_concurrency"] == concurrency


def test_threads_are_the_default_pool_and_settings_come_before_the_environment():
    environ = {"PUSHTASKS_WORKER_POOL": "solo"}

    assert complete()["worker_pool"] == "threads"
    assert complete(environ=environ)["worker_pool"] == "solo"
    assert complete({"worker_pool": "prefork"}, environ)["worker_pool"] == "prefork"


def test_another_programs_options_choose_no_pool():
    settings = complete(arguments=["gunicorn", "-P", "prefork", "site:app"])

    assert (settings["worker_pool"], settings["worker_concurrency"]) == ("threads", 64)


def test_concurrency_of_ones_own_stays():
    environ = {"PUSHTASKS_WORKER_CONCURRENCY": " 8 "}

    assert complete(environ=environ)["worker_concurrency"] == 8
    assert complete({"worker_concurrency": 9}, environ)["worker_concurrency"] == 9


@pytest.mark.parametrize("text", ["many", "0", "-1", "1.5", "²"])
@pytest.mark.parametrize("name", ["PUSHTASKS_WORKER_CONCURRENCY", "PUSHTASKS_VISIBILITY_TIMEOUT"])
def test_a_number_that_is_none_is_named_with_its_variable(name, text):
    with pytest.raises(InvalidSettings, match=f"{name}: '{text}' is no whole number above 0"):
        complete(environ={name: text})


@pytest.mark.parametrize(
    "variable", ["PUSHTASKS_BROKER_URL", "CELERY_BROKER_URL", "PUSHTASKS_RESULT_BACKEND"]
)
def test_a_url_that_nobody_can_read_is_named_with_its_variable_and_not_repeated(variable):
    url = "redis://:sesame/cret@host:6379/0"
    settings = {"broker_url": url} if variable == "PUSHTASKS_BROKER_URL" else {}

    with pytest.raises(InvalidSettings, match="is no URL whose port is a number") as caught:
        complete(settings, {} if settings else {variable: url})
    named = "RESULT_BACKEND" if "RESULT" in variable else "BROKER_URL"
    assert f"PUSHTASKS_{named}" in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_the_visibility_timeout_is_in_all_places_where_celery_asks_for_it():
    settings = complete(environ={"PUSHTASKS_VISIBILITY_TIMEOUT": "90"})

    assert settings["visibility_timeout"] == 90
    assert settings["broker_transport_options"] == {
        "visibility_timeout": 90,
        "max_connections": MAX_CONNECTIONS,
        **SEARCH,
    }
    assert settings["result_backend_transport_options"] == {"visibility_timeout": 90}
    assert complete()["visibility_timeout"] == 600


def test_transport_options_of_ones_own_are_added_to():
    settings = complete(
        {
            "broker_transport_options": {"master_name": "m", "visibility_timeout": 5},
            "result_backend_transport_options": {"global_keyprefix": "x"},
        }
    )

    assert settings["broker_transport_options"] == {
        "master_name": "m",
        "visibility_timeout": 5,
        "max_connections": MAX_CONNECTIONS,
        **SEARCH,
    }
    assert settings["result_backend_transport_options"] == {
        "global_keyprefix": "x",
        "master_name": "m",
        "visibility_timeout": 5,
    }


def test_a_worker_listens_to_our_queues_unless_others_are_set():
    names = [queue.name for queue in complete({})["task_queues"]]

    assert names == ["push", "push.bulk", "push.feedback"]
    assert complete({"task_queues": []})["task_queues"] == []


@pytest.mark.parametrize(
    ("backend", "is_done_once"),
    [("redis://localhost/1", True), ("rpc://", True), ("disabled", False), (None, False)],
)
def test_without_results_a_task_that_comes_again_is_done_again(backend, is_done_once):
    defaults = {"worker_deduplicate_successful_tasks": True}

    settings = complete({**defaults, "result_backend": backend})

    assert settings["worker_deduplicate_successful_tasks"] is is_done_once


def test_results_can_be_switched_off_by_a_variable():
    settings = complete(environ={"PUSHTASKS_RESULT_BACKEND": "disabled"})

    assert settings["result_backend"] == "disabled"
    assert settings["worker_deduplicate_successful_tasks"] is False
