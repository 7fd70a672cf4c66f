import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from pushtasks import InvalidPush
from pushtasks.fanout.given import described_source, source_of
from pushtasks.fanout.records import START
from pushtasks.fanout.redis_key import RedisKey
from pushtasks.fanout.sources import LINE_LIMIT, File, Stream

TOKENS = [f"{number:064x}" for number in range(2500)]


def read(source, after=START, *, is_mixed=False):
    return list(source.records(after, is_mixed=is_mixed))


def after(record):
    return {"line": record.line, "place": record.place}


@pytest.fixture
def file(tmp_path):
    """(bytes, name) → a file."""

    def write(content, name="tokens"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def test_empty_lines_count_but_hold_no_device(file):
    records = read(File(file(b"\xef\xbb\xbfab\r\n\r\n  cd \n\nef")))

    assert [(record.line, record.item) for record in records] == [(1, "ab"), (3, "cd"), (5, "ef")]


@pytest.mark.parametrize("content", [b"", b"\n\n  \n", b"token\n", b"id,token\n\n"])
def test_a_source_may_be_empty(content, file):
    assert read(File(file(content, "tokens.csv"))) == []
    assert read(Stream(io.BytesIO(content), "csv")) == []


def test_the_end_of_its_name_says_what_a_file_is(file):
    assert [record.item for record in read(File(file(b'"ab"\n', "x.jsonl")))] == ["ab"]
    assert [record.item for record in read(File(file(b"a b\n", "x.csv")))] == ["a b"]
    assert [record.item for record in read(File(file(b"ab\n", "x.JSON"), "lines"))] == ["ab"]


def test_an_empty_first_cell_of_a_row_stays_one(file):
    path = file(b"name\ttoken\r\n\tab\r\nBo\tcd\r\n \t \r\n")

    assert [record.item for record in read(File(path))] == ["ab", "cd"]


def test_a_line_without_end_is_one_invalid_device_and_never_held_as_a_whole(file):
    content = b"ab\n" + b"c" * 3 * LINE_LIMIT + b"\nde\n"

    for source in (
        File(file(content)),
        Stream(io.BytesIO(content)),
        Stream(io.StringIO(content.decode())),
    ):
        first, long, last = read(source)
        assert (first.item, last.item) == ("ab", "de")
        assert (long.line, long.item) == (
            2,
            f"line of over {LINE_LIMIT} bytes: give one device a line",
        )
        assert last.line == 3


def test_bytes_that_are_no_text_spoil_their_own_line(file):
    [bad, good] = read(File(file(b"\xff\xfe\nab\n")))

    assert (bad.item, good.item) == ("\ufffd\ufffd", "ab")


LINES = st.lists(
    st.sampled_from(["ab", "cd,7", "", "  ", "token", '{"token": "ef"}', "x" * 70_000])
)


@given(LINES, st.booleans(), st.sampled_from([None, "csv", "lines", "jsonl"]))
def test_a_file_goes_on_after_any_of_its_records(tmp_path_factory, lines, ends, format_):
    path = tmp_path_factory.getbasetemp() / "goes-on"
    path.write_text("\n".join(lines) + "\n" * ends)
    source = File(path, format_)
    whole = read(source)

    for number, record in enumerate(whole, 1):
        again = described_source(source.describe())
        assert read(again, after(record)) == whole[number:]
    assert read(Stream(path.open("rb"), format_)) == whole


@given(st.lists(st.text("abc01 ,;", max_size=5)), st.integers(0, 30))
def test_what_was_had_of_a_stream_is_passed_over(lines, had):
    text = "\n".join(lines)
    whole = read(Stream(io.StringIO(text)))

    rest = read(Stream(io.StringIO(text)), {"line": had, "place": None})

    assert rest == [record for record in whole if record.line > had]


def test_what_was_had_of_an_iterable_is_passed_over():
    records = read(source_of(iter("abcd")), {"line": 3, "place": None})

    assert [(record.line, record.item) for record in records] == [(4, "d")]


def test_a_changed_file_is_known(file):
    path = file(b"ab\n")
    described = File(path).describe()
    assert File(path).is_as_described(described)

    path.write_bytes(b"ab\ncd\n")

    assert not File(path).is_as_described(described)


# Redis ------------------------------------------------------------------------------------------


@pytest.fixture
def redis(redis_server):
    redis_server.flush()
    with Redis.from_url(redis_server.url(7)) as client:
        yield client


@pytest.fixture
def fill(redis):
    """(kind) → a key of all tokens."""
    fillers = {
        "list": lambda: redis.rpush("devices", *TOKENS),
        "set": lambda: redis.sadd("devices", *TOKENS),
        "zset": lambda: redis.zadd("devices", dict.fromkeys(TOKENS, 1)),
    }
    return lambda kind: fillers[kind]()


@pytest.mark.parametrize("kind", ["list", "set", "zset"])
def test_a_key_is_read_as_a_whole_and_left_as_it_is(kind, fill, redis, redis_server):
    fill(kind)

    records = read(RedisKey("devices", redis_server.url(7)))

    assert sorted(record.item for record in records) == TOKENS
    assert [record.line for record in records] == list(range(1, 2501))
    size = {"list": redis.llen, "set": redis.scard, "zset": redis.zcard}[kind]
    assert size("devices") == 2500


@pytest.mark.parametrize("kind", ["list", "set", "zset"])
def test_a_key_goes_on_after_any_of_its_members(kind, fill, redis_server):
    fill(kind)
    source = RedisKey("devices", redis_server.url(7))
    whole = read(source)

    for place in (0, 1, 998, 999, 1000, 1001, 1499, 2000, 2499):
        again = described_source(source.describe())
        assert read(again, after(whole[place])) == whole[place + 1 :]


def test_members_of_a_key_may_be_json(redis, redis_server):
    redis.rpush("devices", '["ab", {"priority": 5}]', "{")

    [pair, broken] = read(RedisKey("devices", redis_server.url(7)))

    assert pair.item == ["ab", {"priority": 5}]
    assert broken.item.startswith("not JSON")


def test_a_member_that_is_no_text_takes_no_other_with_it(redis, redis_server):
    redis.rpush("devices", "ab", b"\xff\xfe", "cd")

    first, broken, last = read(RedisKey("devices", redis_server.url(7)))

    assert (first.item, last.item) == ("ab", "cd")
    assert broken.item == "\N{REPLACEMENT CHARACTER}" * 2


def test_no_key_holds_no_devices_and_a_text_is_refused(redis, redis_server):
    source = RedisKey("devices", redis_server.url(7))
    assert read(source) == []
    redis.set("devices", "x")

    with pytest.raises(InvalidPush, match=r"key 'devices' in Redis at .* is a string: name a list"):
        read(source)


def test_a_password_is_not_kept():
    described = RedisKey("devices", "redis://user:secret@example.com:6379/2").describe()

    assert described == {"kind": "redis", "key": "devices", "url": "redis://example.com:6379/2"}
    in_query = RedisKey("devices", "redis://example.com/2?username=u&password=secret&protocol=3")
    assert in_query.describe()["url"] == "redis://example.com/2?protocol=3"


@pytest.mark.parametrize("url", ["redis://:secret@example.com:6379/2", "redis://other:6379/2"])
def test_a_key_in_the_redis_of_the_settings_is_read_again_with_its_password(url):
    described = RedisKey("devices", url).describe()

    again = described_source(described, "redis://:secret@example.com:6379/2")

    assert again._url == url


# What is given ----------------------------------------------------------------------------------


def test_a_path_is_a_file_and_what_reads_lines_is_a_stream(file):
    path = file(b"token\nab\n")

    assert [record.item for record in read(source_of(path))] == ["ab"]
    with path.open() as text:
        assert [record.item for record in read(source_of(text))] == ["ab"]


@pytest.mark.parametrize("devices", ["ab", b"ab", {"ab": 1}, 7, None])
def test_what_is_no_list_of_devices_is_refused(devices):
    with pytest.raises(InvalidPush, match="is no list of devices"):
        source_of(devices)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(("nofile",), "'nofile' cannot be read"), (("nofile", "xml"), "format 'xml' is unknown")],
)
def test_a_file_that_cannot_be_read_is_told(arguments, told):
    with pytest.raises(InvalidPush, match=told):
        File(*arguments)


def test_what_cannot_be_read_again_is_none():
    assert described_source(source_of([]).describe()) is None
    assert described_source(Stream(io.StringIO()).describe()) is None
