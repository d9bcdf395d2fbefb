"""No log, at any level, tells a secret, an address' query or anything of a record."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kombo_sandbox import Sandbox
from tests.tap_run import run_tap, settings_for


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
