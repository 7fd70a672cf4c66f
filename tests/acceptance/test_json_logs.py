"""The log of a whole worker as JSON, of a pool that forks and one that does not."""

import json

import pytest

GONE = "ef" * 32
#: What Celery prints before its log begins, and a warning about root.
READY = " ready."


@pytest.mark.acceptance
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_every_line_after_the_start_is_an_object_without_a_token(
    pool, start_worker, tasks, emulator, wait_until
):
    emulator.control("PUT", f"/tokens/{GONE}", {"reason": "Unregistered"})
    worker = start_worker("-P", pool, "-c", "2", PUSHTASKS_LOGS__FORMAT="json")
    one = tasks.send_apns.delay(GONE, {"aps": {"alert": "a secret birthday"}})
    many = tasks.send_apns_many.delay([GONE, "ab" * 32], "a secret birthday")
    for result in (one, many):
        result.get(30)
    wait_until(lambda: worker.log.count("succeeded in") == 2)

    started = next(n for n, line in enumerate(worker.lines) if READY in line)
    lines = [json.loads(line) for line in list(worker.lines)[started:]]

    pushes = [line for line in lines if line["logger"] == "pushtasks.pushes"]
    [single] = [line for line in pushes if line["kind"] == "single"]
    assert (single["outcome"], single["reason"], single["status"]) == (
        "rejected",
        "Unregistered",
        410,
    )
    assert (single["task"], single["task_id"]) == ("pushtasks.send_apns", one.id)
    assert single["token"] == GONE[:6] + "…"
    [listed] = [line for line in pushes if line["kind"] == "list"]
    assert listed["outcomes"] == {"accepted": 1, "rejected": 1}
    text = json.dumps(lines, ensure_ascii=False)
    assert GONE[:7] not in text
    assert "birthday" not in text
