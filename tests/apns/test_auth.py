import base64
import itertools
import json
import subprocess
import sys
import threading
import time

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pushtasks.apns.auth import ProviderToken
from pushtasks.errors import InvalidSettings

KEY_ID, TEAM_ID = "ABC1234567", "TEAM123456"
MINUTE = 60
#: Seconds since 1970 at which a slot of 40 minutes begins: 2024-02-08T02:40:00Z.
SLOT_BEGINS = 1_707_360_000


class Clock:
    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture(scope="session")
def key_pem(p256, encode_key):
    return encode_key(p256)


@pytest.fixture
def clock():
    return Clock(SLOT_BEGINS + 10 * MINUTE)


@pytest.fixture
def token(key_pem, clock):
    return ProviderToken(key_pem, KEY_ID, TEAM_ID, clock)


def parts(authorization):
    scheme, _, encoded = authorization.partition(" ")
    assert scheme == "bearer"
    return encoded.split(".")


def issued_at(authorization):
    claims = parts(authorization)[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=="))["iat"]


def refusal(*arguments):
    with pytest.raises(InvalidSettings) as caught:
        ProviderToken(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


class TestToken:
    def test_has_apples_header_and_claims_and_no_other(self, token):
        header, claims, signature = (
            base64.urlsafe_b64decode(part + "==") for part in parts(token.authorization())
        )
        assert header == b'{"alg":"ES256","kid":"ABC1234567"}'
        assert claims == b'{"iss":"TEAM123456","iat":1707360000}'
        assert len(signature) == 64

    def test_has_no_padding(self, token):
        assert "=" not in token.authorization()

    def test_verifies_with_somebody_elses_code(self, p256, key_pem):
        encoded = ProviderToken(key_pem, KEY_ID, TEAM_ID).authorization().removeprefix("bearer ")
        claims = jwt.decode(encoded, p256.public_key(), algorithms=["ES256"], issuer=TEAM_ID)
        assert 1 * MINUTE <= time.time() - claims["iat"] <= 41 * MINUTE + 5
        assert jwt.get_unverified_header(encoded)["kid"] == KEY_ID

    def test_is_the_same_in_every_object_however_the_key_is_encoded(
        self, token, p256, encode_key, clock
    ):
        der = encode_key(p256, encoding=Encoding.DER)
        other = ProviderToken(der, KEY_ID, TEAM_ID, Clock(clock.now + 30 * MINUTE))
        assert other.authorization() == token.authorization()

    def test_is_the_same_in_another_process(self, token, key_pem, clock):
        program = (
            "import sys; from pushtasks.apns.auth import ProviderToken\n"
            f"token = ProviderToken(sys.stdin.buffer.read(), {KEY_ID!r}, {TEAM_ID!r}, "
            f"lambda: {clock.now})\n"
            "print(token.authorization())"
        )
        run = subprocess.run(  # noqa: S603
            [sys.executable, "-c", program], input=key_pem, capture_output=True, check=True
        )
        assert run.stdout.decode().strip() == token.authorization()

    def test_differs_by_key_id_and_team(self, token, key_pem, clock):
        others = {
            ProviderToken(key_pem, "ABC1234568", TEAM_ID, clock).authorization(),
            ProviderToken(key_pem, KEY_ID, "TEAM123457", clock).authorization(),
            token.authorization(),
        }
        assert len(others) == 3

    def test_object_shows_its_ids_alone(self, token):
        assert repr(token) == "<ProviderToken of key ABC1234567, team TEAM123456>"


class TestSlots:
    @pytest.mark.parametrize(
        ("now", "slot"),
        [
            (SLOT_BEGINS + 59.9, SLOT_BEGINS - 40 * MINUTE),
            (SLOT_BEGINS + 60, SLOT_BEGINS),
            (SLOT_BEGINS + 20 * MINUTE, SLOT_BEGINS),
            (SLOT_BEGINS + 41 * MINUTE - 0.1, SLOT_BEGINS),
            (SLOT_BEGINS + 41 * MINUTE, SLOT_BEGINS + 40 * MINUTE),
        ],
    )
    def test_token_is_of_the_slot_that_began_at_least_a_minute_ago(self, key_pem, now, slot):
        fresh = ProviderToken(key_pem, KEY_ID, TEAM_ID, Clock(now))
        assert issued_at(fresh.authorization()) == slot

    def test_token_changes_every_40_minutes_and_is_never_older_than_41(self, token, clock):
        seen = []
        for _ in range(200):
            issued = issued_at(token.authorization())
            assert 1 * MINUTE <= clock.now - issued < 41 * MINUTE
            if issued not in seen:
                seen.append(issued)
            clock.now += MINUTE
        assert seen == [SLOT_BEGINS + slot * 40 * MINUTE for slot in range(len(seen))]

    def test_token_is_kept_when_the_clock_steps_back_over_the_edge_of_a_slot(self, token, clock):
        clock.now = SLOT_BEGINS + 41 * MINUTE
        newer = token.authorization()
        for step in (-1, 1, -5, 5, -15, 15, -19):
            clock.now += step * MINUTE
            assert token.authorization() == newer

    def test_clock_that_was_far_ahead_brings_the_token_of_its_new_time(self, token, clock):
        right = token.authorization()
        clock.now += 86_400
        assert token.authorization() != right
        clock.now -= 86_400
        assert token.authorization() == right

    def test_many_steps_back_do_not_make_a_token_each(self, token, clock):
        seen = set()
        for step in range(60):
            seen.add(token.authorization())
            clock.now -= 7 * MINUTE if step % 2 else -3 * MINUTE
        assert len(seen) <= 4  # two hours, in slots of 40 minutes


class TestRenewal:
    def test_expired_token_is_replaced_by_one_of_this_minute(self, token, clock):
        expired = token.authorization()
        clock.now = SLOT_BEGINS + 25 * MINUTE + 42.5
        token.renew(expired)
        assert issued_at(token.authorization()) == SLOT_BEGINS + 25 * MINUTE

    def test_processes_that_renew_in_the_same_minute_agree(self, key_pem):
        tokens = set()
        for second in (0, 17.3, 59.9):
            clock = Clock(SLOT_BEGINS + 30 * MINUTE + second)
            token = ProviderToken(key_pem, KEY_ID, TEAM_ID, clock)
            token.renew(token.authorization())
            tokens.add(token.authorization())
        assert len(tokens) == 1

    def test_renewed_token_is_kept_until_the_next_slot(self, token, clock):
        clock.now = SLOT_BEGINS + 20 * MINUTE
        token.renew(token.authorization())
        renewed = token.authorization()
        clock.now = SLOT_BEGINS + 41 * MINUTE - 1
        assert token.authorization() == renewed
        clock.now = SLOT_BEGINS + 41 * MINUTE
        assert issued_at(token.authorization()) == SLOT_BEGINS + 40 * MINUTE

    def test_renewed_token_is_kept_for_20_minutes_at_least(self, token, clock):
        clock.now = SLOT_BEGINS + 35 * MINUTE
        token.renew(token.authorization())
        renewed = token.authorization()
        clock.now = SLOT_BEGINS + 55 * MINUTE - 1
        assert token.authorization() == renewed
        clock.now = SLOT_BEGINS + 55 * MINUTE
        assert issued_at(token.authorization()) == SLOT_BEGINS + 40 * MINUTE

    def test_token_that_is_no_longer_in_use_changes_nothing(self, token, clock):
        clock.now = SLOT_BEGINS + 25 * MINUTE
        older = token.authorization()
        token.renew(older)
        renewed = token.authorization()
        clock.now += 21 * MINUTE
        current = token.authorization()
        assert len({older, renewed, current}) == 3
        for rejected in (older, renewed, "bearer rubbish"):
            token.renew(rejected)
        assert token.authorization() == current

    def test_token_is_never_renewed_twice_within_20_minutes(self, token, clock):
        clock.now = SLOT_BEGINS + 2 * MINUTE
        changes = []
        current = token.authorization()
        for _ in range(600):
            token.renew(current)
            if token.authorization() != current:
                current = token.authorization()
                changes.append(clock.now)
            clock.now += MINUTE / 2
        gaps = [after - before for before, after in itertools.pairwise(changes)]
        assert len(changes) > 5
        assert min(gaps) >= 20 * MINUTE


class TestThreads:
    def test_all_agree_while_the_slot_changes_and_tokens_are_refused(self, token, clock):
        clock.now = SLOT_BEGINS + 41 * MINUTE - 1
        start, seen, lock = threading.Barrier(9), set(), threading.Lock()

        def use():
            start.wait()
            for _ in range(2000):
                current = token.authorization()
                token.renew(current)
                with lock:
                    seen.add(current)

        threads = [threading.Thread(target=use) for _ in range(8)]
        for thread in threads:
            thread.start()
        start.wait()
        clock.now += 2
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        times = sorted(issued_at(one) - SLOT_BEGINS for one in seen)
        assert set(times) <= {0, 40 * MINUTE}
        assert len(times) == len(seen)
        assert issued_at(token.authorization()) == SLOT_BEGINS + 40 * MINUTE


class TestRefusedKeys:
    def test_encrypted(self, p256, encode_key):
        message = refusal(encode_key(p256, "hunter2"), KEY_ID, TEAM_ID)
        assert message.startswith("key is an encrypted private key")
        assert "openssl pkcs8" in message

    @pytest.mark.parametrize(("fixture", "kind"), [("p384", "secp384r1"), ("rsa_key", "RSA")])
    def test_of_another_kind(self, fixture, kind, encode_key, request):
        message = refusal(encode_key(request.getfixturevalue(fixture)), KEY_ID, TEAM_ID)
        assert message.startswith(f"key is of the kind {kind}: APNs takes EC P-256 only")
        assert ".p8 file" in message

    @pytest.mark.parametrize(
        ("material", "fault"),
        [
            (b"", "no private key that can be read"),
            (b"rubbish", "no private key that can be read"),
            (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "can be read"),
            (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "has no private"),
            (b"-----BEGIN PRIVATE KEY-----\nAAAA", "has no private key"),
        ],
    )
    def test_rubbish(self, material, fault):
        message = refusal(material, KEY_ID, TEAM_ID)
        assert message.startswith("key ")
        assert fault in message

    @pytest.mark.parametrize("value", ["", "ABC", "ABC12345678", "ABC-123456", "ABC123456\n", None])
    def test_ids_that_are_not_ten_characters(self, key_pem, value):
        for name, arguments in (("key_id", (value, TEAM_ID)), ("team_id", (KEY_ID, value))):
            message = refusal(key_pem, *arguments)
            assert message.startswith(f"{name} {value!r}: it must be the 10 letters and digits")
            assert "developer account" in message
