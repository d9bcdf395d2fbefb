"""Broken responses: no part of the page is written, and the read does not count as complete."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from harness.tap import TapRun, after, catalog_with, quick_retries, run_tap, state_with_bookmark
from tap_kombo.times import format_time
from tests.tap.raw_server import (
    CLOSE,
    DETAILS,
    SILENCE,
    Behavior,
    OffersRequest,
    Pieces,
    RawServer,
    Responder,
    http_response,
    page_json,
)

OFFERS = catalog_with("ats_offers")
NOW = datetime.now(UTC)
EARLIER = format_time(NOW - timedelta(hours=1))
REQUEST_TIMEOUT = 2

COMPLETE = page_json("ghost-1", "ghost-2")
GZIPPED = gzip.compress(COMPLETE)
LARGE_GZIP = gzip.compress(page_json(*(str(number) for number in range(10_000))))
CHUNKED = "Transfer-Encoding: chunked"

NOT_KOMBO = "The response is not Kombo's (HTTP 200)"
CORRUPT = "The response is truncated or corrupt"
NO_CONNECTION = "No connection to 127.0.0.1"
TOO_SLOW = f"No complete response within {REQUEST_TIMEOUT} seconds"
LOG_URL = "https://app.kombo.dev/my-prod/logs?interactionId=123456"


def sends(*pieces: bytes | float) -> Responder:
    return lambda _: pieces


def body(text: str | bytes) -> Responder:
    return sends(http_response(text.encode() if isinstance(text, str) else text))


def results(json_text: str) -> Responder:
    return body(f'{{"status":"success","data":{{"next":null,"results":{json_text}}}}}')


def next_cursor(json_text: str) -> Responder:
    return body(page_json("ghost-1", cursor=json_text))


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def drip(data: bytes) -> Pieces:
    for number in range(len(data)):
        yield data[number : number + 1]
        yield 0.5


def gzip_bomb(mebibytes: int) -> bytes:
    compressor = zlib.compressobj(wbits=31)
    block = b" " * (1 << 20)
    return b"".join(compressor.compress(block) for _ in range(mebibytes)) + compressor.flush()


class Case(NamedTuple):
    """A response in place of the second page, and the problem that the tap reports."""

    respond: Responder
    problem: str


TRANSIENT: dict[str, Case] = {
    "an empty body": Case(body(""), NOT_KOMBO),
    "truncated JSON": Case(body(COMPLETE[:-20]), NOT_KOMBO),
    "HTML": Case(
        sends(http_response(b"<html>Welcome to the WiFi</html>", "Content-Type: text/html")),
        NOT_KOMBO,
    ),
    "HTML of a gateway": Case(
        sends(http_response(b"<html></html>", "Content-Type: text/html", status="502 Oh no")),
        "HTTP 502",
    ),
    "HTML declared as JSON": Case(body("<html></html>"), NOT_KOMBO),
    "JSON null": Case(body("null"), NOT_KOMBO),
    "a JSON list": Case(body("[]"), NOT_KOMBO),
    "an empty object": Case(body("{}"), NOT_KOMBO),
    "an error without a code": Case(
        body('{"status":"error","error":{"code":null,"title":null,"message":"no"}}'), NOT_KOMBO
    ),
    "an error without a code, but with a log URL": Case(
        body(f'{{"status":"error","error":{{"code":null,"log_url":"{LOG_URL}"}}}}'),
        NOT_KOMBO.replace("200", f"200, {LOG_URL}"),
    ),
    "an error with an invalid code": Case(
        body('{"status":"error","error":{"code":7,"log_url":null}}'), NOT_KOMBO
    ),
    "an error that is null": Case(body('{"status":"error","error":null}'), NOT_KOMBO),
    "an error with data": Case(
        body('{"status":"error","data":{"next":null,"results":[{"id":"ghost-1"}]}}'), NOT_KOMBO
    ),
    "no status": Case(body('{"data":{"next":null,"results":[{"id":"ghost-1"}]}}'), NOT_KOMBO),
    "no data": Case(body('{"status":"success"}'), NOT_KOMBO),
    "data that is null": Case(body('{"status":"success","data":null}'), NOT_KOMBO),
    "data that is a list": Case(body('{"status":"success","data":[{"id":"ghost-1"}]}'), NOT_KOMBO),
    "no results": Case(body('{"status":"success","data":{"next":null}}'), NOT_KOMBO),
    "results that are null": Case(results("null"), NOT_KOMBO),
    "results that are an object": Case(results('{"id":"ghost-1"}'), NOT_KOMBO),
    "results with a number": Case(results('[{"id":"ghost-1"},7]'), NOT_KOMBO),
    "results with a null": Case(results('[{"id":"ghost-1"},null]'), NOT_KOMBO),
    "results with a list": Case(results('[{"id":"ghost-1"},[]]'), NOT_KOMBO),
    "no next": Case(body('{"status":"success","data":{"results":[{"id":"ghost-1"}]}}'), NOT_KOMBO),
    "a next that is a number": Case(next_cursor("7"), NOT_KOMBO),
    "a next that is an object": Case(next_cursor('{"cursor":"x"}'), NOT_KOMBO),
    "a next that is false": Case(next_cursor("false"), NOT_KOMBO),
    "a next that is empty": Case(next_cursor('""'), NOT_KOMBO),
    "two JSON documents": Case(body(COMPLETE + COMPLETE), NOT_KOMBO),
    "text after the JSON": Case(body(COMPLETE + b"<!-- served by a proxy -->"), NOT_KOMBO),
    "a byte order mark": Case(body(b"\xef\xbb\xbf" + COMPLETE), NOT_KOMBO),
    "UTF-16": Case(body(COMPLETE.decode().encode("utf-16")), NOT_KOMBO),
    "invalid UTF-8": Case(
        body(b'{"status":"success","data":{"next":null,"results":[{"id":"ghost\xff"}]}}'),
        NOT_KOMBO,
    ),
    "NaN": Case(results('[{"id":"ghost-1","salary":NaN}]'), NOT_KOMBO),
    "Infinity": Case(results('[{"id":"ghost-1","salary":-Infinity}]'), NOT_KOMBO),
    # Python 3.14 accepts 100,000 levels.
    "JSON nested too deeply": Case(
        results('[{"id":"ghost-1","remote_data":' + "[" * 500_000 + "]" * 500_000 + "}]"),
        NOT_KOMBO,
    ),
    "204 No Content": Case(
        sends(http_response(b"", status="204 No Content")), NOT_KOMBO.replace("200", "204")
    ),
    "206 Partial Content": Case(
        sends(
            http_response(COMPLETE, "Content-Range: bytes 0-66/900", status="206 Partial Content")
        ),
        NOT_KOMBO.replace("200", "206"),
    ),
    "a truncated body": Case(sends(http_response(COMPLETE)[:-20], CLOSE), CORRUPT),
    "a truncated body of unknown length": Case(
        sends(http_response(COMPLETE[:-20], "Connection: close", length=False), CLOSE), NOT_KOMBO
    ),
    "truncated chunks": Case(
        sends(http_response(b"", CHUNKED, length=False) + chunk(COMPLETE), CLOSE), CORRUPT
    ),
    "a chunk with an invalid size": Case(
        sends(http_response(b"", CHUNKED, length=False) + chunk(COMPLETE) + b"xyz\r\n\r\n"),
        CORRUPT,
    ),
    "two lengths": Case(
        sends(http_response(COMPLETE, "Content-Length: 7")), "The response is not valid HTTP"
    ),
    "plain text declared as gzip": Case(
        sends(http_response(COMPLETE, "Content-Encoding: gzip")), CORRUPT
    ),
    "truncated gzip": Case(
        sends(http_response(GZIPPED[:-30], "Content-Encoding: gzip")), NOT_KOMBO
    ),
    "gzip with a wrong checksum": Case(
        sends(http_response(GZIPPED[:-8] + b"12345678", "Content-Encoding: gzip")), CORRUPT
    ),
    "gzip with wrong bytes": Case(
        sends(
            http_response(GZIPPED[:20] + b"\xff\xff\xff" + GZIPPED[23:], "Content-Encoding: gzip")
        ),
        CORRUPT,
    ),
    "a closed connection": Case(sends(CLOSE), NO_CONNECTION),
    "another protocol": Case(sends(b"220 mail.example ESMTP\r\n", CLOSE), NO_CONNECTION),
    "silence": Case(sends(SILENCE), TOO_SLOW),
    "silence within the body": Case(sends(http_response(COMPLETE)[:-20], SILENCE), TOO_SLOW),
    "silence within the headers": Case(sends(http_response(COMPLETE)[:30], SILENCE), TOO_SLOW),
    "silence between chunks": Case(
        sends(http_response(b"", CHUNKED, length=False) + chunk(COMPLETE), SILENCE), TOO_SLOW
    ),
    "a body that drips": Case(
        lambda _: [http_response(COMPLETE)[:-60], *drip(COMPLETE[-60:])], TOO_SLOW
    ),
    "chunks that drip": Case(
        lambda _: [http_response(b"", CHUNKED, length=False), *drip(chunk(COMPLETE))], TOO_SLOW
    ),
    "gzip that drips": Case(
        lambda _: [
            http_response(LARGE_GZIP, "Content-Encoding: gzip")[:-999],
            *drip(LARGE_GZIP[-999:]),
        ],
        TOO_SLOW,
    ),
}

REDIRECTS = {
    **dict.fromkeys(
        ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"],
        "http://{elsewhere}/v1/ats/offers",
    ),
    "302 without a scheme": "//{elsewhere}/v1/ats/offers",
    "302 with a login": "http://user:word@{elsewhere}/",
    "302 to itself": "/v1/ats/offers?cursor=second",
    "302 to an invalid host": "http://[half",
    "302 to invalid UTF-8": "http://\xff\xfe/",
    "302 to an email address": "mailto:ada@example.com",
}


def redirect(status: str, location: str) -> Responder:
    return sends(http_response(b"", f"Location: {location}", status=status))


LOOPS = [(1, 0), (2, 0), (3, 0), (50, 0), (1, 7), (2, 1), (20, 20)]
"""The length of a cursor loop, and the number of pages before it."""


def loop(length: int, prefix: int) -> Responder:
    def respond(request: OffersRequest) -> Pieces:
        number = 1 if request.cursor == "second" else int(request.cursor or 0) + 1
        following = number if number < prefix + length else prefix
        yield http_response(page_json(cursor=f'"{following}"'))

    return respond


CURSOR_REJECTED = http_response(
    b'{"status":"error","error":{"code":"PLATFORM.INPUT_INVALID","log_url":null}}',
    status="400 Bad Request",
)

UNUSUAL: dict[str, Responder] = {
    "gzip": sends(http_response(GZIPPED, "Content-Encoding: gzip")),
    "chunks": sends(
        http_response(b"", CHUNKED, length=False),
        chunk(COMPLETE[:9]),
        chunk(COMPLETE[9:]),
        chunk(b""),
    ),
    "no length": sends(http_response(COMPLETE, "Connection: close", length=False), CLOSE),
    "JSON declared as text": sends(http_response(COMPLETE, "Content-Type: text/plain")),
    "100 Continue": sends(b"HTTP/1.1 100 Continue\r\n\r\n", 0.3, http_response(COMPLETE)),
    "an empty page in the middle": lambda request: [
        http_response(page_json(cursor='"third"') if request.cursor == "second" else COMPLETE)
    ],
    "pieces": sends(
        http_response(COMPLETE)[:50],
        0.3,
        http_response(COMPLETE)[50:180],
        0.3,
        http_response(COMPLETE)[180:],
    ),
}

INVALID_DATES = {
    "no header": [],
    "two headers": [NOW.strftime("Date: %a, %d %b %Y %H:%M:%S GMT")] * 2,
    **{
        form: [NOW.strftime(f"Date: {form}")]
        for form in (
            "tomorrow",
            "%Y-%m-%dT%H:%M:%SZ",
            "%a %b %d %H:%M:%S %Y",
            "%A, %d-%b-%y %H:%M:%S GMT",
            "%a, %d %b %Y %H:%M:%S",
            "%a, %d %b %Y %H:%M:%S CEST",
            "%a, %d %b %Y %H:%M:%S +02:00",
            "%a, %d %b %Y %I:%M:%S AM",
            "%a, %d Foo %Y %H:%M:%S GMT",
        )
    },
}
WRONG_CLOCKS = {
    "ahead": "Date: Sat, 30 Mar 2999 12:00:00 GMT",
    "behind": "Date: Thu, 01 Jan 1970 00:00:00 GMT",
}


def dated(*headers: str) -> Behavior:
    """Send both pages with these `Date` headers."""
    return Behavior(
        sends(http_response(COMPLETE, *headers, date=False)),
        first_page=sends(http_response(page_json(cursor='"second"'), *headers, date=False)),
    )


def named(*words: object) -> str:
    """Name an integration after its case."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(map(str, words)).lower())


@dataclass(frozen=True)
class RunOfAllCases:
    """A run over all cases, with one integration per case."""

    run: TapRun
    kombo: RawServer
    elsewhere: RawServer

    def requests(self, integration_id: str, cursor: str | None = "second") -> int:
        return self.kombo.requests[OffersRequest(integration_id, cursor)]

    def offers(self, integration_id: str) -> list[str]:
        return [
            record["id"].removeprefix(f"{integration_id}-")
            for record in self.run.records["ats_offers"]
            if record["integration_id"] == integration_id
        ]

    def bookmark(self, integration_id: str) -> str:
        return self.run.bookmark("ats_offers", integration_id) or ""

    def error(self, integration_id: str) -> str:
        """Return the error of an integration."""
        start = f"Could not read {integration_id} (ats_offers): "
        [error] = [error for error in self.run.errors if error.startswith(start)]
        return error.removeprefix(start)


@pytest.fixture(scope="module")
def cases() -> Iterator[RunOfAllCases]:
    with RawServer() as elsewhere:
        behaviors = {
            **{named("always", name): Behavior(case.respond) for name, case in TRANSIENT.items()},
            **{
                named("once", name): Behavior(case.respond, times=1)
                for name, case in TRANSIENT.items()
            },
            **{
                named("redirect", status): Behavior(
                    redirect(status, location.format(elsewhere=elsewhere.host))
                )
                for status, location in REDIRECTS.items()
            },
            **{named("loop", *size): Behavior(loop(*size)) for size in LOOPS},
            **{named("unusual", name): Behavior(respond) for name, respond in UNUSUAL.items()},
            **{named("date", name): dated(*headers) for name, headers in INVALID_DATES.items()},
            **{named("clock", name): dated(header) for name, header in WRONG_CLOCKS.items()},
            "rejected": Behavior(sends(CURSOR_REJECTED)),
            "rejected-three-times": Behavior(sends(CURSOR_REJECTED), times=3),
        }
        with RawServer(behaviors) as kombo:
            settings = {
                "api_key": "ks_dev_raw",
                "api_url": kombo.url,
                "integration_ids": list(behaviors),
                "concurrency": 32,
                "request_timeout_seconds": REQUEST_TIMEOUT,
                "max_wait_seconds": 20,
            }
            with quick_retries():
                run = run_tap(
                    settings,
                    catalog=OFFERS,
                    state=state_with_bookmark(EARLIER, behaviors),
                    stop_when=after(60),
                )
        yield RunOfAllCases(run, kombo, elsewhere)


def test_a_run_with_all_broken_responses_ends_by_itself(cases: RunOfAllCases) -> None:
    assert cases.run.code == 1
    assert not any("bug in tap-kombo" in error for error in cases.run.errors)
    assert "Traceback" not in cases.run.stderr


@pytest.mark.parametrize("name", TRANSIENT)
def test_a_broken_response_is_retried_until_the_read_fails(cases: RunOfAllCases, name: str) -> None:
    """In 20 seconds, six requests that fail at once and five that time out."""
    integration_id = named("always", name)

    assert cases.requests(integration_id) in {5, 6}
    assert cases.offers(integration_id) == ["1"]
    assert cases.bookmark(integration_id) == EARLIER
    assert cases.error(integration_id).startswith(TRANSIENT[name].problem)


@pytest.mark.parametrize("name", TRANSIENT)
def test_a_retry_after_a_broken_response_completes_the_read(
    cases: RunOfAllCases, name: str
) -> None:
    integration_id = named("once", name)

    assert cases.requests(integration_id) == 2
    assert cases.offers(integration_id) == ["1", "2"]
    assert cases.bookmark(integration_id) > EARLIER


@pytest.mark.parametrize("status", REDIRECTS)
def test_redirects_are_not_followed(cases: RunOfAllCases, status: str) -> None:
    integration_id = named("redirect", status)

    assert cases.elsewhere.heads == []
    assert cases.requests(integration_id) == 1
    assert cases.offers(integration_id) == ["1"]
    assert cases.bookmark(integration_id) == EARLIER
    assert cases.error(integration_id).startswith(f"HTTP {status[:3]}. Redirects are not followed")


@pytest.mark.parametrize(("length", "prefix"), LOOPS)
def test_cursors_in_a_loop_fail_the_read(cases: RunOfAllCases, length: int, prefix: int) -> None:
    integration_id = named("loop", length, prefix)

    requests = [
        count
        for request, count in cases.kombo.requests.items()
        if request.integration_id == integration_id
    ]
    assert requests == [1] * len(requests)
    assert length + prefix <= len(requests) <= length + prefix + 2
    assert cases.bookmark(integration_id) == EARLIER
    assert cases.error(integration_id).startswith("The same cursor came twice")


def test_a_read_restarts_three_times_if_its_cursor_is_rejected(cases: RunOfAllCases) -> None:
    assert cases.requests("rejected", None) == cases.requests("rejected") == 4
    assert set(cases.offers("rejected")) == {"1"}
    assert cases.bookmark("rejected") == EARLIER
    assert cases.error("rejected").startswith("PLATFORM.INPUT_INVALID (HTTP 400)")


def test_a_cursor_rejected_three_times_only_repeats_records(cases: RunOfAllCases) -> None:
    assert cases.requests("rejected-three-times", None) == 4
    assert cases.offers("rejected-three-times") == ["1", "1", "1", "1", "2"]
    assert cases.bookmark("rejected-three-times") > EARLIER


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_responses_are_read(cases: RunOfAllCases, name: str) -> None:
    integration_id = named("unusual", name)

    assert cases.requests(integration_id) == 1
    assert cases.offers(integration_id) == ["1", "ghost-1", "ghost-2"]
    assert cases.bookmark(integration_id) > EARLIER


@pytest.mark.parametrize("name", INVALID_DATES)
def test_without_a_valid_date_the_clock_of_earlier_responses_sets_the_bookmark(
    cases: RunOfAllCases, name: str
) -> None:
    integration_id = named("date", name)

    assert cases.offers(integration_id) == ["ghost-1", "ghost-2"]
    assert EARLIER < cases.bookmark(integration_id) < format_time(datetime.now(UTC))


def test_a_clock_that_is_ahead_does_not_set_a_bookmark_in_the_future(cases: RunOfAllCases) -> None:
    assert cases.offers("clock-ahead") == ["ghost-1", "ghost-2"]
    assert EARLIER < cases.bookmark("clock-ahead") < format_time(datetime.now(UTC))


def test_a_clock_that_is_behind_does_not_move_a_bookmark_back(cases: RunOfAllCases) -> None:
    assert cases.offers("clock-behind") == ["ghost-1", "ghost-2"]
    assert cases.bookmark("clock-behind") == EARLIER


class ServerAhead(RawServer):
    """A server whose clock is a day ahead, except in the details of integrations."""

    def respond(self, head: str) -> Pieces:
        moment = NOW if "/integrations/" in head else NOW + timedelta(days=1)
        offers = page_json("1") if "/ats/offers" in head else None
        date = moment.strftime("Date: %a, %d %b %Y %H:%M:%S GMT")
        yield http_response(offers or DETAILS, date, date=False)


class ServerWithoutClock(RawServer):
    def respond(self, head: str) -> Pieces:  # noqa: ARG002  # the same for all requests
        yield http_response(page_json("1"), date=False)


class ServerWithLateClock(RawServer):
    """A server without a clock until the API key is checked a second time."""

    def respond(self, head: str) -> Pieces:
        checks = [earlier for earlier in self.heads if "/check-api-key" in earlier]
        if len(checks) < 2:
            status = "503 Down" if "/check-api-key" in head else "404 Not Found"
            yield http_response(b"", status=status, date=False)
        else:
            yield http_response(page_json("1"))


def settings_of(server: RawServer) -> dict[str, object]:
    return {"api_key": "ks_dev_raw", "api_url": server.url, "integration_ids": ["a"]}


def test_the_clock_that_is_furthest_behind_sets_all_bookmarks() -> None:
    with ServerAhead() as kombo:
        run = run_tap(settings_of(kombo), catalog=OFFERS)

    assert run.code == 0
    assert EARLIER < (run.bookmark("ats_offers", "a") or "") < format_time(datetime.now(UTC))


def test_a_server_without_a_clock_ends_the_run() -> None:
    before = state_with_bookmark(EARLIER, ["a"])

    with ServerWithoutClock() as kombo:
        settings = {**settings_of(kombo), "max_wait_seconds": 1}
        run = run_tap(settings, catalog=OFFERS, state=before)

    assert run.code == 1
    [error] = run.errors
    assert error.startswith("The run ended early: The response has no valid `Date` header")
    assert run.state == before
    assert run.records == {}


def test_age_of_a_state_is_known_before_a_read_starts() -> None:
    old = state_with_bookmark(format_time(NOW - timedelta(days=20)), ["a"])

    with ServerWithLateClock() as kombo:
        run = run_tap(settings_of(kombo), catalog=OFFERS, state=old)

    assert run.code == 0, run.stderr
    [offers] = [head for head in kombo.heads if "/ats/offers" in head]
    assert "updated_after" not in offers
    assert run.warnings[0].startswith("ats_offers (a): the last read was 2 weeks")


def test_a_response_that_is_too_large_is_requested_in_smaller_pages() -> None:
    """Pages of 250, 125, 62, 31, 15, 7, 3 and 1; one record may have up to 256 MiB."""
    before = state_with_bookmark(EARLIER, ["a"])
    bomb = sends(http_response(gzip_bomb(300), "Content-Encoding: gzip"))

    with RawServer({"a": Behavior(bomb)}) as kombo:
        run = run_tap(settings_of(kombo), catalog=OFFERS, state=before)

    assert run.code == 1
    assert kombo.requests[OffersRequest("a", "second")] == 8
    assert run.ids("ats_offers") == ["a-1"]
    assert run.bookmark("ats_offers", "a") == EARLIER
    [error] = run.errors
    assert error.startswith("Could not read a (ats_offers): The response is larger than 256 MiB")
