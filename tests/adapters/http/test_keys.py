"""API keys."""

import pytest

from pushtasks.adapters.http.keys import ApiKeys, new_key
from pushtasks.adapters.http.settings import options_from, read_keys
from pushtasks.errors import InvalidSettings


def test_a_new_key_is_accepted_by_its_hash_and_by_no_other():
    (key, digest), (other, _) = new_key(), new_key()
    keys = ApiKeys.parse([digest])

    assert keys.name_of(key) == digest.removeprefix("sha256:")[:8]
    assert keys.name_of(other) is None
    assert keys.name_of("") is None
    assert keys.name_of(digest) is None


def test_each_of_several_keys_has_a_name_of_its_own():
    made = [new_key() for _ in range(3)]
    keys = ApiKeys.parse(digest for _, digest in made)

    assert len({keys.name_of(key) for key, _ in made}) == 3


def test_neither_key_nor_hash_is_in_the_repr():
    key, digest = new_key()

    shown = repr(ApiKeys.parse([digest]))

    assert shown == "<ApiKeys 1>"
    assert key not in shown


def test_a_key_in_the_place_of_a_hash_is_refused_and_not_repeated():
    key, _ = new_key()

    with pytest.raises(InvalidSettings, match="entry 2 is no hash") as refused:
        ApiKeys.parse(["# the first line is for people", key])

    assert key not in str(refused.value)


def test_a_file_has_a_hash_a_line_and_words_for_people(tmp_path):
    (first, one), (second, other) = new_key(), new_key()
    file = tmp_path / "keys"
    file.write_text(f"# who\n{one}  # the shop\n\n")

    keys = read_keys(str(file), other)

    assert keys.name_of(first)
    assert keys.name_of(second)


@pytest.mark.parametrize("content", ["", "# nobody yet\n"])
def test_a_file_without_a_hash_opens_no_door(tmp_path, content):
    file = tmp_path / "keys"
    file.write_text(content)

    with pytest.raises(InvalidSettings, match="has none; add the hash of one"):
        read_keys(str(file))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidSettings, match="none-such' cannot be read"):
        read_keys(str(tmp_path / "none-such"))


def test_the_environment_sets_a_service_up():
    (key, one), (_, other) = new_key(), new_key()

    options = options_from(
        {
            "PUSHTASKS_SERVE_KEYS": f"{one}, {other}",
            "PUSHTASKS_SERVE_GCM_APP": "classic",
            "PUSHTASKS_SERVE_RATE": "2.5",
            "PUSHTASKS_SERVE_ALLOWED_HOSTS": "push.example.com, Other",
            "PUSHTASKS_SERVE_PORT": "tcp://10.0.0.7:5601",  # as Kubernetes sets it
            "HOME": "/",
        }
    )

    assert options.api_keys.name_of(key)
    assert options.gcm_app == "classic"
    assert options.rate == 2.5
    assert options.hosts == ("push.example.com", "other")


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("PUSHTASKS_SERVE_RATE", "many", "'many' is no number of requests"),
        ("PUSHTASKS_SERVE_RATE", "-1", "'-1' is no number"),
        ("PUSHTASKS_SERVE_RATE", "inf", "'inf' is no number"),
        ("PUSHTASKS_SERVE_KEY", "x", "unknown variable; there are PUSHTASKS_SERVE_KEYS"),
        ("PUSHTASKS_SERVE_KEYS", "secret", "entry 1 is no hash"),
    ],
)
def test_a_wrong_variable_is_named(variable, text, words):
    with pytest.raises(InvalidSettings, match=words):
        options_from({variable: text})
