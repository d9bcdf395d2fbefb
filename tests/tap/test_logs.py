"""Logs name the failure, but contain no secret, query or record value at any level."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from harness.tap import (
    TapRun,
    catalog_with,
    log_config,
    run_tap,
    settings_for,
    tap_process,
)
from kombo_sandbox import Sandbox
from tests.tap.raw_server import (
    CLOSE,
    Behavior,
    OffersRequest,
    Pieces,
    RawServer,
    http_response,
    page_json,
)

OFFERS = catalog_with("ats_offers")
KEY = "ks_dev_7Hq2secret9"
PERSON = "Zacharias Quellenhof"
PASSWORD = "opensesame"
QUERY: dict[str, Any] = {
    "filters": {"ats_applications": {"outcomes": ["DECLINED"]}},
    "start_date": "2001-02-03",
    "page_size": 10,
}
"""Settings that each add a query parameter"""

LOG_URL = "https://app.kombo.dev/my-prod/logs?interactionId=123456"
AT_EVERY_LEVEL = pytest.mark.parametrize("level", ["DEBUG", "INFO"])


@pytest.fixture(scope="module")
def kombo() -> Iterator[Sandbox]:
    with Sandbox(integrations=3, offers=150, seed=17) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(kombo: Sandbox) -> Sandbox:
    """A separate sandbox, because these tests put a person's name into records."""
    kombo.reset()
    return kombo


@AT_EVERY_LEVEL
def test_logs_contain_no_key_query_or_record(sandbox: Sandbox, level: str) -> None:
    offer, other = sandbox.records("ats_offers", sandbox.integration_ids[0])[:2]
    sandbox.patch("ats_offers", offer["id"], {"status": {"name": PERSON}, "new_field": PERSON})
    sandbox.patch("ats_offers", other["id"], {"remote_created_at": PERSON})
    body = f'{{"key":"{sandbox.api_key}","person":"{PERSON}"'
    failing = sandbox.integration_ids[1]
    sandbox.fault(path="/ats/jobs", integration_id=failing, body=body, status=200, count=2)
    sandbox.fault(
        path="/ats/offers",
        integration_id=failing,
        status=500,
        code=f"PLATFORM.{PERSON}",
        log_url=f"https://example.com/logs?key={sandbox.api_key}",
    )
    sandbox.fault(path="/ats/candidates", integration_id=failing, status=400, body=body)

    run = run_tap(settings_for(sandbox, page_size=40), env={"TAP_KOMBO_LOGLEVEL": level})

    assert run.code == 1
    secrets = [
        sandbox.api_key,
        "Bearer",
        PERSON,
        "Zacharias",
        "cursor=",
        "page_size=",
        "updated_after=",
        *{r.params["cursor"] for r in sandbox.requests() if "cursor" in r.params},
        *{r["id"] for r in sandbox.records("ats_offers")},
        *{
            r["last_name"]
            for r in sandbox.records("ats_candidates")
            if r["last_name"] and len(r["last_name"]) > 4
        },
    ]
    assert [secret for secret in secrets if secret in run.stderr] == []


@AT_EVERY_LEVEL
def test_logs_contain_no_result_of_a_stream_map(sandbox: Sandbox, level: str) -> None:
    candidate = sandbox.records("ats_candidates", sandbox.integration_ids[0])[0]
    sandbox.patch("ats_candidates", candidate["id"], {"last_name": PERSON})
    maps = {
        "ats_candidates": {
            "__filter__": "last_name or first_name",
            "last_name": "last_name[:9] if last_name else None",
        }
    }

    run = run_tap(
        settings_for(sandbox, stream_maps=maps),
        catalog=catalog_with("ats_candidates"),
        env={"TAP_KOMBO_LOGLEVEL": level},
    )

    assert run.code == 0
    assert b"Zacharias" in run.stdout
    assert "Zacharias" not in run.stderr


def test_debug_logs_show_requests_without_their_queries(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    settings = settings_for(sandbox, integration_ids=[integration_id], **QUERY)

    run = run_tap(
        settings,
        catalog=catalog_with("ats_applications"),
        env={"TAP_KOMBO_LOGLEVEL": "DEBUG"},
    )

    assert run.code == 0
    requests = [r for r in sandbox.requests() if r.path == "/ats/applications"]
    assert {"cursor", "outcomes", "page_size", "updated_after"} <= {*requests[-1].params}
    start = f"GET /ats/applications ({integration_id}): HTTP 200 in "
    lines = [line for line in run.log if start in line]
    assert len(lines) == len(requests)
    assert [text for text in ("?", *requests[-1].params) for line in lines if text in line] == []
    values = {value for r in requests for value in r.params.values()}
    assert [value for value in values - {"10", "true"} if value in run.stderr] == []


def test_logs_show_no_query_if_a_configuration_enables_urllib3(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    loggers = {name: {"level": "DEBUG"} for name in ("urllib3", "urllib3.connectionpool")}

    run = run_tap(
        settings_for(sandbox, **QUERY),
        catalog=catalog_with("ats_applications"),
        env={"SINGER_SDK_LOG_CONFIG": log_config(tmp_path, loggers=loggers)},
    )

    assert run.code == 0
    cursors = {r.params["cursor"] for r in sandbox.requests() if "cursor" in r.params}
    secrets = [*cursors, "cursor=", "DECLINED", "outcomes", "2001-02-03"]
    assert [secret for secret in secrets if secret in run.stderr] == []


def test_a_logging_configuration_does_not_disable_the_log(sandbox: Sandbox, tmp_path: Path) -> None:
    """Python's default is to disable all loggers that exist when it is loaded."""
    sandbox.fault("/ats/offers", status=403, code="INTEGRATION.PERMISSION_MISSING")

    run = run_tap(
        settings_for(sandbox),
        catalog=OFFERS,
        env={"SINGER_SDK_LOG_CONFIG": log_config(tmp_path)},
    )

    assert run.code == 1
    error = "(ats_offers): INTEGRATION.PERMISSION_MISSING (HTTP 403"
    for integration_id in sandbox.integration_ids:
        assert f"Could not read {integration_id} {error}" in run.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [("LOGLEVEL", "verbose"), ("TAP_KOMBO_LOGLEVEL", "x"), ("SINGER_SDK_LOG_CONFIG", ".")],
)
def test_logging_that_cannot_be_set_up_is_one_line(variable: str, value: str) -> None:
    with tap_process({}, "--version", env={variable: value}) as process:
        stdout, stderr = process.communicate()

    assert process.returncode == 1
    assert stdout == b""
    [line] = stderr.decode().splitlines()
    assert f"`{variable}`" in line


def test_an_error_names_integration_stream_and_status(sandbox: Sandbox) -> None:
    failing = sandbox.integration_ids[1]
    sandbox.fault(path="/ats/candidates", integration_id=failing, status=418)

    run = run_tap(settings_for(sandbox))

    [error] = run.errors
    assert error.startswith(f"Could not read {failing} (ats_candidates): HTTP 418")


def test_the_last_log_record_has_the_result(sandbox: Sandbox, tmp_path: Path) -> None:
    """The SDK's formatter writes structured fields as JSON."""
    complete, failing, unsupporting = sandbox.integration_ids
    sandbox.fault(
        path="/ats/offers",
        integration_id=failing,
        status=400,
        code="INTEGRATION.PERMISSION_MISSING",
        log_url=LOG_URL,
    )
    sandbox.set_integration(unsupporting, unavailable_models=["ats_offers"])
    run = run_tap(
        settings_for(sandbox),
        catalog=OFFERS,
        env={"SINGER_SDK_LOG_CONFIG": log_config(tmp_path)},
    )

    assert run.code == 1
    result = json.loads(run.stderr.splitlines()[-1])["extra"]["result"]
    counts = ("complete", "not_supported", "not_ready", "failed", "not_finished")
    assert [result[name] for name in counts] == [1, 1, 0, 1, 0]
    assert result["records"] == len(sandbox.records("ats_offers", complete))
    reads = {read["integration_id"]: read for read in result["reads"]}
    assert reads[failing]["streams"] == reads[unsupporting]["streams"] == ["ats_offers"]
    assert reads[failing]["status"] == "failed"
    assert reads[failing]["error_code"] == "INTEGRATION.PERMISSION_MISSING"
    assert reads[failing]["http_status"] == 400
    assert reads[failing]["log_url"] == LOG_URL
    assert LOG_URL in reads[failing]["message"]
    assert reads[unsupporting]["status"] == "skipped"


@pytest.mark.parametrize(
    ("status", "code", "is_transient"),
    [
        (503, "REMOTE.SERVICE_UNAVAILABLE", True),
        (429, "REMOTE.RATE_LIMIT_EXCEEDED", True),
        (502, None, True),
        (500, "PLATFORM.SOMETHING_NEW", False),
        (403, None, False),
        (401, "INTEGRATION.AUTHENTICATION_INVALID", False),
    ],
)
def test_the_result_shows_whether_a_failure_is_transient(
    sandbox: Sandbox,
    tmp_path: Path,
    status: int,
    code: str | None,
    is_transient: bool,  # noqa: FBT001  # a case
) -> None:
    failing = sandbox.integration_ids[0]
    sandbox.fault(path="/ats/offers", integration_id=failing, status=status, code=code)

    run = run_tap(
        settings_for(sandbox, max_wait_seconds=1),
        catalog=OFFERS,
        env={"SINGER_SDK_LOG_CONFIG": log_config(tmp_path)},
    )

    [read] = json.loads(run.stderr.splitlines()[-1])["extra"]["result"]["reads"]
    assert (read["integration_id"], read["status"]) == (failing, "failed")
    assert read["transient"] is is_transient


def test_about_shows_no_secret() -> None:
    run = run_tap(
        {"api_key": "ks_dev_secret_of_ours"},
        "--about",
        "--format=json",
        env={"TAP_KOMBO_API_KEY": "ks_dev_secret_of_ours"},
    )

    assert run.code == 0
    assert b"ks_dev" not in run.stdout
    assert "ks_dev" not in run.stderr


CURSOR = "c3VwZXJzZWNyZXQx"
STATUSES = ["200 OK", "302 Found", "400 Bad", "403 No", "404 No", "418 No", "429 Slow", "503 Down"]
SECRETS = f"{KEY} Bearer-{KEY} {CURSOR} {PERSON}"

UNTRUSTED = {
    "a key": (f"PLATFORM.{KEY}", f"http://app.kombo.dev/{KEY}"),
    "a cursor": (f"PLATFORM.{CURSOR}", f"https://example.com/app.kombo.dev/{CURSOR}"),
    "a cursor in capitals": (CURSOR.upper(), f"https://app.kombo.dev.example.com/{CURSOR}"),
    "a name": (PERSON, f"https://notkombo.dev/{PERSON}"),
    "a first name": (f"PLATFORM.{PERSON.split(maxsplit=1)[0]}", f"//app.kombo.dev/{PERSON}"),
}
"""Codes and log URLs that do not have Kombo's format"""


def with_secrets_everywhere(status: str, code: str, log_url: str) -> Behavior:
    """Put secrets into every part of a response."""
    error = {"code": code, "title": SECRETS, "message": SECRETS, "log_url": log_url}

    def second_page(_: OffersRequest) -> Pieces:
        yield http_response(
            json.dumps({"status": "error", "error": error, "person": PERSON}).encode(),
            f"Location: https://example.com/?{SECRETS}",
            f"WWW-Authenticate: Bearer realm={SECRETS}",
            f"Set-Cookie: a={SECRETS}; Expires={SECRETS}",
            f"Content-Type: {SECRETS}",
            f"Retry-After: {SECRETS}",
            f"ratelimit-remaining: {SECRETS}",
            f"not a header {SECRETS}",
            status=f"{status} {SECRETS}",
        )
        # The client does not see the length, which follows the invalid header.
        yield CLOSE

    return Behavior(
        second_page, first_page=lambda _: [http_response(page_json(cursor=f'"{CURSOR}"'))]
    )


@AT_EVERY_LEVEL
def test_logs_contain_nothing_from_a_response_in_another_format(level: str) -> None:
    behaviors = {
        f"{name.replace(' ', '-')}-{status[:3]}": with_secrets_everywhere(status, code, log_url)
        for name, (code, log_url) in UNTRUSTED.items()
        for status in STATUSES
    }
    with RawServer(behaviors) as kombo:
        settings = {
            "api_key": KEY,
            "api_url": kombo.url,
            "integration_ids": list(behaviors),
            "start_date": "2026-02-28",
            "concurrency": 16,
            "max_wait_seconds": 1,
        }
        run = run_tap(settings, catalog=OFFERS, env={"TAP_KOMBO_LOGLEVEL": level})

    assert run.code == 1
    assert len(run.errors) == len(behaviors)
    secrets = [
        KEY,
        "7Hq2",
        CURSOR,
        "Bearer",
        "Zacharias",
        "Quellenhof",
        "2026-02-28",
        "example.com",
    ]
    assert [secret for secret in secrets if secret in run.stderr] == []
    assert KEY.encode() not in run.stdout


def run_with_bug(sandbox: Sandbox, name: str) -> TapRun:
    """Run the tap with a bug: a function raises an exception whose message has secrets."""

    def bug(*args: Any, **kwargs: Any) -> None:  # noqa: ARG001
        raise RuntimeError(f"{PERSON} {KEY}")

    with mock.patch(f"tap_kombo.{name}", bug):
        run = run_tap(settings_for(sandbox), catalog=OFFERS)
    assert [text for text in ("Traceback", PERSON, KEY) if text in run.stderr] == []
    return run


def test_a_bug_fails_its_read_and_is_reported_with_its_location(sandbox: Sandbox) -> None:
    run = run_with_bug(sandbox, "reader.make_page")

    assert run.code == 1
    assert len(run.errors) == 3
    place = r"\(ats_offers\): Unexpected RuntimeError at test_logs.py:[0-9]+ < reader.py:"
    assert all(re.search(place, error) and "bug in tap-kombo" in error for error in run.errors)


@pytest.mark.parametrize(
    "name",
    [
        "state.State.starts",
        "state.State.page_written",
        "summary.RunSummary.finish",
        "writer.SingerMessages.records",
    ],
)
def test_a_bug_outside_of_reads_is_reported_with_its_location(sandbox: Sandbox, name: str) -> None:
    run = run_with_bug(sandbox, name)

    assert run.code == 1
    assert run.errors
    assert all("Unexpected RuntimeError at test_logs.py:" in e for e in run.errors)
    assert run.messages[-1]["type"] == "STATE"


class ProxyWithLogin(RawServer):
    def respond(self, head: str) -> Pieces:  # noqa: ARG002  # the same for all requests
        yield http_response(b"", status="407 Proxy Authentication Required")


def test_network_errors_do_not_contain_the_proxys_password() -> None:
    unreachable = {"api_url": "https://127.0.0.1:9/v1"}
    with ProxyWithLogin() as proxy:
        networks: list[tuple[dict[str, Any], dict[str, str], str]] = [
            # Settings, environment and problem
            (unreachable, {}, "No connection to 127.0.0.1"),
            (
                {},
                {"HTTPS_PROXY": f"http://ada:{PASSWORD}@127.0.0.1:9"},
                "No connection to api.kombo.dev",
            ),
            (
                {},
                {"HTTPS_PROXY": f"http://ada:{PASSWORD}@{proxy.host}"},
                "No connection to api.kombo.dev",
            ),
            (
                {},
                {"HTTPS_PROXY": f"ftp://ada:{PASSWORD}@127.0.0.1:9"},
                "The URL of Kombo or of the proxy is not valid",
            ),
            (
                unreachable,
                {"REQUESTS_CA_BUNDLE": f"/nowhere/{PASSWORD}.pem"},
                "The trusted certificates cannot be read",
            ),
        ]

        own = {"api_key": KEY, "integration_ids": ["personio:x"], "max_wait_seconds": 0}
        for settings, env, problem in networks:
            run = run_tap(
                {**own, **settings},
                catalog=OFFERS,
                env={"NO_PROXY": "", "TAP_KOMBO_LOGLEVEL": "DEBUG", **env},
            )

            assert run.code == 1
            [error] = run.errors
            assert error.startswith(f"The run ended early: {problem}")
            assert [s for s in (PASSWORD, KEY, "Traceback") if s in run.stderr] == []
    assert proxy.heads


def test_the_proxy_receives_its_login_but_not_the_key() -> None:
    with ProxyWithLogin() as proxy:
        run_tap(
            {"api_key": KEY, "integration_ids": ["personio:x"], "max_wait_seconds": 0},
            catalog=OFFERS,
            env={"HTTPS_PROXY": f"http://ada:{PASSWORD}@{proxy.host}", "NO_PROXY": ""},
        )

    assert proxy.heads
    for head in proxy.heads:
        assert head.startswith("CONNECT api.kombo.dev:443 ")
        assert "Proxy-Authorization: Basic " in head
        assert KEY not in head


def test_a_netrc_file_does_not_replace_the_key(tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text(f"default login ada password {PASSWORD}\n")
    with RawServer() as kombo:
        run = run_tap(
            {"api_key": KEY, "api_url": kombo.url, "integration_ids": ["personio:x"]},
            catalog=OFFERS,
            env={"NETRC": str(tmp_path / "netrc")},
        )

    assert run.code == 0
    for head in kombo.heads:
        logins = [line for line in head.splitlines() if "uthorization" in line]
        assert logins == [f"Authorization: Bearer {KEY}"]


@pytest.mark.parametrize(
    ("variable", "proxy"),
    [
        ("HTTP_PROXY", "http://proxy.invalid:8080"),
        ("HTTP_PROXY", "proxy.invalid:8080"),
        ("HTTP_PROXY", "http://[half"),
        ("ALL_PROXY", "socks5://proxy.invalid"),
    ],
)
def test_a_key_that_is_not_encrypted_is_not_sent_to_a_proxy(variable: str, proxy: str) -> None:
    with RawServer() as kombo:
        run = run_tap(
            {"api_key": KEY, "api_url": kombo.url, "integration_ids": ["personio:x"]},
            catalog=OFFERS,
            env={variable: proxy, "NO_PROXY": ""},
        )

    assert run.code == 0
    assert len(kombo.heads) == 4
