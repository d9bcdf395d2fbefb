"""Checks of the settings, without running the tap."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tap_kombo import settings
from tap_kombo.tap import STREAMS, TapKombo

TapKombo.append_builtin_config(TapKombo.config_jsonschema)
SCHEMA = TapKombo.config_jsonschema
"""The schema of the tap's and the SDK's settings"""

VALID: dict[str, Any] = {"api_key": "ks_dev_1", "integration_ids": ["personio:B1hu5NGyhdjS"]}
SECRET = "ks_prod_4711"


def check(**changes: object) -> list[str]:
    """Check valid settings after these changes; None removes a setting."""
    config = {name: value for name, value in {**VALID, **changes}.items() if value is not None}
    return settings.check(config, SCHEMA, STREAMS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_key", "!ks_dev~"),
        ("integration_ids", ["personio:B1hu5NGyhdjSq5X3hxEz4bAN", "a_b.c-d:1", "a:b@c|d+e=~"]),
        ("region", "ca"),
        ("api_url", "https://kombo.example:8443/v1/"),
        ("api_url", "http://localhost:4010/v1"),
        ("api_url", "http://127.0.0.1:4010"),
        ("api_url", "http://[::1]:4010/v1"),
        ("start_date", "2026-01-31"),
        ("start_date", "2026-01-31T12:00:00Z"),
        ("start_date", "2026-01-31 12:00:00+02:00"),
        ("page_size", 1),
        ("page_size", 250),
        ("concurrency", 64),
        ("lookback_seconds", 0),
        ("lookback_seconds", 604_800),
        ("request_timeout_seconds", 600),
        ("max_wait_seconds", 0),
        ("max_wait_seconds", 86_400),
        ("include_deleted", False),
        ("filters", {"ats_jobs": {"name_contains": "a, b", "ids": ["1", "2"]}}),
        ("changed_models", {}),
        ("changed_models", {"personio:B1hu5NGyhdjS": ["hris_employees", "hris_join_new_2"]}),
        ("flattening_enabled", True),
        ("stream_maps", {"ats_offers": None, "ats_jobs": {"name": "name"}}),
    ],
)
def test_valid_value_is_accepted(name: str, value: object) -> None:
    assert check(**{name: value}) == []


@pytest.mark.parametrize("name", ["api_key", "integration_ids"])
def test_required_setting_must_be_present(name: str) -> None:
    [sentence] = check(**{name: None})

    assert sentence.startswith(f"`{name}`: the setting is missing. Use a value like ")


WHOLE_NUMBER = "Use a whole number from"
HTTP_ONLY_ON_LOOPBACK = "Plain `http` is only accepted for loopback addresses"
INVALID: list[tuple[str, Any, str, str]] = [
    # setting, value, path in the error, advice
    ("api_key", "ks dev", "api_key", "ks_prod_"),
    ("api_key", "ks_dev\n", "api_key", "ks_prod_"),
    ("api_key", "", "api_key", "ks_prod_"),
    ("api_key", 4711, "api_key", "ks_prod_"),
    ("api_key", ["ks_dev"], "api_key", "ks_prod_"),
    ("integration_ids", "a:b", "integration_ids", '["personio:'),
    ("integration_ids", [], "integration_ids", '["personio:'),
    ("integration_ids", ["a:b", "c:d", "a:b"], "integration_ids", '["personio:'),
    ("integration_ids", ["a:b", ""], "integration_ids[1]", '["personio:'),
    ("integration_ids", ["a:b", 3], "integration_ids[1]", '["personio:'),
    ("integration_ids", ["a:b", "a/../b"], "integration_ids[1]", '["personio:'),
    ("integration_ids", [".."], "integration_ids[0]", '["personio:'),
    ("integration_ids", ["."], "integration_ids[0]", '["personio:'),
    ("integration_ids", ["%2e%2e"], "integration_ids[0]", '["personio:'),
    ("integration_ids", ["a?b"], "integration_ids[0]", '["personio:'),
    ("integration_ids", ["a#b"], "integration_ids[0]", '["personio:'),
    ("integration_ids", ["a;b"], "integration_ids[0]", '["personio:'),
    ("integration_ids", ["a\\b"], "integration_ids[0]", '["personio:'),
    ("integration_ids", ["ä"], "integration_ids[0]", '["personio:'),
    ("integration_ids", [SECRET], "integration_ids[0]", '["personio:'),
    ("integration_ids", ["a:b\n"], "integration_ids[0]", '["personio:'),
    ("integration_ids", ["a:b,c:d"], "integration_ids[0]", '["personio:'),
    ("integration_ids", ['["a:b'], "integration_ids[0]", '["personio:'),
    ("integration_ids", ["a:b']"], "integration_ids[0]", '["personio:'),
    ("region", "de", "region", "Use one of eu, us, ca."),
    ("region", "EU", "region", "Use one of eu, us, ca."),
    ("api_url", "kombo.dev", "api_url", settings.API_URLS["eu"]),
    ("api_url", "https://[::1/v1", "api_url", settings.API_URLS["eu"]),
    ("api_url", "https://user:password@kombo.dev/v1", "api_url", settings.API_URLS["eu"]),
    ("api_url", "https://kombo.dev/v1?a=b", "api_url", settings.API_URLS["eu"]),
    ("api_url", "https://kombo.dev/v1\n", "api_url", settings.API_URLS["eu"]),
    ("api_url", "http://kombo.example/v1", "api_url", HTTP_ONLY_ON_LOOPBACK),
    ("api_url", "http://10.0.0.7/v1", "api_url", HTTP_ONLY_ON_LOOPBACK),
    ("api_url", "http://localhost.kombo.example/v1", "api_url", HTTP_ONLY_ON_LOOPBACK),
    ("api_url", "http://127.0.0.1.kombo.example/v1", "api_url", HTTP_ONLY_ON_LOOPBACK),
    ("api_url", "http://localhost:4010@kombo.example/v1", "api_url", HTTP_ONLY_ON_LOOPBACK),
    ("start_date", "yesterday", "start_date", '"2026-01-31T00:00:00Z"'),
    ("start_date", "2026-13-01", "start_date", '"2026-01-31T00:00:00Z"'),
    ("start_date", "2026-02-30", "start_date", '"2026-01-31T00:00:00Z"'),
    ("start_date", "2026-01-01/2026-02-01", "start_date", '"2026-01-31T00:00:00Z"'),
    ("start_date", "9999-12-31T23:59:59-05:00", "start_date", '"2026-01-31T00:00:00Z"'),
    ("start_date", "P1D", "start_date", '"2026-01-31T00:00:00Z"'),
    ("start_date", "12:00", "start_date", '"2026-01-31T00:00:00Z"'),
    ("start_date", 20260131, "start_date", '"2026-01-31T00:00:00Z"'),
    ("page_size", 0, "page_size", f"{WHOLE_NUMBER} 1 to 250."),
    ("page_size", 251, "page_size", f"{WHOLE_NUMBER} 1 to 250."),
    ("page_size", True, "page_size", f"{WHOLE_NUMBER} 1 to 250."),
    ("page_size", 1.5, "page_size", f"{WHOLE_NUMBER} 1 to 250."),
    ("page_size", "5", "page_size", f"{WHOLE_NUMBER} 1 to 250."),
    ("concurrency", 65, "concurrency", f"{WHOLE_NUMBER} 1 to 64."),
    ("lookback_seconds", 604_801, "lookback_seconds", f"{WHOLE_NUMBER} 0 to 604800."),
    ("request_timeout_seconds", 601, "request_timeout_seconds", f"{WHOLE_NUMBER} 1 to 600."),
    ("max_wait_seconds", -1, "max_wait_seconds", f"{WHOLE_NUMBER} 0 to 86400."),
    ("include_deleted", "no", "include_deleted", "Use true or false."),
    ("ignore_unsupported_filters", 1, "ignore_unsupported_filters", "Use true or false."),
    ("filters", ["x"], "filters", '{"ats_applications": '),
    ("filters", {"ats_offers": "ids"}, "filters.ats_offers", '{"ats_applications": '),
    ("filters", {"ats_offers": {"ids": []}}, "filters.ats_offers.ids", '{"ats_applications": '),
    ("filters", {"ats_offers": {"ids": [""]}}, "filters.ats_offers.ids", '{"ats_applications": '),
    ("filters", {"ats_offers": {"ids": None}}, "filters.ats_offers.ids", '{"ats_applications": '),
    ("filters", {"ats_offers": {"ids": {}}}, "filters.ats_offers.ids", '{"ats_applications": '),
    ("changed_models", ["ats_jobs"], "changed_models", '{"personio:'),
    ("changed_models", {"a/b": []}, "changed_models", '{"personio:'),
    ("changed_models", {"a:b": "ats_jobs"}, "changed_models.a:b", '{"personio:'),
    ("changed_models", {"a:b": [{"name": "ats_jobs"}]}, "changed_models.a:b[0]", '{"personio:'),
    ("changed_models", {"a:b": [SECRET]}, "changed_models.a:b[0]", '{"personio:'),
    ("changed_models", {SECRET: 3}, "changed_models", '{"personio:'),
    ("stream_maps", ["x"], "stream_maps", "Singer SDK"),
    ("stream_maps", {"ats_offers": 7}, "stream_maps.ats_offers", "Singer SDK"),
    ("stream_map_config", "x", "stream_map_config", "Singer SDK"),
    ("faker_config", "x", "faker_config", "Singer SDK"),
    ("flattening_max_depth", "x", "flattening_max_depth", "Singer SDK"),
]


@pytest.mark.parametrize(
    ("name", "value", "path", "advice"),
    INVALID,
    ids=[f"{name}={value!r}" for name, value, _, _ in INVALID],
)
def test_invalid_value_is_rejected_with_advice(
    name: str, value: object, path: str, advice: str
) -> None:
    [sentence] = check(**{name: value})

    assert sentence.startswith(f"`{path}`: the setting ")
    assert advice in sentence


def test_each_mistake_has_its_own_sentence() -> None:
    first, second = check(region="de", page_size=0)

    assert first.startswith("`region`")
    assert second.startswith("`page_size`")


@pytest.mark.parametrize("name", SCHEMA["properties"])
@pytest.mark.parametrize(
    "value",
    [f" {SECRET} ", [f" {SECRET} "], {"ats_offers": SECRET}, {"ats_offers": {"ids": [[SECRET]]}}],
    ids=["string", "array", "object", "nested"],
)
def test_sentences_contain_no_values(name: str, value: object) -> None:
    assert SECRET not in json.dumps(check(**{name: value, "region": SECRET}))


def test_values_are_not_printed_for_filters_that_do_not_exist() -> None:
    [sentence] = check(filters={"ats_offers": {"email": SECRET}})

    assert "`filters.ats_offers.email`" in sentence
    assert SECRET not in sentence


def test_mistake_is_found_despite_20_000_integrations() -> None:
    """A check that compares all integrations with each other would exceed the test's timeout."""
    integration_ids = [f"personio:{number:024}" for number in range(20_000)]

    [sentence] = check(integration_ids=integration_ids, region="de")

    assert sentence.startswith("`region`")


def test_duplicate_among_20_000_integrations_is_found() -> None:
    integration_ids = [f"personio:{number:024}" for number in range(20_000)]

    [sentence] = check(integration_ids=[*integration_ids, integration_ids[0]])

    assert sentence.startswith("`integration_ids`: the setting has an item more than once.")


@pytest.mark.parametrize(
    ("filters", "path", "advice"),
    [
        ({"ats_ofers": {}}, "ats_ofers", "did you mean ats_offers?"),
        ({"github_issues": {}}, "github_issues", "Use the name of a stream."),
        ({"ats_offers": {"outcomes": ["HIRED"]}}, "ats_offers.outcomes", "ids, remote_ids"),
        ({"integrations": {"ids": ["1"]}}, "integrations.ids", "integrations has no filters"),
        *(
            ({"ats_offers": {name: "x"}}, f"ats_offers.{name}", "tap-kombo sets this parameter")
            for name in sorted(settings.OWN_PARAMS)
        ),
    ],
)
def test_filter_must_exist(filters: dict[str, Any], path: str, advice: str) -> None:
    [sentence] = check(filters=filters)

    assert sentence.startswith(f"`filters.{path}`: ")
    assert advice in sentence


def test_every_filter_of_kombo_is_accepted() -> None:
    filters = {
        stream: dict.fromkeys(names, "x") for stream, names in settings.known_filters().items()
    }

    assert check(filters=filters) == []


def test_filters_become_query_parameters() -> None:
    filters = {"ats_jobs": {"ids": ["1", 2], "name_contains": "a,b", "is_open": True}}

    params = settings.filter_params({"filters": filters}, "ats_jobs")

    assert params == {"ids": "1,2", "name_contains": "a,b", "is_open": "true"}
    assert settings.filter_params({"filters": filters}, "ats_offers") == {}
    assert settings.filter_params({}, "ats_jobs") == {}


def test_unknown_setting_is_a_warning_with_a_suggestion() -> None:
    config = {**VALID, "integration_id": SECRET, "user_agent": SECRET}

    first, second = settings.warnings(config, SCHEMA)

    assert first == (
        "`integration_id`: the setting does not exist (did you mean integration_ids?); "
        "it is ignored."
    )
    assert second == "`user_agent`: the setting does not exist; it is ignored."


def test_start_date_in_the_future_is_a_warning() -> None:
    [warning] = settings.warnings({**VALID, "start_date": "2999-01-01"}, SCHEMA)

    assert warning.startswith("`start_date`: the time is in the future")


@pytest.mark.parametrize(
    ("config", "url"),
    [
        ({"region": "us"}, "https://api.us.kombo.dev/v1"),
        ({"region": "us", "api_url": "https://proxy.example/v1/"}, "https://proxy.example/v1"),
    ],
)
def test_api_url_replaces_the_url_of_the_region(config: dict[str, Any], url: str) -> None:
    assert settings.base_url(config) == url
