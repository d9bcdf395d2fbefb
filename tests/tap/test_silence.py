"""No log, at any level, tells a secret, an address' query or anything of a record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kombo_sandbox import Sandbox
from tests.tap.raw_server import END, Asked, Broken, Pieces, RawKombo, http, page
from tests.tap_run import TapRun, catalog_with, run_tap, settings_for


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A Kombo of its own, because people's data is put into it that other tests would find."""
    with Sandbox(integrations=3, offers=150, seed=17) as sandbox:
        yield sandbox


PERSON = "Zacharias Quellenhof"


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_logs_are_silent_about_keys_queries_and_people(sandbox: Sandbox, level: str) -> None:
    offer, other = sandbox.records("ats_offers", sandbox.integration_ids[0])[:2]
    sandbox.patch("ats_offers", offer["id"], {"status": {"name": PERSON}, "new_field": PERSON})
    sandbox.patch("ats_offers", other["id"], {"remote_created_at": PERSON})
    echo = f'{{"key":"{sandbox.api_key}","person":"{PERSON}"'
    broken = sandbox.integration_ids[1]
    sandbox.fault(path="/ats/jobs", integration_id=broken, body=echo, status=200, count=2)
    sandbox.fault(
        path="/ats/offers",
        integration_id=broken,
        status=500,
        code=f"PLATFORM.{PERSON}",
        log_url=f"https://app.kombo.dev/logs?key={sandbox.api_key}",
    )
    sandbox.fault(path="/ats/candidates", integration_id=broken, status=400, body=echo)

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


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_logs_are_silent_about_what_an_expression_makes(sandbox: Sandbox, level: str) -> None:
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


def test_each_failure_still_names_integration_stream_and_status(sandbox: Sandbox) -> None:
    broken = sandbox.integration_ids[1]
    sandbox.fault(path="/ats/candidates", integration_id=broken, status=418)

    run = run_tap(settings_for(sandbox))

    [error] = run.errors
    assert broken in error
    assert "ats_candidates" in error
    assert "418" in error


def test_about_tells_no_secret() -> None:
    run = run_tap(
        {"api_key": "ks_dev_secret_of_ours"},
        "--about",
        "--format=json",
        env={"TAP_KOMBO_API_KEY": "ks_dev_secret_of_ours"},
    )

    assert run.code == 0
    assert b"ks_dev" not in run.stdout
    assert "ks_dev" not in run.stderr


KEY = "ks_dev_7Hq2secret9"
CURSOR = "c3VwZXJzZWNyZXQx"
STATUSES = ["200 OK", "302 Found", "400 Bad", "403 No", "404 No", "418 No", "429 Slow", "503 Down"]
ECHOED = f"{KEY} Bearer-{KEY} {CURSOR} {PERSON}"


def echo(status: str, *, in_code: str, in_log: str) -> Broken:
    """Answer with all that was sent, and with somebody's name, in each place that there is."""
    error = {
        "code": f"PLATFORM.{in_code}",
        "title": ECHOED,
        "message": ECHOED,
        "log_url": f"https://app.kombo.dev/{in_log}",
    }

    def answer(_: Asked) -> Pieces:
        yield http(
            json.dumps({"status": "error", "error": error, "person": PERSON}).encode(),
            f"Location: https://example.com/?{ECHOED}",
            f"WWW-Authenticate: Bearer realm={ECHOED}",
            f"Set-Cookie: a={ECHOED}; Expires={ECHOED}",
            f"Content-Type: {ECHOED}",
            f"Retry-After: {ECHOED}",
            f"ratelimit-remaining: {ECHOED}",
            f"no header at all {ECHOED}",
            status=f"{status} {ECHOED}",
        )
        # The line that is no header has hidden the length.
        yield END

    def first(_: Asked) -> Pieces:
        yield http(page(cursor=f'"{CURSOR}"'))

    return Broken(answer, first=first)


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_logs_are_silent_also_when_everything_is_echoed(level: str) -> None:
    places = {
        "key": (KEY, f"my-prod/logs?interactionId={KEY}"),
        "key-in-path": ("X", f"{KEY}/logs?interactionId=1"),
        "cursor": (CURSOR, f"my-prod/logs?interactionId={CURSOR}"),
        "cursor-in-path": (CURSOR.upper(), f"env/production/logs/{CURSOR}"),
        "person": (PERSON, f"my-prod/logs?interactionId={PERSON}"),
        "name": (PERSON.split(maxsplit=1)[0], f"env/production/logs/{PERSON.split(maxsplit=1)[0]}"),
    }
    broken = {
        f"{place}-{status[:3]}": echo(status, in_code=in_code, in_log=in_log)
        for place, (in_code, in_log) in places.items()
        for status in STATUSES
    }
    with RawKombo(broken) as kombo:
        settings = {
            "api_key": KEY,
            "api_url": kombo.url,
            "integration_ids": list(broken),
            "start_date": "2026-01-31",
            "concurrency": 16,
        }
        run = run_tap(
            settings, catalog=catalog_with("ats_offers"), env={"TAP_KOMBO_LOGLEVEL": level}
        )

    assert run.code == 1
    assert len(run.errors) == len(broken)
    secrets = [KEY, "7Hq2", CURSOR, "Bearer", "Zacharias", "Quellenhof", "2026-01-31", "ghost"]
    assert [secret for secret in secrets if secret in run.stderr] == []
    assert KEY.encode() not in run.stdout


def test_a_mistake_of_the_taps_own_is_told_by_its_place_alone(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        f"import tap_kombo.reader\n"
        f"def walk(job, client):\n"
        f"    raise RuntimeError('{PERSON} {KEY}')\n"
        f"tap_kombo.reader.walk = walk\n"
    )

    run = run_tap(
        settings_for(sandbox), catalog=catalog_with("ats_offers"), env={"PYTHONPATH": str(tmp_path)}
    )

    assert run.code == 1
    assert len(run.errors) == 3
    place = "(ats_offers): Unexpected RuntimeError at sitecustomize.py:3 < reader.py:"
    assert all(place in error and "a mistake in tap-kombo" in error for error in run.errors)
    assert "Traceback" not in run.stderr
    assert PERSON not in run.stderr
    assert KEY not in run.stderr


@pytest.mark.parametrize(
    "what",
    ["writer.Writer._records", "writer.Writer._move_bookmark", "summary.Summary.end"],
    ids=["shaping records", "moving bookmarks", "telling the end"],
)
def test_a_mistake_while_writing_is_told_by_its_place_alone(
    sandbox: Sandbox, tmp_path: Path, what: str
) -> None:
    module, kind, method = what.split(".")
    (tmp_path / "sitecustomize.py").write_text(
        f"from tap_kombo import {module}\n"
        f"def mistake(*args, **kwargs):\n"
        f"    raise RuntimeError('{PERSON} {KEY}')\n"
        f"{module}.{kind}.{method} = mistake\n"
    )

    run = run_tap(
        settings_for(sandbox), catalog=catalog_with("ats_offers"), env={"PYTHONPATH": str(tmp_path)}
    )

    assert run.code == 1
    assert all("Unexpected RuntimeError at sitecustomize.py:3 < " in e for e in run.errors)
    assert run.errors
    assert run.messages[-1]["type"] == "STATE"
    assert [word for word in ("Traceback", PERSON, KEY) if word in run.stderr] == []


PASSWORD = "opensesame"


def test_ways_that_cannot_be_used_are_told_without_the_proxys_password() -> None:
    here = "https://127.0.0.1:9/v1"
    ways: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
        # where Kombo is, the environment, and what is told
        "nobody is there": ({"api_url": here}, {}, "no connection to 127.0.0.1"),
        "the proxy is not there": (
            {},
            {"HTTPS_PROXY": f"http://ada:{PASSWORD}@127.0.0.1:9"},
            "no connection to api.kombo.dev. Check `api_url`, `region`, the network and its proxy",
        ),
        "the proxy speaks something else": (
            {},
            {"HTTPS_PROXY": f"ftp://ada:{PASSWORD}@127.0.0.1:9"},
            "no way to the address of Kombo or of the proxy",
        ),
        "the certificates are not there": (
            {"api_url": here},
            {"REQUESTS_CA_BUNDLE": f"/nowhere/{PASSWORD}.pem"},
            "The certificates to trust cannot be read",
        ),
    }

    def attempt(way: str) -> TapRun:
        settings, env, _ = ways[way]
        own = {"api_key": KEY, "integration_ids": ["personio:x"], **settings}
        return run_tap(own, env={"NO_PROXY": "", "TAP_KOMBO_LOGLEVEL": "DEBUG", **env})

    with ThreadPoolExecutor() as pool:
        runs = dict(zip(ways, pool.map(attempt, ways), strict=True))

    for way, run in runs.items():
        assert run.code == 1
        [error] = run.errors
        assert error.startswith("The run ended early: "), way
        assert ways[way][2] in error
        assert [secret for secret in (PASSWORD, KEY, "Traceback") if secret in run.stderr] == []


class ProxyWithLogin(RawKombo):
    def answer(self, head: str) -> Pieces:
        self.heads.append(head)
        yield http(b"", status="407 Proxy Authentication Required")


def test_a_proxy_that_asks_for_a_login_is_told_at_once() -> None:
    with ProxyWithLogin() as proxy:
        run = run_tap(
            {"api_key": KEY, "integration_ids": ["personio:x"]},
            catalog=catalog_with("ats_offers"),
            env={"HTTPS_PROXY": f"http://ada:{PASSWORD}@{proxy.host}", "NO_PROXY": ""},
        )

    assert run.code == 1
    [error] = run.errors
    assert error.startswith("The run ended early: HTTP 407. The network's proxy asks for a login.")
    assert len(proxy.heads) == 1
    assert [secret for secret in (PASSWORD, KEY, "Traceback") if secret in run.stderr] == []


def test_the_networks_proxy_is_used_and_no_other_login(tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text(f"default login ada password {PASSWORD}\n")
    with RawKombo() as kombo:
        run = run_tap(
            {
                "api_key": KEY,
                "api_url": "http://127.0.0.1:9/v1",
                "integration_ids": ["personio:x"],
            },
            catalog=catalog_with("ats_offers"),
            env={
                "HTTP_PROXY": f"http://{kombo.host}",
                "NO_PROXY": "",
                "NETRC": str(tmp_path / "netrc"),
            },
        )

    assert run.code == 0
    assert len(kombo.heads) == 4
    for head in kombo.heads:
        assert head.startswith("GET http://127.0.0.1:9/v1/")
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
def test_a_key_that_is_not_encrypted_goes_to_no_proxy_elsewhere(variable: str, proxy: str) -> None:
    with RawKombo() as kombo:
        run = run_tap(
            {"api_key": KEY, "api_url": kombo.url, "integration_ids": ["personio:x"]},
            catalog=catalog_with("ats_offers"),
            env={variable: proxy, "NO_PROXY": ""},
        )

    assert run.code == 0
    assert len(kombo.heads) == 4
