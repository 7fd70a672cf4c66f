"""What an operator sees of the page, and can do with it, in a real browser."""

import re
import urllib.error
import urllib.parse
import urllib.request

import pytest
from flask import Flask

from pushtasks import send_apns, send_gcm
from pushtasks.adapters.http import Options, make_blueprint
from pushtasks.adapters.http.keys import ApiKeys, new_key
from pushtasks.store.fanout_state import State

WIDE, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
#: Of text on the page, and of what is drawn (WCAG 2.2, 1.4.3 and 1.4.11).
TEXT_CONTRAST, DRAWING_CONTRAST = 4.5, 3.0

#: Returns [contrast, text] of all text that can be seen, and of all that is drawn of the plot.
CONTRASTS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (colour) => {
    const [r, g, b] = rgba(colour).slice(0, 3).map((byte) => byte / 255).map(
      (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (rgba(colour)[3] === 255) return colour;
    }
    throw new Error("nothing is behind " + element.outerHTML);
  };
  const contrast = (colour, element) => {
    const [low, high] = [luminance(colour), luminance(ground(element))].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const seen = (element) => element.checkVisibility() && element.getBoundingClientRect().width > 1;
  const texts = [...document.querySelectorAll("body *")].filter((one) => seen(one)
    && !one.closest("svg") && [...one.childNodes].some((node) => node.nodeType === 3
      && node.data.trim()));
  const drawn = [...document.querySelectorAll("svg rect, svg path")].filter((one) => seen(one)
    && /^(accepted|rejected|unsent|invalid)$/.test(one.getAttribute("class")));
  return {
    text: texts.map((one) => [contrast(getComputedStyle(one).color, one), one.textContent.trim()]),
    drawn: drawn.map((one) => [contrast(getComputedStyle(one).fill, one), one.outerHTML]),
  };
}"""


def text_of(page, selector):
    """Return what is to be read there, on one line."""
    return " ".join(page.locator(selector).inner_text().split())


def overflow(page):
    """Return by how much the page is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def answer(url, data=None, **headers):
    """Return status, headers and text of an answer."""
    body = None if data is None else urllib.parse.urlencode(data).encode()
    request = urllib.request.Request(url, body, headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return response.status, response.headers, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()


def seals(text):
    """Return the seal of each form by the fan-out that it cancels."""
    found = re.findall(
        r'action="[^"]*/fanouts/(\w+)/cancel".*?name="seal" value="(\w+)"', text, re.DOTALL
    )
    return dict(found)


@pytest.fixture
def url(busy, serve):
    return serve(busy[0])


# What is seen ---------------------------------------------------------------------------------


def test_an_operator_sees_what_becomes_of_pushes(url, visit):
    page = visit(url, viewport=WIDE)

    app = text_of(page, ".apps tr:has-text('apns.default')")
    assert app.startswith("apns.default APNs 1,2")
    assert "311 BadDeviceToken" in app
    assert "2 more reasons" in app
    assert "TopicDisallowed" not in app
    page.get_by_text("2 more reasons").click()
    assert "2 TopicDisallowed" in text_of(page, ".apps tr:has-text('apns.default')")
    assert "51 replaced" in text_of(page, ".apps tr:has-text('gcm.classic')")
    assert "12" in text_of(page, ".apps tr:has-text('gcm.default') td.unsent")


def test_an_operator_sees_the_last_hour(url, visit):
    page = visit(url, viewport=WIDE)

    plot = page.locator(".plot svg[role=img]")
    assert re.fullmatch(
        r"[\d,]+ accepted, [\d,]+ rejected, 2,700 given up; at the most [\d,]+ pushes in a minute,"
        r" at \d\d:\d\d UTC",
        plot.get_attribute("aria-label"),
    )
    assert plot.locator("g").count() == 60
    assert plot.locator("title").first.text_content().endswith(" rejected")
    assert text_of(page, ".figures").count("%") == 3


def test_an_operator_sees_how_far_fan_outs_are(url, visit):
    page = visit(url, viewport=WIDE)

    running, failed, finished = page.locator(".fanouts > li").all()
    assert "running" in running.inner_text()
    assert "5,332 of about 100,000 devices" in running.inner_text()
    assert running.get_by_role("progressbar").get_attribute("aria-valuenow") == "5"
    assert "connection to the database was lost" in failed.inner_text()
    assert "key newsletter-2026-11" in finished.inner_text()
    assert "100 %" in finished.inner_text()


def test_an_operator_sees_how_providers_fare_and_what_expires(url, visit):
    page = visit(url, viewport=WIDE)

    rows = {
        name: text_of(page, f".providers tr:has-text('{name}')")
        for name in ("apns.default", "apns.billing", "apns.lost-key", "gcm.default")
    }
    assert "fine" in rows["apns.default"]
    assert "9000/s" in rows["apns.default"]
    assert "does not expire" in rows["apns.default"]
    assert rows["apns.billing"].endswith("in 12 d")
    assert rows["apns.lost-key"].endswith("cannot be used")
    assert re.search(r"paused for \d+ s more", rows["gcm.default"])


def test_what_needs_attention_comes_first(url, visit):
    page = visit(url, viewport=WIDE)

    lines = [" ".join(line.split()) for line in page.locator(".concerns li").all_inner_texts()]
    assert page.title() == "(4) pushtasks"
    assert [line.split()[0] for line in lines] == ["Wrong", "Wrong", "Warning", "Warning"]
    assert "lost.p8, but there is no such file" in lines[0]
    assert "Certificate expires in 12 d" in lines[2]
    page.locator(".concerns").get_by_role("link", name="Fan-out").click()
    assert page.evaluate("document.querySelector(':target').className") == ""
    assert "failed" in text_of(page, ":target")


def test_dead_and_replaced_tokens_are_masked(url, visit):
    page = visit(url, viewport=WIDE)

    assert page.locator("[aria-labelledby=dead] tbody tr").count() == 8
    assert text_of(page, "[aria-labelledby=dead] tbody tr >> nth=1").startswith(
        "0ac3c3… apns.billing Unregistered"
    )
    assert text_of(page, "[aria-labelledby=replaced] tbody tr >> nth=0").startswith(
        "k5D2ov… n9W2em… gcm.classic"
    )


def test_no_token_payload_or_key_is_anywhere_in_the_answer(url, emulator_apps):
    _, _, text = answer(url)

    assert "0ac3c3" in text
    for secret in ("0ac3c3c", "APA91b", "xxxx", "yyyy", "nobody", "PRIVATE KEY", "secret"):
        assert secret not in text
    assert emulator_apps["gcm"]["classic"]["api_key"] not in text


def test_real_pushes_show(make_celery_app, emulator, emulator_apps, serve, visit):
    dead = "ab" * 32
    emulator.control(
        "PUT", f"/tokens/{dead}", {"reason": "Unregistered", "timestamp": 1767225600000}
    )
    page = visit(serve(make_celery_app(emulator_apps)), viewport=WIDE)
    assert text_of(page, "#concerns") == "Nothing was sent yet"

    send_apns("cd" * 32, {"aps": {"alert": "Hi"}})
    send_apns(dead, {"aps": {"alert": "Hi"}})
    send_gcm("fGx1hE:APA91b", {"notification": {"body": "Hi"}})
    page.reload()

    assert text_of(page, "#concerns") == "All is well"
    row = text_of(page, ".apps tr:has-text('apns.default')")
    assert row == "apns.default APNs 1 1 50.0 % 0 0 1 Unregistered 1 dead"
    assert "abab" in text_of(page, "[aria-labelledby=dead]")
    assert "1 Jan" in text_of(page, "[aria-labelledby=dead]")
    assert text_of(page, ".figures").startswith("accepted 2 66.7 % rejected 1 33.3 %")


# How it looks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_everything_is_readable(url, visit, scheme, viewport):
    page = visit(url, viewport=viewport, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")

    contrasts = page.evaluate(CONTRASTS)

    assert len(contrasts["text"]) > 150
    assert len(contrasts["drawn"]) > 60
    assert [one for one in contrasts["text"] if one[0] < TEXT_CONTRAST] == []
    assert [one for one in contrasts["drawn"] if one[0] < DRAWING_CONTRAST] == []
    assert overflow(page) <= 0
    assert page.messages == []


def test_nothing_comes_from_elsewhere_or_is_inline(url, visit):
    page = visit("about:blank")
    asked = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto(url)

    names = sorted(one.removeprefix(url) for one in asked)
    assert names[:3] == ["/", "/page/page.css", "/page/page.js"]
    _, headers, text = answer(url)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "style=" not in text
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)


def test_the_page_is_told_in_landmarks_headings_and_tables(url, visit):
    page = visit(url, viewport=WIDE)

    assert [one.inner_text() for one in page.get_by_role("heading", level=1).all()] == [
        "Push notifications"
    ]
    for landmark in ("banner", "main", "contentinfo", "navigation"):
        assert page.get_by_role(landmark).count() == 1
    tables = page.get_by_role("table")
    assert tables.count() == 4
    assert page.get_by_role("table", name="Last dead tokens").count() == 1
    assert page.get_by_role("rowheader", name="apns.billing").count() == 2
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"


# States ---------------------------------------------------------------------------------------


def test_before_the_first_push_the_page_says_how_to_send_one(
    make_celery_app, emulator_apps, serve, visit
):
    page = visit(serve(make_celery_app(emulator_apps)), viewport=PHONE)

    assert text_of(page, ".concerns") == (
        "Nothing was sent yet Send a first push: pushtasks send apns DEVICE_TOKEN --alert Hello"
    )
    assert "No push in the last hour." in text_of(page, "main")
    assert "No fan-out in the last week" in text_of(page, "main")
    assert overflow(page) <= 0
    assert page.messages == []


def test_without_redis_the_page_says_so_and_shows_what_it_knows(
    make_celery_app, emulator_apps, free_port, serve, visit
):
    celery_app = make_celery_app(emulator_apps, f"redis://:hunter2@127.0.0.1:{free_port}/0")
    url = serve(celery_app)

    page = visit(url, viewport=PHONE)

    assert "redis_url leads to it" in text_of(page, ".concerns")
    assert "does not expire" in text_of(page, ".providers tr:has-text('apns.default')")
    assert page.locator("#fanouts").count() == 0
    assert overflow(page) <= 0
    assert answer(url)[0] == 503
    assert "hunter2" not in answer(url)[2]


def test_settings_that_cannot_be_used_are_named(make_celery_app, serve, visit):
    url = serve(make_celery_app({"apns": {"default": {"topic": "com.example.app", "kee": "x"}}}))

    page = visit(url, viewport=PHONE)

    lines = page.locator(".concerns li p").all_inner_texts()
    assert len(lines) == int(text_of(page, "#concerns").split()[0]) == 2
    assert any("apns.default.kee" in line for line in lines)
    assert overflow(page) <= 0


def test_thirty_apps_and_the_longest_names_have_room(make_celery_app, fill, serve, visit):
    names = [f"customer-{number:02}" for number in range(29)] + ["n" * 60]
    celery_app = make_celery_app()
    filler = fill(celery_app)
    for name in names:
        filler.sent("gcm", name, 123_456_789_012, {"X" * 80: 3, "UNREGISTERED": 98_765_432})

    page = visit(serve(celery_app), viewport=WIDE)

    assert page.locator(".apps tbody tr").count() == 30
    assert "123,456,789,012" in text_of(page, ".apps tr:has-text('customer-28')")
    assert overflow(page) <= 0
    page.set_viewport_size(PHONE)
    assert overflow(page) <= 0


# Refreshing -----------------------------------------------------------------------------------


def test_the_page_refreshes_itself_and_leaves_the_reader_alone(busy, serve, visit):
    celery_app, filler = busy
    page = visit("about:blank", viewport=WIDE)
    page.clock.install()
    page.goto(serve(celery_app))
    page.locator("summary", has_text="2 more reasons").click()
    filler.sent("apns", "billing", 1_000_000)

    with page.expect_response(lambda response: response.request.resource_type == "fetch"):
        page.clock.run_for(10_000)
    page.locator(".apps tr:has-text('1,048,001')").wait_for()

    assert page.locator("details[open] >> text=TopicDisallowed").is_visible()
    assert page.evaluate("document.activeElement.textContent").startswith("2 more reasons")
    assert page.messages == []


def test_refreshing_can_be_switched_off(busy, serve, visit):
    page = visit("about:blank", viewport=WIDE)
    page.clock.install()
    page.goto(serve(busy[0]))
    asked = []
    page.on("request", lambda request: asked.append(request.resource_type))

    page.get_by_role("checkbox", name="every 10 seconds").uncheck()
    page.clock.run_for(60_000)

    assert "fetch" not in asked


def test_a_server_that_is_gone_is_told(busy, serve, visit):
    page = visit("about:blank", viewport=WIDE)
    page.clock.install()
    page.goto(serve(busy[0]))
    page.context.set_offline(True)

    page.clock.run_for(10_000)

    page.get_by_role("status").wait_for()
    assert "does not answer" in text_of(page, "#silent")
    assert "apns.default" in text_of(page, ".apps")


def test_without_javascript_there_is_a_link_to_reload(url, visit):
    page = visit(url, viewport=WIDE, java_script_enabled=False)

    page.get_by_role("link", name="Reload").click()

    assert not page.get_by_role("checkbox").is_visible()
    assert "apns.default" in text_of(page, ".apps")


# Cancelling -----------------------------------------------------------------------------------


def test_a_fan_out_is_cancelled_without_javascript(busy, serve, visit):
    celery_app, filler = busy
    running = filler.store.fanouts.newest(1)[0].id
    page = visit(serve(celery_app), viewport=PHONE, java_script_enabled=False)

    page.locator(f"#fanout-{running} summary").click()
    page.get_by_role("button", name=f"Cancel for good {running}").click()

    assert page.url.endswith(f"/#fanout-{running}")
    assert "being cancelled" in text_of(page, f"#fanout-{running}")
    assert page.locator(f"#fanout-{running} button").count() == 0
    assert filler.store.fanouts.find(running).state is State.CANCELLED


def test_a_form_from_elsewhere_cancels_nothing(busy, serve):
    celery_app, filler = busy
    other = filler.fanout()
    url = serve(celery_app)
    known = seals(answer(url)[2])
    running = next(one for one in known if one != other)

    for data in ({}, {"seal": ""}, {"seal": known[other]}, {"seal": "é"}):
        status, _, text = answer(f"{url}/fanouts/{running}/cancel", data)
        assert status == 403
        assert "not of this page" in text
    status, _, _ = answer(
        f"{url}/fanouts/{running}/cancel", {"seal": known[running]}, Origin="https://evil.example"
    )
    assert status == 403
    assert filler.store.fanouts.find(running).state is State.RUNNING


def test_any_process_accepts_the_form_of_another(busy, serve, make_celery_app):
    celery_app, filler = busy
    running = filler.store.fanouts.newest(1)[0].id
    seal = seals(answer(serve(celery_app))[2])[running]

    status, _, text = answer(f"{serve(make_celery_app())}/fanouts/{running}/cancel", {"seal": seal})

    assert status == 200  # after the redirect
    assert "being cancelled" in text


def test_what_is_over_is_not_cancelled_and_the_page_says_so(busy, serve, visit):
    celery_app, filler = busy
    running = filler.store.fanouts.newest(1)[0].id
    page = visit(serve(celery_app), viewport=WIDE)
    page.locator(f"#fanout-{running} summary").click()
    filler.client.delete(f"pushtasks:fanout:{running}")

    page.get_by_role("button", name="Cancel for good").click()

    assert text_of(page, "[role=alert]").startswith("Nothing was changed. fan-out")
    assert "is not known" in text_of(page, "[role=alert]")


# Where it is ----------------------------------------------------------------------------------


def test_the_page_needs_a_key_where_keys_are_set(busy, serve, visit):
    key, digest = new_key()
    url = serve(busy[0], Options(api_keys=ApiKeys.parse([digest])))

    assert answer(url)[0] == 401
    assert answer(f"{url}/page/page.css")[0] == 401

    page = visit(url, viewport=WIDE, http_credentials={"username": "operator", "password": key})
    assert "apns.default" in text_of(page, ".apps")
    assert page.evaluate("getComputedStyle(document.querySelector('.fanouts')).display") == "grid"


def test_the_page_works_within_another_application(busy, serve, visit):
    celery_app, filler = busy
    running = filler.store.fanouts.newest(1)[0].id
    host = Flask("host")
    host.register_blueprint(make_blueprint(celery_app), url_prefix="/push")
    page = visit(serve(host) + "/push/", viewport=WIDE)

    page.locator(f"#fanout-{running} summary").click()
    page.get_by_role("button", name="Cancel for good").click()

    assert "being cancelled" in text_of(page, f"#fanout-{running}")
    assert page.messages == []
