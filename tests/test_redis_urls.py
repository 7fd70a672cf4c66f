import pytest
import redis

from pushtasks.redis_urls import client_url, fault_of, result_backend_beside


@pytest.mark.parametrize(
    ("broker", "backend"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/1"),
        ("redis://localhost", "redis://localhost/1"),
        ("redis://user:p%40ss@host:6380/5", "redis://user:p%40ss@host:6380/1"),
        ("redis://host/0?socket_timeout=3", "redis://host/1?socket_timeout=3"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/1"),
        ("redis://a/0;redis://b/0", "redis://a/1"),
        (
            "rediss://:pw@host:6380/0?ssl_cert_reqs=none",
            "rediss://:pw@host:6380/1?ssl_cert_reqs=none",
        ),
        ("rediss://host/0", "rediss://host/1?ssl_cert_reqs=CERT_REQUIRED"),
        (
            "redis+socket:///run/redis.sock?virtual_host=0",
            "redis+socket:///run/redis.sock?virtual_host=1",
        ),
        ("redis+socket:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=1"),
        (
            "sentinel://:pw@a:26379/0;sentinel://:pw@b:26379/0",
            "sentinel://:pw@a:26379/1;sentinel://:pw@b:26379/1",
        ),
        ("sentinel://a:26379;b:26379", "sentinel://a:26379/1;sentinel://b:26379/1"),
        ("amqp://guest@localhost//", "rpc://"),
        ("memory://", "rpc://"),
        ("", "rpc://"),
    ],
)
def test_the_result_backend_is_database_1_of_the_brokers_redis(broker, backend):
    assert result_backend_beside(broker) == backend


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://:pw@host:6379/3", "redis://:pw@host:6379/3"),
        ("redis://a/0;redis://b/0", "redis://a/0"),
        ("rediss://h/1?ssl_cert_reqs=CERT_NONE", "rediss://h/1?ssl_cert_reqs=none"),
        ("redis+socket:///run/r.sock?virtual_host=2", "unix:///run/r.sock?db=2"),
        ("redis+socket://:pw@/run/r.sock", "unix://:pw@/run/r.sock?db=0"),
        ("sentinel://a:26379/0", None),
        ("rpc://", None),
        ("", None),
        (None, None),
    ],
)
def test_a_redis_client_reaches_the_database_that_celery_uses(url, expected):
    assert client_url(url) == expected
    if expected:
        redis.Redis.from_url(expected).close()


def test_certificates_are_verified_where_celery_would_verify_them():
    url = client_url(result_backend_beside("rediss://host/0"))

    options = redis.Redis.from_url(url).connection_pool.connection_kwargs

    assert options["ssl_cert_reqs"] == "required"


@pytest.mark.parametrize(
    "url",
    [
        "redis://:sesame/cret@host:6379/0",
        "redis://:sesame#cret@host:6379/0",
        "rediss://:sesame?cret@host:6379/0",
        "redis://:sesame[cret@host:6379/0",
        "redis://host/0;redis://:sesame;cret@host:6379/0",
        "amqp://user:sesame/cret@host//",
        "redis://host:sesame/0",
        "redis://host:65536/0",
    ],
)
def test_a_url_that_nobody_can_read_has_a_fault_that_does_not_repeat_it(url):
    fault = fault_of(url)
    assert fault.startswith(
        "is no URL whose port is a number up to 65535; in a password write / as"
    )
    assert "sesame" not in fault


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:p%2Fss@host:6379/0",
        "redis://a/0;redis://b/0",
        "sentinel://:pw@a:26379;b:26379",
        "redis+socket:///run/r.sock",
        "amqp://guest@localhost//",
        "db+postgresql://user:p/w@host/results",
        "memory://",
        "",
    ],
)
def test_other_urls_have_none(url):
    assert fault_of(url) is None
