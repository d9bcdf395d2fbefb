"""What is no whole answer of Kombo's is never half a page, and never an empty success."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tap_kombo.times import write_time
from tests.tap.raw_server import END, SILENCE, Asked, Broken, Pieces, RawKombo, http, page
from tests.tap_run import TapRun, catalog_with, run_tap, state_at

OFFERS = catalog_with("ats_offers")
NOW = datetime.now(UTC)
BEFORE = write_time(NOW - timedelta(hours=1))
TIMEOUT = 2

WHOLE = page("ghost-1", "ghost-2")
PACKED = gzip.compress(WHOLE)
CHUNKED = "Transfer-Encoding: chunked"
NOT_KOMBO = "The answer is not one of Kombo's (HTTP 200). What arrived is not a whole answer"
GARBLED = "The answer broke off or is garbled. What arrived is not a whole answer"
CUT_OFF = "The connection broke. Check the network"
NO_HTTP = "What answers at 127.0.0.1 is no HTTP. Check `api_url`"
TOO_SLOW = f"There was no whole answer within {TIMEOUT} seconds. Check the network"
CODE = "INTEGRATION.PERMISSION_MISSING"
LOG_URL = "https://app.kombo.dev/my-prod/logs?interactionId=123456"


def sends(*pieces: bytes | float) -> Callable[[Asked], Pieces]:
    return lambda _: pieces


def body(text: str | bytes) -> Callable[[Asked], Pieces]:
    return sends(http(text.encode() if isinstance(text, str) else text))


def results(text: str) -> Callable[[Asked], Pieces]:
    return body(f'{{"status":"success","data":{{"next":null,"results":{text}}}}}')


def with_next(text: str) -> Callable[[Asked], Pieces]:
    return body(page("ghost-1", cursor=text))


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def drip(data: bytes, pause: float = 0.5) -> Pieces:
    for number in range(len(data)):
        yield data[number : number + 1]
        yield pause


def bomb(mebibytes: int) -> bytes:
    packer = zlib.compressobj(wbits=31)
    block = b" " * (1 << 20)
    return b"".join(packer.compress(block) for _ in range(mebibytes)) + packer.flush()


Case = tuple[Callable[[Asked], Pieces], str]
"""What arrives instead of the second page, and what the person on call reads of it."""

BROKEN: dict[str, Case] = {
    "nothing": (body(""), NOT_KOMBO),
    "half a JSON": (body(WHOLE[:-20]), NOT_KOMBO),
    "HTML": (
        sends(http(b"<html>Welcome to the WiFi</html>", "Content-Type: text/html")),
        NOT_KOMBO,
    ),
    "HTML of a gateway": (
        sends(http(b"<html>Bad gateway</html>", "Content-Type: text/html", status="502 Oh no")),
        "HTTP 502. Kombo, or something on the way to it, failed",
    ),
    "HTML that says it is JSON": (body("<html></html>"), NOT_KOMBO),
    "a JSON null": (body("null"), NOT_KOMBO),
    "a JSON list": (body("[]"), NOT_KOMBO),
    "an empty object": (body("{}"), NOT_KOMBO),
    "an error without a code": (
        body('{"status":"error","error":{"code":null,"title":null,"message":"no"}}'),
        NOT_KOMBO,
    ),
    "an error without a code that has a log": (
        body(f'{{"status":"error","error":{{"code":null,"log_url":"{LOG_URL}"}}}}'),
        NOT_KOMBO.replace("200", f"200, {LOG_URL}"),
    ),
    "an error that is null": (body('{"status":"error","error":null}'), NOT_KOMBO),
    "an error beside data": (
        body('{"status":"error","data":{"next":null,"results":[{"id":"ghost-1"}]}}'),
        NOT_KOMBO,
    ),
    "no status": (body('{"data":{"next":null,"results":[{"id":"ghost-1"}]}}'), NOT_KOMBO),
    "no data": (body('{"status":"success"}'), NOT_KOMBO),
    "data that is null": (body('{"status":"success","data":null}'), NOT_KOMBO),
    "data that is a list": (body('{"status":"success","data":[{"id":"ghost-1"}]}'), NOT_KOMBO),
    "results that are null": (results("null"), NOT_KOMBO),
    "no results": (body('{"status":"success","data":{"next":null}}'), NOT_KOMBO),
    "results that are an object": (results('{"id":"ghost-1"}'), NOT_KOMBO),
    "a number among the results": (results('[{"id":"ghost-1"},7]'), NOT_KOMBO),
    "a null among the results": (results('[{"id":"ghost-1"},null]'), NOT_KOMBO),
    "a list among the results": (results('[{"id":"ghost-1"},[]]'), NOT_KOMBO),
    "no next": (body('{"status":"success","data":{"results":[{"id":"ghost-1"}]}}'), NOT_KOMBO),
    "a next that is a number": (with_next("7"), NOT_KOMBO),
    "a next that is an object": (with_next('{"cursor":"x"}'), NOT_KOMBO),
    "a next that is false": (with_next("false"), NOT_KOMBO),
    "a next that is empty": (with_next('""'), NOT_KOMBO),
    "two JSON documents": (body(WHOLE + WHOLE), NOT_KOMBO),
    "something after the JSON": (body(WHOLE + b"<!-- served by a proxy -->"), NOT_KOMBO),
    "a byte order mark": (body(b"\xef\xbb\xbf" + WHOLE), NOT_KOMBO),
    "UTF-16": (body(WHOLE.decode().encode("utf-16")), NOT_KOMBO),
    "no UTF-8": (
        body(b'{"status":"success","data":{"next":null,"results":[{"id":"ghost\xff"}]}}'),
        NOT_KOMBO,
    ),
    "NaN": (results('[{"id":"ghost-1","salary":NaN}]'), NOT_KOMBO),
    "Infinity": (results('[{"id":"ghost-1","salary":-Infinity}]'), NOT_KOMBO),
    "JSON of endless depth": (
        results('[{"id":"ghost-1","remote_data":' + "[" * 99_999 + "]" * 99_999 + "}]"),
        NOT_KOMBO,
    ),
    "no content": (sends(http(b"", status="204 No Content")), NOT_KOMBO.replace("200", "204")),
    "partial content": (
        sends(http(WHOLE, "Content-Range: bytes 0-66/900", status="206 Partial Content")),
        NOT_KOMBO.replace("200", "206"),
    ),
    "a body that is cut off": (sends(http(WHOLE)[:-20], END), GARBLED),
    "a body of unknown length that is cut off": (
        sends(http(WHOLE[:-20], "Connection: close", length=False), END),
        NOT_KOMBO,
    ),
    "chunks that are cut off": (
        sends(http(b"", CHUNKED, length=False) + chunk(WHOLE), END),
        GARBLED,
    ),
    "chunks of no size": (
        sends(http(b"", CHUNKED, length=False) + chunk(WHOLE) + b"-10\r\n\r\n"),
        GARBLED,
    ),
    "two lengths": (sends(http(WHOLE, "Content-Length: 7")), GARBLED),
    "gzip that is none": (sends(http(WHOLE, "Content-Encoding: gzip")), GARBLED),
    "gzip that is cut off": (sends(http(PACKED[:-30], "Content-Encoding: gzip")), NOT_KOMBO),
    "gzip with a wrong checksum": (
        sends(http(PACKED[:-8] + b"12345678", "Content-Encoding: gzip")),
        GARBLED,
    ),
    "gzip with a wrong byte": (
        sends(http(PACKED[:20] + b"\xff\xff\xff" + PACKED[23:], "Content-Encoding: gzip")),
        GARBLED,
    ),
    "no answer but the end": (sends(END), CUT_OFF),
    "no HTTP": (sends(b"220 mail.example ESMTP\r\n", END), NO_HTTP),
    "silence": (sends(SILENCE), TOO_SLOW),
    "silence in the middle": (sends(http(WHOLE)[:-20], SILENCE), TOO_SLOW),
    "silence in the middle of the head": (sends(http(WHOLE)[:30], SILENCE), TOO_SLOW),
    "silence between chunks": (
        sends(http(b"", CHUNKED, length=False) + chunk(WHOLE), SILENCE),
        TOO_SLOW,
    ),
    "a body that drips": (lambda _: [http(WHOLE)[:-60], *drip(WHOLE[-60:])], TOO_SLOW),
    "a head that drips": (lambda _: drip(http(WHOLE)), TOO_SLOW),
    "chunks that drip": (
        lambda _: [http(b"", CHUNKED, length=False), *drip(chunk(WHOLE))],
        TOO_SLOW,
    ),
    "gzip that drips": (
        lambda _: [http(PACKED, "Content-Encoding: gzip")[:-60], *drip(PACKED[-60:])],
        TOO_SLOW,
    ),
    "interim answers without end": (
        lambda _: [b"HTTP/1.1 100 Continue\r\n\r\n", 0.5] * 99,
        TOO_SLOW,
    ),
}
NO_CLOCK = "The answer has no valid `Date` header"


def at(form: str, moment: datetime = NOW) -> Case:
    """Answer with a `Date` in a form of `strftime`'s."""
    return sends(http(WHOLE, moment.strftime(f"Date: {form}"), date=False)), NO_CLOCK


FINAL: dict[str, Case] = {
    "no clock": (sends(http(WHOLE, date=False)), NO_CLOCK),
    "a clock that is none": at("tomorrow"),
    "a clock of ISO 8601": at("%Y-%m-%dT%H:%M:%SZ"),
    "a clock of no zone": at("%a, %d %b %Y %H:%M:%S"),
    "a clock of a zone by its name": at("%a, %d %b %Y %H:%M:%S CEST"),
    "a clock of a zone by name and number": at("%a, %d %b %Y %H:%M:%S GMT+0200"),
    "a clock of a zone with a colon": at("%a, %d %b %Y %H:%M:%S +02:00"),
    "a clock of twelve hours": at("%a, %d %b %Y %I:%M:%S AM"),
    "a clock of a month that is none": at("%a, %d Foo %Y %H:%M:%S GMT"),
    "a clock of a zone that is none": at("%a, %d %b %Y %H:%M:%S +9999"),
    "a clock of the first year": at("%a, %d %b 0001 %H:%M:%S GMT"),
    "a clock of the last year": at("Fri, 31 Dec 9999 23:59:59 GMT"),
    "a code that counts, whatever stands beside it": (
        body(f'{{"status":"error","error":{{"code":"{CODE}","log_url":[]}}}}'),
        f"{CODE} (HTTP 200)",
    ),
    "a log that counts, whatever stands beside it": (
        sends(
            http(
                f'{{"status":"error","error":{{"code":7,"log_url":"{LOG_URL}"}}}}'.encode(),
                status="400 Bad Request",
            )
        ),
        f"HTTP 400 ({LOG_URL})",
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
    "302 to half an address": "http://[half",
    "302 to no text": "http://\xff\xfe/",
    "302 to a mailbox": "mailto:ada@example.com",
}


def redirect(status: str, location: str) -> Callable[[Asked], Pieces]:
    return sends(http(b"", f"Location: {location}", status=status))


CIRCLES = [(1, 0), (2, 0), (3, 0), (50, 0), (1, 7), (2, 1), (20, 20)]


def circle(length: int, prefix: int) -> Callable[[Asked], Pieces]:
    """Point from page to page, and from the last one back to the first after the prefix."""

    def answer(asked: Asked) -> Pieces:
        number = 1 if asked.cursor == "second" else int(asked.cursor or 0) + 1
        upcoming = number if number < prefix + length else prefix
        yield http(page(cursor=f'"{upcoming}"'))

    return answer


REFUSED = http(
    b'{"status":"error","error":{"code":"PLATFORM.INPUT_INVALID","log_url":null}}',
    status="400 Bad Request",
)

TOO_LARGE: Case = (
    sends(http(bomb(300), "Content-Encoding: gzip")),
    "The answer is larger than 256 MiB (HTTP 200). Nothing of it was used, and it cannot be had in",
)
WELL: dict[str, Callable[[Asked], Pieces]] = {
    # unusual, and whole
    "gzip": sends(http(PACKED, "Content-Encoding: gzip")),
    "chunks": sends(
        http(b"", CHUNKED, length=False), chunk(WHOLE[:9]), chunk(WHOLE[9:]), chunk(b"")
    ),
    "no length": sends(http(WHOLE, "Connection: close", length=False), END),
    "JSON that says it is text": sends(http(WHOLE, "Content-Type: text/plain")),
    "interim answers": sends(
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n",
        0.3,
        http(WHOLE),
    ),
    "an empty page in the middle": lambda asked: [
        http(page(cursor='"third"') if asked.cursor == "second" else WHOLE)
    ],
    "a clock twice": sends(http(WHOLE, NOW.strftime("Date: %a, %d %b %Y %H:%M:%S GMT"))),
    "a clock of UTC": at("%a, %d %b %Y %H:%M:%S UTC")[0],
    "a clock of another zone": at("%a, %d %b %Y %H:%M:%S -0200", NOW - timedelta(hours=2))[0],
    "pieces": sends(http(WHOLE)[:50], 0.3, http(WHOLE)[50:180], 0.3, http(WHOLE)[180:]),
}


CLOCKS = {
    "ahead": "Date: Sat, 30 Mar 2999 12:00:00 GMT",
    "behind": "Date: Thu, 01 Jan 1970 00:00:00 GMT",
}


def named(*words: object) -> str:
    """Name an integration after its case."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(map(str, words)).lower())


@dataclass(frozen=True)
class Night:
    """A run over all cases, one integration each."""

    run: TapRun
    kombo: RawKombo
    elsewhere: RawKombo

    def asked(self, integration_id: str, cursor: str | None = "second") -> int:
        return self.kombo.asked[Asked(integration_id, cursor)]

    def arrived(self, integration_id: str) -> list[str]:
        return [
            record["id"].removeprefix(f"{integration_id}-")
            for record in self.run.records["ats_offers"]
            if record["integration_id"] == integration_id
        ]

    def bookmark(self, integration_id: str) -> str:
        return self.run.bookmark("ats_offers", integration_id) or ""

    def is_told(self, integration_id: str, sentence: str) -> bool:
        told = f"Could not read {integration_id} (ats_offers): "
        [error] = [error for error in self.run.errors if error.startswith(told)]
        return error.startswith(told + sentence)


@pytest.fixture(scope="module")
def night() -> Iterator[Night]:
    with RawKombo() as elsewhere:
        broken = {
            **{named("always", name): Broken(case[0]) for name, case in BROKEN.items()},
            **{named("once", name): Broken(case[0], times=1) for name, case in BROKEN.items()},
            **{named("final", name): Broken(case[0]) for name, case in FINAL.items()},
            **{
                named("redirect", status): Broken(
                    redirect(status, location.format(elsewhere=elsewhere.host))
                )
                for status, location in REDIRECTS.items()
            },
            **{named("circle", *case): Broken(circle(*case)) for case in CIRCLES},
            "too-large": Broken(TOO_LARGE[0]),
            **{named("well", name): Broken(answer) for name, answer in WELL.items()},
            **{
                named("clock", name): Broken(
                    sends(http(WHOLE, date, date=False)),
                    first=sends(http(page(cursor='"second"'), date, date=False)),
                )
                for name, date in CLOCKS.items()
            },
            "refused": Broken(sends(REFUSED)),
            "refused-thrice": Broken(sends(REFUSED), times=3),
        }
        with RawKombo(broken) as kombo:
            settings = {
                "api_key": "ks_dev_raw",
                "api_url": kombo.url,
                "integration_ids": list(broken),
                "concurrency": 64,
                "request_timeout_seconds": TIMEOUT,
            }
            run = run_tap(settings, catalog=OFFERS, state=state_at(BEFORE, broken))
        yield Night(run, kombo, elsewhere)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_fails_its_read_after_a_few_tries(night: Night, name: str) -> None:
    integration_id = named("always", name)

    assert night.run.code == 1
    assert night.asked(integration_id) == 6
    assert night.arrived(integration_id) == ["1"]
    assert night.bookmark(integration_id) == BEFORE
    assert night.is_told(integration_id, BROKEN[name][1])


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_that_is_whole_the_next_time_costs_nothing(night: Night, name: str) -> None:
    integration_id = named("once", name)

    assert night.asked(integration_id) == 2
    assert night.arrived(integration_id) == ["1", "2"]
    assert night.bookmark(integration_id) > BEFORE


@pytest.mark.parametrize("name", FINAL)
def test_what_asking_again_would_not_mend_fails_at_once(night: Night, name: str) -> None:
    integration_id = named("final", name)

    assert night.asked(integration_id) == 1
    assert night.arrived(integration_id) == ["1"]
    assert night.bookmark(integration_id) == BEFORE
    assert night.is_told(integration_id, FINAL[name][1])


def test_what_is_more_than_memory_should_hold_is_asked_for_in_ever_smaller_pages(
    night: Night,
) -> None:
    """Of 250 records, 125, 62, 31, 15, 7, 3 and 1: and one could be larger than that."""
    assert night.asked("too-large") == 8
    assert night.arrived("too-large") == ["1"]
    assert night.bookmark("too-large") == BEFORE
    assert night.is_told("too-large", TOO_LARGE[1])


@pytest.mark.parametrize("status", REDIRECTS)
def test_nothing_follows_a_redirect(night: Night, status: str) -> None:
    integration_id = named("redirect", status)

    assert night.elsewhere.heads == []
    assert night.asked(integration_id) == 1
    assert night.arrived(integration_id) == ["1"]
    assert night.bookmark(integration_id) == BEFORE
    assert night.is_told(integration_id, f"HTTP {status[:3]}. A redirect is never followed")


@pytest.mark.parametrize(("length", "prefix"), CIRCLES)
def test_pages_in_a_circle_fail_instead_of_never_ending(
    night: Night, length: int, prefix: int
) -> None:
    integration_id = named("circle", length, prefix)

    asked = [times for a, times in night.kombo.asked.items() if a.integration_id == integration_id]
    assert asked == [1] * len(asked)
    assert length + prefix <= len(asked) <= length + prefix + 2
    assert night.bookmark(integration_id) == BEFORE
    assert night.is_told(
        integration_id, "The same cursor came twice in one read. Kombo's pages have no end here"
    )


def test_a_refused_cursor_makes_the_read_start_again_three_times_at_most(night: Night) -> None:
    assert night.asked("refused", None) == night.asked("refused") == 4
    assert set(night.arrived("refused")) == {"1"}
    assert night.bookmark("refused") == BEFORE
    assert night.is_told("refused", "PLATFORM.INPUT_INVALID (HTTP 400)")


def test_a_cursor_that_is_refused_three_times_costs_only_repetitions(night: Night) -> None:
    assert night.asked("refused-thrice", None) == 4
    assert night.arrived("refused-thrice") == ["1", "1", "1", "1", "2"]
    assert night.bookmark("refused-thrice") > BEFORE


@pytest.mark.parametrize("name", WELL)
def test_a_whole_answer_counts_however_it_comes(night: Night, name: str) -> None:
    integration_id = named("well", name)

    assert night.asked(integration_id) == 1
    assert night.arrived(integration_id) == ["1", "ghost-1", "ghost-2"]
    assert night.bookmark(integration_id) > BEFORE


def test_a_clock_that_runs_ahead_moves_no_bookmark_ahead(night: Night) -> None:
    """Kombo's other answers tell the time."""
    assert night.arrived("clock-ahead") == ["ghost-1", "ghost-2"]
    assert BEFORE < night.bookmark("clock-ahead") < write_time(datetime.now(UTC))


def test_a_clock_that_runs_behind_moves_no_bookmark_back(night: Night) -> None:
    assert night.arrived("clock-behind") == ["ghost-1", "ghost-2"]
    assert night.bookmark("clock-behind") == BEFORE


SOCKS = """
import socket
PROXY_TYPE_SOCKS4, PROXY_TYPE_SOCKS5 = 1, 2
class ProxyError(OSError): pass
def create_connection(address, timeout, **proxy): return socket.create_connection(address, timeout)
"""
"""What stands in for PySocks, and for the proxy."""


def test_a_socks_proxy_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "socks.py").write_text(SOCKS)
    broken = {
        "early": Broken(WELL["interim answers"]),
        "drip": Broken(BROKEN["a body that drips"][0], times=1),
    }
    with RawKombo(broken) as kombo:
        settings = {
            "api_key": "ks_dev_raw",
            "api_url": kombo.url,
            "integration_ids": list(broken),
            "request_timeout_seconds": TIMEOUT,
        }
        env = {
            "HTTP_PROXY": "socks5://127.0.0.1:9",
            "NO_PROXY": "",
            "PYTHONPATH": str(tmp_path),
        }
        run = run_tap(settings, catalog=OFFERS, env=env)

    assert run.code == 0
    assert kombo.asked[Asked("early", "second")] == 1
    assert kombo.asked[Asked("drip", "second")] == 2
    assert run.ids("ats_offers") == ["drip-1", "drip-2", "early-1", "ghost-1", "ghost-2"]


class MostlyAhead(RawKombo):
    """Its clock is a day ahead, but for what it says of an integration."""

    def answer(self, head: str) -> Pieces:
        moment = NOW if "/integrations/" in head else NOW + timedelta(days=1)
        offers = page("1") if "/ats/offers" in head else None
        details = b'{"status":"success","data":{"category":"ATS","read_models":[]}}'
        date = moment.strftime("Date: %a, %d %b %Y %H:%M:%S GMT")
        yield http(offers or details, date, date=False)


def test_one_right_clock_holds_back_all_that_run_ahead_also_the_first() -> None:
    with MostlyAhead() as kombo:
        settings = {"api_key": "ks_dev_raw", "api_url": kombo.url, "integration_ids": ["a"]}
        run = run_tap(settings, catalog=OFFERS)

    assert run.code == 0
    assert BEFORE < (run.bookmark("ats_offers", "a") or "") < write_time(datetime.now(UTC))


def test_no_answer_is_taken_for_a_mistake_of_the_tap(night: Night) -> None:
    assert not [error for error in night.run.errors if "mistake" in error or "Unexpected" in error]
    assert "Traceback" not in night.run.stderr
