import json
import time

import pytest

DEVICE = "ab" * 32
REFUSED_STREAM = 7


def fault(emulator, **body):
    assert emulator.control("POST", "/faults", body) == {}


def test_goaway_finishes_the_streams_below_and_ignores_those_above(emulator, apns):
    emulator.control("DELETE", "/received")
    fault(emulator, goaway_every=4, service="apns")
    numbers = apns.push_many(6)
    apns.wait(*numbers[:3])
    apns.read_until(lambda: apns.goaway)
    assert apns.goaway.last_stream_id == numbers[2]
    assert json.loads(apns.goaway.additional_data) == {"reason": "Shutdown"}
    assert [apns.streams[number].status for number in numbers[:3]] == [200, 200, 200]
    with pytest.raises(EOFError):
        apns.wait(*numbers)
    assert not any(apns.streams[number].headers for number in numbers[3:])
    assert emulator.control("GET", "/received/count") == {"count": 3}
    assert emulator.control("GET", "/stats")["apns"]["goaways"] == 1


def test_goaway_waits_for_answers_that_are_held_back(emulator, apns):
    fault(emulator, goaway_every=3, delay=0.1, reason="IdleTimeout")
    numbers = apns.push_many(2)
    apns.read_until(lambda: apns.goaway)
    assert json.loads(apns.goaway.additional_data) == {"reason": "IdleTimeout"}
    assert not apns.streams[numbers[0]].headers
    assert [answered.status for answered in apns.wait(*numbers)] == [200, 200]


def test_goaway_some_times_only(emulator, connect):
    fault(emulator, goaway_every=1, times=1)
    first, second = connect(), connect()
    first.push()
    first.read_until(lambda: first.goaway)
    for _ in range(3):
        assert second.push().status == 200
    assert second.goaway is None


def test_every_so_many_streams_are_refused(emulator, apns):
    emulator.control("DELETE", "/received")
    fault(emulator, refuse_every=2)
    answers = apns.wait(*apns.push_many(5))
    codes = [answered.error_code for answered in answers]
    assert codes == [REFUSED_STREAM, None, REFUSED_STREAM, None, REFUSED_STREAM]
    assert emulator.control("GET", "/received/count") == {"count": 2}


def test_a_reset_takes_the_answers_with_it(emulator, apns):
    emulator.control("DELETE", "/received")
    fault(emulator, reset_after=4)
    apns.push_many(5)
    with pytest.raises(ConnectionResetError):
        apns.drain()
    assert emulator.control("GET", "/received/count") == {"count": 3}


def test_a_reset_counts_requests_that_were_read_to_their_end(emulator, apns):
    emulator.control("DELETE", "/received")
    fault(emulator, reset_after=3)
    headers = apns.push_headers()
    numbers = [apns.submit(f"/3/device/{DEVICE}", headers, None) for _ in range(4)]
    for number in numbers:
        apns.h2.send_data(number, b"{}", end_stream=True)
    apns.flush()
    with pytest.raises(ConnectionResetError):
        apns.drain()
    assert emulator.control("GET", "/received/count") == {"count": 2}


def test_a_client_that_says_goaway_is_left_alone(emulator, apns):
    fault(emulator, delay=0.05)
    apns.push_many(3)
    apns.h2.close_connection()
    apns.flush()
    with pytest.raises(EOFError):
        apns.read_until(lambda: False)
    assert emulator.control("GET", "/stats")["apns"]["in_flight"] == 0


def test_a_reset_may_strike_once(emulator, connect):
    fault(emulator, reset_after=1, times=1)
    first, second = connect(), connect()
    first.push_many(1)
    with pytest.raises(ConnectionResetError):
        first.drain()
    assert second.push().status == 200


def is_silent(client):
    """Push once more and return whether nothing comes back."""
    (number,) = client.push_many(1)
    client.socket.settimeout(0.1)
    try:
        client.wait(number)
    except TimeoutError:
        return not client.streams[number].headers
    return False


def test_a_stall_silences_old_and_new_connections(emulator, apns, connect):
    fault(emulator, stall=True)
    assert is_silent(apns)
    assert is_silent(connect(reads_settings=False))


def test_after_a_stall_new_connections_are_served_and_stalled_ones_stay_silent(
    emulator, apns, connect
):
    fault(emulator, stall=True)
    emulator.control("DELETE", "/faults")
    assert connect().push().status == 200
    assert is_silent(apns)


def test_a_stall_may_be_for_one_connection(emulator, connect):
    fault(emulator, stall=True, times=1)
    stalled, healthy = connect(reads_settings=False), connect()
    assert healthy.push().status == 200
    assert is_silent(stalled)
    assert emulator.control("GET", "/received/count") == {"count": 1}


def test_delays_run_side_by_side(emulator, apns):
    fault(emulator, delay=0.3)
    began = time.monotonic()
    answers = apns.wait(*apns.push_many(300))
    assert 0.3 <= time.monotonic() - began < 3
    assert {answered.status for answered in answers} == {200}
    assert emulator.control("GET", "/stats")["apns"]["most_in_flight"] == 300


def test_a_stream_cancelled_with_its_request_does_no_harm(apns):
    number = apns.submit(f"/3/device/{DEVICE}", apns.push_headers())
    apns.h2.reset_stream(number)
    apns.flush()
    assert apns.push().status == 200


def test_a_cancelled_stream_is_no_longer_in_flight(emulator, apns):
    fault(emulator, delay=60)
    numbers = apns.push_many(2)
    apns.h2.reset_stream(numbers[0])
    apns.ping()
    fault(emulator, delay=0)
    assert apns.push().status == 200
    assert emulator.control("GET", "/stats")["apns"]["in_flight"] == 1
    apns.h2.reset_stream(numbers[1])
    apns.ping()
    assert emulator.control("GET", "/stats")["apns"]["in_flight"] == 0


def test_a_status_stands_for_every_answer_as_often_as_it_says(emulator, apns):
    fault(emulator, status=503, retry_after=2, times=2)
    answers = [apns.push() for _ in range(3)]
    assert [answered.status for answered in answers] == [503, 503, 200]
    assert answers[0].json() == {"reason": "ServiceUnavailable"}
    assert answers[0].headers["retry-after"] == "2"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"status": 403, "reason": "BadCertificate"}, "BadCertificate"),
        ({"status": 429}, "TooManyRequests"),
        ({"status": 404}, "BadPath"),
        ({"status": 502}, "Status502"),
    ],
)
def test_a_status_comes_with_a_reason(emulator, apns, body, reason):
    fault(emulator, **body)
    answered = apns.push()
    assert (answered.status, answered.json()["reason"]) == (body["status"], reason)


def test_retry_after_may_be_a_date(emulator, apns):
    fault(emulator, status=503, retry_after="Wed, 21 Oct 2026 07:28:00 GMT")
    assert apns.push().headers["retry-after"] == "Wed, 21 Oct 2026 07:28:00 GMT"


def test_a_body_is_given_as_it_is(emulator, apns):
    fault(emulator, status=500, body="<html>")
    assert apns.push().body == b"<html>"


def test_a_large_body_keeps_to_the_clients_windows(emulator, apns):
    fault(emulator, status=500, body_size=300_000)
    answered = apns.push()
    assert (answered.status, len(answered.body)) == (500, 300_000)


def test_fewer_streams_are_announced_at_once_and_enforced(emulator, apns):
    apns.read_until(lambda: apns.max_streams == 1000)
    fault(emulator, max_streams=2, delay=0.05)
    apns.read_until(lambda: apns.max_streams == 2)
    codes = [answered.error_code for answered in apns.wait(*apns.push_many(4))]
    assert codes == [None, None, REFUSED_STREAM, REFUSED_STREAM]
    emulator.control("DELETE", "/faults")
    apns.read_until(lambda: apns.max_streams == 1000)


def test_faults_of_one_service_leave_the_other_alone(emulator, apns):
    fault(emulator, status=503, service="fcm")
    assert apns.push().status == 200


def test_a_later_fault_replaces_only_those_that_it_names(emulator, apns):
    fault(emulator, status=503, times=1)
    fault(emulator, delay=0.01)
    assert apns.push().status == 503
    fault(emulator, status=500)
    fault(emulator, status=None)
    assert apns.push().status == 200


def test_a_client_that_breaks_the_protocol_is_told_and_disconnected(apns):
    headers_without_a_stream = bytes([0, 0, 0, 1, 5, 0, 0, 0, 0])
    apns.socket.sendall(headers_without_a_stream)
    with pytest.raises(EOFError):
        apns.read_until(lambda: False)
    assert apns.goaway.error_code == 1


def test_connections_and_streams_are_counted(emulator, apns):
    # other tests may have left some
    count = emulator.control("GET", "/stats")["apns"]["connections_open"]
    apns.wait(*apns.push_many(10))
    stats = emulator.control("GET", "/stats")
    assert stats["fcm"]["connections_opened"] == 0
    assert stats["apns"]["connections_opened"] == 1
    assert stats["apns"]["connections_open"] == count >= 1
    assert stats["apns"]["in_flight"] == 0
    assert stats["apns"]["mean_in_flight"] >= 1
    emulator.control("DELETE", "/stats")
    stats = emulator.control("GET", "/stats")["apns"]
    assert (stats["connections_opened"], stats["connections_open"]) == (0, count)
    assert stats["most_in_flight"] == stats["mean_in_flight"] == 0
