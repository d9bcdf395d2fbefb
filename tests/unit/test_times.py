"""Times of settings, states and HTTP headers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tap_kombo.times import (
    format_time,
    has_offset,
    in_words,
    parse_http_date,
    parse_start_date,
    parse_time,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31T12:00:00", NOON),
        ("2026-01-31 12:00", NOON),
        ("2026-01-31T14:00:00+02:00", NOON),
    ],
)
def test_start_date_is_utc_without_an_offset(text: str, moment: datetime) -> None:
    assert parse_start_date(text) == moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31", False),
        ("2026-01-31T12:00:00", False),
        ("2026-01-31T12:00:00Z", True),
        ("2026-01-31T14:00:00+02:00", True),
    ],
)
def test_time_may_have_an_offset(text: str, *, expected: bool) -> None:
    assert has_offset(text) is expected


@pytest.mark.parametrize("text", ["2026-02-30", "P1D", "12:00", "2026-01-01/2026-02-01", "x", ""])
def test_start_date_is_a_date_or_a_time(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the message is the parser's
        parse_start_date(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.000Z",
        "2026-01-31T12:00:00",
        "2026-01-31T14:00:00+02:00",
    ],
)
def test_time_of_a_state_is_utc_without_an_offset(text: str) -> None:
    assert parse_time(text) == NOON


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-05:00", "soon"])
def test_time_without_an_equivalent_in_utc_is_not_valid(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the message is the parser's
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "formatted"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31T12:00:00.123999Z", "2026-01-31T12:00:00.123Z"),
        ("2026-01-31T14:00:00+02:00", "2026-01-31T12:00:00.000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
    ],
)
def test_times_are_formatted_as_kombo_does(text: str, formatted: str) -> None:
    assert format_time(datetime.fromisoformat(text)) == formatted


def test_date_header_is_parsed() -> None:
    assert parse_http_date("Sat, 31 Jan 2026 12:00:00 GMT") == NOON


@pytest.mark.parametrize("text", [None, "", "now", "2026-01-31T12:00:00Z"])
def test_other_date_headers_are_ignored(text: str | None) -> None:
    assert parse_http_date(text) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 second"), (72.4, "1 minute 12 seconds"), (3600, "1 hour")],
)
def test_durations_are_written_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
