"""The settings: their JSON schema, a sentence for each one that is not valid, and filters.

The SDK checks settings against the same schema, but prints their values, one of which is the API
key. So they are checked here first, and no value is printed.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

import msgspec
import pendulum
from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR

from tap_kombo.times import parse_start_date

API_URLS = {
    "eu": "https://api.kombo.dev/v1",
    "us": "https://api.us.kombo.dev/v1",
    "ca": "https://api.ca.kombo.dev/v1",
}

END = r"(?!\n)$"
"""Python's `$` alone would accept a newline, which a secret from a file often ends with."""
HOST = r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])"
LOOPBACK = r"(localhost|127\.[0-9.]+|\[::1\])"
INTEGRATION_ID = rf"^(?!\.{{1,2}}$|ks_)[A-Za-z0-9_.:@|~+=-]+{END}"
MODEL = rf"^(?!ks_)[a-z][a-z0-9_]*{END}"
FILTER_VALUE = {"type": ["string", "number", "boolean"], "minLength": 1}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["api_key", "integration_ids"],
    "properties": {
        "api_key": {
            "type": "string",
            "title": "API key",
            "description": "Kombo API key. It belongs to one environment and one region.",
            "pattern": rf"^[!-~]+{END}",
            "examples": ["ks_prod_..."],
            "secret": True,
            "writeOnly": True,
        },
        "integration_ids": {
            "type": "array",
            "title": "Integration IDs",
            "description": "The integrations to sync: the customers' connections, by Kombo's IDs.",
            "items": {"type": "string", "pattern": INTEGRATION_ID},
            "minItems": 1,
            "uniqueItems": True,
            "examples": [["personio:B1hu5NGyhdjSq5X3hxEz4bAN"]],
        },
        "region": {
            "type": "string",
            "title": "Region",
            "description": "The region of the API key.",
            "enum": list(API_URLS),
            "default": "eu",
        },
        "api_url": {
            "type": "string",
            "title": "API URL",
            "description": "Base URL in place of the region's, such as `https://api.kombo.dev/v1`: "
            "a proxy or the sandbox. Plain `http` is only accepted for loopback addresses.",
            "pattern": rf"^(https://{HOST}|http://{LOOPBACK})(:[0-9]{{1,5}})?(/[^?#\s]*)?{END}",
            "examples": [API_URLS["eu"]],
        },
        "start_date": {
            "type": "string",
            "format": "date-time",
            "title": "Start date",
            "description": "The first sync of an integration only reads changes since then. By "
            "default it reads everything.",
            "pattern": "^[0-9]{4}",
            "examples": ["2026-01-31T00:00:00Z"],
        },
        "page_size": {
            "type": "integer",
            "title": "Page size",
            "description": "Records per request. Pages above 2 MB are requested again with fewer.",
            "minimum": 1,
            "maximum": 250,
            "default": 250,
        },
        "include_deleted": {
            "type": "boolean",
            "title": "Include deleted",
            "description": "Also read deleted records; they have `_sdc_deleted_at`.",
            "default": True,
        },
        "filters": {
            "type": "object",
            "title": "Filters",
            "description": "Kombo's query parameters by stream.",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": {
                    "anyOf": [FILTER_VALUE, {"type": "array", "items": FILTER_VALUE, "minItems": 1}]
                },
            },
            "examples": [{"ats_applications": {"outcomes": ["HIRED"]}}],
        },
        "ignore_unsupported_filters": {
            "type": "boolean",
            "title": "Ignore unsupported filters",
            "description": "Ignore filters the connected tool does not support. By default they "
            "match no records.",
            "default": False,
        },
        "full_refresh_interval_days": {
            "type": "integer",
            "title": "Full refresh interval",
            "description": "Read each integration completely once in this many days, spread over "
            "the days. 0 turns this off.",
            "minimum": 0,
            "maximum": 365,
            "default": 0,
        },
        "changed_models": {
            "type": "object",
            "title": "Changed models",
            "description": "Sync only these models of these integrations, as `data-changed` "
            "webhooks name them.",
            # Checked first, because the sentence about a value prints its key.
            "propertyNames": {"pattern": INTEGRATION_ID},
            "additionalProperties": {
                "type": "array",
                "items": {"type": "string", "pattern": MODEL},
            },
            "examples": [{"personio:B1hu5NGyhdjSq5X3hxEz4bAN": ["hris_employees"]}],
        },
        "lookback_seconds": {
            "type": "integer",
            "title": "Lookback",
            "description": "Overlap between runs, in seconds: bookmarks are set this long before "
            "the sync started.",
            "minimum": 0,
            # Near the 14 days for which Kombo keeps deletions, every sync would be complete.
            "maximum": 604_800,
            "default": 60,
        },
        "concurrency": {
            "type": "integer",
            "title": "Concurrency",
            "description": "Requests in flight, over all streams and integrations.",
            "minimum": 1,
            "maximum": 64,
            "default": 4,
        },
        "request_timeout_seconds": {
            "type": "integer",
            "title": "Request timeout",
            "description": "Seconds until a request without a complete response is retried.",
            "minimum": 1,
            "maximum": 600,
            "default": 60,
        },
        "max_wait_seconds": {
            "type": "integer",
            "title": "Maximum wait",
            "description": "Longest wait, in seconds, for a rate limit or for the end of an "
            "outage of Kombo. All reads wait together.",
            "minimum": 0,
            "maximum": 86_400,
            "default": 300,
        },
    },
}

OWN_PARAMS = frozenset(
    {"cursor", "page_size", "updated_after", "include_deleted", "ignore_unsupported_filters"}
)
"""Query parameters that the tap sets itself."""


def base_url(config: Mapping[str, Any]) -> str:
    """Return the URL that paths are appended to, without a slash at its end."""
    return str(config.get("api_url") or API_URLS[config["region"]]).rstrip("/")


def check(
    config: Mapping[str, Any], schema: Mapping[str, Any], streams: Iterable[str]
) -> list[str]:
    """Check the settings.

    Args:
        config: The settings.
        schema: Their JSON schema, including the SDK's own settings.
        streams: The names of the tap's streams.

    Returns:
        A sentence for each mistake: the setting, the problem, and the fix.
    """
    properties = schema["properties"]
    sentences = [
        f"`{name}`: the setting is missing. {_expected(properties[name])}"
        for name in schema["required"]
        if name not in config
    ]
    for name, setting in properties.items():
        if name not in config:
            continue
        # Only the first mistake of a setting, because a list may have thousands.
        error = next(DEFAULT_JSONSCHEMA_VALIDATOR(setting).iter_errors(config[name]), None)
        if error:
            problem = PROBLEMS.get(str(error.validator), "is not valid")
            path = _join([name, *error.absolute_path])
            sentences.append(f"`{path}`: the setting {problem}. {_expected(setting)}")
    return sentences or [
        *_check_start_date(config.get("start_date")),
        *_check_filters(config.get("filters", {}), list(streams)),
    ]


def with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Add the defaults; null and empty strings, as in an unset variable, are not settings."""
    defaults = {
        name: schema["default"]
        for name, schema in SCHEMA["properties"].items()
        if "default" in schema
    }
    return defaults | {name: value for name, value in config.items() if value not in (None, "")}


PROBLEMS = {
    "minItems": "is empty",
    "uniqueItems": "has an item more than once",
}
"""Keyword of JSON schema -> the problem"""


def _join(path: list[str | int]) -> str:
    """Write a path in the settings: `integration_ids[1]`, `filters.ats_offers.ids`."""
    first, *rest = path
    return str(first) + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in rest)


def _expected(schema: Mapping[str, Any]) -> str:
    """Describe the values that a setting accepts."""
    if "enum" in schema:
        return f"Use one of {', '.join(schema['enum'])}."
    if "minimum" in schema and "maximum" in schema:
        return f"Use a whole number from {schema['minimum']} to {schema['maximum']}."
    if schema.get("type") == "boolean":
        return "Use true or false."
    description = f" {schema['description']}" if "pattern" in schema else ""
    if "examples" in schema:
        return f"Use a value like {json.dumps(schema['examples'][0])}.{description}"
    return "See the documentation of the Singer SDK for its values."


def _check_start_date(start_date: str | None) -> Iterator[str]:
    try:
        _ = start_date and parse_start_date(start_date)
    except ValueError:
        schema = SCHEMA["properties"]["start_date"]
        yield f"`start_date`: the setting is not a date or a time. {_expected(schema)}"


def warnings(config: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each setting that is valid, but hardly intended."""
    yield from unknown(config, schema["properties"])
    start_date = config.get("start_date")
    if start_date and parse_start_date(start_date) > pendulum.now():
        yield (
            "`start_date`: the time is in the future; changes before the first sync of an "
            "integration are never read."
        )


def unknown(names: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each setting that does not exist."""
    for name in names:
        if name not in known:
            yield (
                f"`{name}`: the setting does not exist{did_you_mean(name, known)}; it is ignored."
            )


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Suggest an existing name for one that does not exist; empty if none is similar."""
    similar = difflib.get_close_matches(name, list(names), n=1, cutoff=0.75)
    return f" (did you mean {similar[0]}?)" if similar else ""


@cache
def known_filters() -> dict[str, list[str]]:
    """Return the query parameters of each stream, by Kombo's API document."""
    text = (resources.files("tap_kombo") / "filters.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, list[str]])


def _check_filters(
    filters: Mapping[str, Mapping[str, object]], streams: list[str]
) -> Iterator[str]:
    """Check the names in the setting `filters`; the values are Kombo's to check."""
    for stream, params in filters.items():
        if stream not in streams:
            yield (
                f"`filters.{stream}`: there is no such stream{did_you_mean(stream, streams)}. Use "
                "the name of a stream."
            )
            continue
        known = known_filters().get(stream, [])
        accepted = f"Use one of {', '.join(known)}." if known else f"{stream} has no filters."
        for name in params:
            if name in OWN_PARAMS:
                yield f"`filters.{stream}.{name}`: tap-kombo sets this parameter. Remove it."
            elif name not in known:
                yield f"`filters.{stream}.{name}`: Kombo has no such filter. {accepted}"


def filter_params(config: Mapping[str, Any], stream: str) -> dict[str, str]:
    """Return a stream's filters as query parameters; Kombo joins lists by commas."""
    filters = config.get("filters", {}).get(stream, {})
    return {
        name: ",".join(map(_text, value)) if isinstance(value, list) else _text(value)
        for name, value in filters.items()
    }


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
