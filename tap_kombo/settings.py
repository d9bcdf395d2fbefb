"""The settings: what users can set, and one clear sentence for each thing that is wrong.

The SDK checks settings against their JSON schema too, but prints the offending value, which may
be the API key. So the schema here describes, and `problems` judges.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from singer_sdk import typing as th

from tap_kombo.times import read_time

API_URLS = {
    "eu": "https://api.kombo.dev/v1",
    "us": "https://api.us.kombo.dev/v1",
    "ca": "https://api.ca.kombo.dev/v1",
}

SETTINGS = th.PropertiesList(
    th.Property(
        "api_key",
        th.StringType,
        required=True,
        secret=True,
        title="API key",
        description="Kombo API key. It belongs to one environment and one region.",
    ),
    th.Property(
        "integration_ids",
        th.ArrayType(th.StringType),
        required=True,
        title="Integration IDs",
        description="The customer connections to read, as Kombo names them: "
        "`personio:B1hu5NGyhdjSq5X3hxEz4bAN`.",
    ),
    th.Property(
        "region",
        th.StringType,
        default="eu",
        allowed_values=list(API_URLS),
        title="Region",
        description="Which Kombo: `eu`, `us` or `ca`.",
    ),
    th.Property(
        "api_url",
        th.StringType,
        title="API URL",
        description="Base URL instead of the region's: a proxy or the sandbox. Plain `http` only "
        "for this machine itself.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        title="Start date",
        description="The first read of an integration brings only what changed since then. "
        "Without it: everything.",
    ),
    th.Property(
        "page_size",
        th.IntegerType,
        default=250,
        title="Page size",
        description="Records a request, 1 to 250; fewer where they are large.",
    ),
    th.Property(
        "include_deleted",
        th.BooleanType,
        default=True,
        title="Include deleted",
        description="Read deleted records too; they carry `_sdc_deleted_at`.",
    ),
    th.Property(
        "filters",
        th.ObjectType(additional_properties=th.ObjectType(additional_properties=True)),
        title="Filters",
        description="Stream name to Kombo's query parameters: "
        '`{"ats_applications": {"outcomes": ["HIRED"]}}`.',
    ),
    th.Property(
        "ignore_unsupported_filters",
        th.BooleanType,
        default=False,
        title="Ignore unsupported filters",
        description="A filter that the connected tool cannot do is ignored, instead of giving "
        "nothing.",
    ),
    th.Property(
        "lookback_seconds",
        th.IntegerType,
        default=60,
        title="Lookback",
        description="How many seconds a bookmark stays behind Kombo's clock.",
    ),
    th.Property(
        "concurrency",
        th.IntegerType,
        default=4,
        title="Concurrency",
        description="Requests in flight, over all streams and integrations.",
    ),
    th.Property(
        "request_timeout_seconds",
        th.IntegerType,
        default=60,
        title="Request timeout",
        description="Seconds that one request may take.",
    ),
    th.Property(
        "max_wait_seconds",
        th.IntegerType,
        default=300,
        title="Longest wait",
        description="Seconds that a read waits for a rate limit before it fails.",
    ),
)

FROM_THE_SDK = frozenset(
    {
        "stream_maps",
        "stream_map_config",
        "faker_config",
        "flattening_enabled",
        "flattening_max_depth",
        "flattening_max_key_length",
        "flattening_separator",
    }
)
"""Settings of the SDK's stream maps and flattening; the SDK checks what is in them."""

NAMES = FROM_THE_SDK.union(SETTINGS.wrapped)

INTEGERS = {
    "page_size": (1, 250),
    # Near the 14 days for which Kombo remembers deletions, each read would be a whole one.
    "lookback_seconds": (0, 86_400 * 7),
    "concurrency": (1, 64),
    "request_timeout_seconds": (1, 3600),
    "max_wait_seconds": (0, 86_400),
}
BOOLEANS = ("include_deleted", "ignore_unsupported_filters")
OBJECTS = ("stream_maps", "stream_map_config", "faker_config")
"""The SDK checks them too, but would print what they are: a salt, or a seed."""


def base_url(config: Mapping[str, Any]) -> str:
    """The address that all paths are appended to, without a slash at its end."""
    return str(config.get("api_url") or API_URLS[config.get("region") or "eu"]).rstrip("/")


def with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in what is not set; null counts as not set."""
    defaults = {
        name: setting.default
        for name, setting in SETTINGS.wrapped.items()
        if setting.default is not None
    }
    return defaults | {name: value for name, value in config.items() if value is not None}


def problems(config: Mapping[str, Any]) -> list[str]:
    """Say what is wrong with the settings: a sentence each, never with the value of a secret."""
    return [
        *_api_key(config.get("api_key")),
        *_integration_ids(config.get("integration_ids")),
        *_region(config.get("region")),
        *_api_url(config.get("api_url")),
        *_start_date(config.get("start_date")),
        *_numbers(config),
        *_objects(config),
        *_batch(config),
    ]


def warnings(config: Mapping[str, Any]) -> Iterator[str]:
    """Say what is mostly a mistake, but can be read with."""
    yield from unknown(config, NAMES)
    start_date = config.get("start_date")
    if start_date and read_time(start_date) > datetime.now(UTC):
        yield (
            f"The setting `start_date` is {start_date!r}, which is in the future: what has changed "
            "before the first read of an integration is never read."
        )


def unknown(names: Iterable[str], known: Collection[str], prefix: str = "") -> Iterator[str]:
    """Say which settings do not exist.

    Args:
        names: Those that are set.
        known: Those that there are.
        prefix: What all of them begin with where they are set, for the sentence.
    """
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            guess = f": is `{prefix}{close[0]}` meant?" if close else "."
            yield f"The setting `{prefix}{name}` does not exist and is ignored{guess}"


def guess(name: str, names: Iterable[str]) -> str:
    """Guess what was meant by a name that does not exist; nothing if none is like it."""
    close = difflib.get_close_matches(name, names, n=1)
    return f" (is {close[0]} meant?)" if close else ""


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine itself: what goes there needs no encryption."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_header_value(value: str) -> bool:
    return value.isascii() and value.isprintable() and " " not in value


def _is_integration_id(value: str) -> bool:
    """It stands in a header and in paths, and is no piece of a list that was cut."""
    return _is_header_value(value) and not set(value) & set("/?#%\\{}[]\"',")


def _api_key(value: object) -> Iterator[str]:
    if value is None or value == "":
        yield "The setting `api_key` is missing: set it to your Kombo API key (`ks_...`)."
    elif not isinstance(value, str) or not _is_header_value(value):
        yield (
            "The setting `api_key` is not a key: it must be one string without spaces, line "
            "breaks or special characters."
        )


def _integration_ids(value: object) -> Iterator[str]:
    example = '["personio:B1hu5NGyhdjSq5X3hxEz4bAN"]'
    if value is None or value == []:
        yield f"The setting `integration_ids` is missing or empty: list some, like {example}."
        return
    if not isinstance(value, list | tuple):
        yield f"The setting `integration_ids` must be a list of strings, like {example}."
        return
    for index, entry in enumerate(value):
        if not isinstance(entry, str) or not entry or not _is_integration_id(entry):
            yield (
                f"Entry {index + 1} of the setting `integration_ids` is not an integration ID: "
                f"they are strings like {example}."
            )
    names = [entry for entry in value if isinstance(entry, str)]
    for twice in sorted({name for name in names if names.count(name) > 1}):
        yield f"The setting `integration_ids` lists {twice!r} more than once: list each one once."


def _region(value: object) -> Iterator[str]:
    if value is not None and value not in API_URLS:
        yield f"The setting `region` is {value!r}, but Kombo has {', '.join(API_URLS)}."


def _api_url(value: object) -> Iterator[str]:
    if value is None or value == "":
        return
    complaint = "The setting `api_url` must be a URL like https://api.kombo.dev/v1"
    if not isinstance(value, str):
        yield f"{complaint}."
        return
    try:
        url = urlsplit(value)
        host, _port = url.hostname, url.port
    except ValueError:
        yield f"{complaint}."
        return
    if url.scheme not in {"http", "https"} or not host:
        yield f"{complaint}."
    elif url.username or url.password or url.query or url.fragment:
        yield f"{complaint}: without a user, a query or a fragment."
    elif url.scheme == "http" and not is_loopback(host):
        yield (
            f"The setting `api_url` would send the API key unencrypted to {host}: use https "
            "(plain http is only for this machine itself)."
        )


def _start_date(value: object) -> Iterator[str]:
    if value is None:
        return
    try:
        read_time(value)  # type: ignore[arg-type]  # whatever it is
    except (TypeError, ValueError):
        yield (
            f"The setting `start_date` is {value!r}, which is not a time: write it like "
            "2026-01-31T00:00:00Z."
        )


def _numbers(config: Mapping[str, Any]) -> Iterator[str]:
    for name, (least, most) in INTEGERS.items():
        value = config.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            yield (
                f"The setting `{name}` is {value!r}, but must be a whole number, {least} to {most}."
            )
    for name in BOOLEANS:
        value = config.get(name)
        if value is not None and not isinstance(value, bool):
            yield f"The setting `{name}` is {value!r}, but must be true or false."


def _objects(config: Mapping[str, Any]) -> Iterator[str]:
    for name in OBJECTS:
        if not isinstance(config.get(name), dict | None):
            yield f"The setting `{name}` must be an object."


def _batch(config: Mapping[str, Any]) -> Iterator[str]:
    if config.get("batch_config"):
        yield (
            "The setting `batch_config` is not offered: BATCH files would hold the columns that "
            "deselection and stream maps keep back."
        )
