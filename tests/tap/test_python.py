"""The tap as a Python library."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

import pytest

import tap_kombo
from harness.tap import TapRun, catalog_with, restored_signals, settings_for
from kombo_sandbox import Sandbox
from tap_kombo import TapKombo
from tap_kombo.errors import RunFailedError

OFFERS = catalog_with("ats_offers")


@pytest.fixture(autouse=True)
def signal_handlers() -> Iterator[None]:
    """Restore the signal handlers, which a tap replaces."""
    with restored_signals():
        yield


def test_the_package_exports_the_tap_only() -> None:
    assert TapKombo.name == "tap-kombo"
    assert tap_kombo.__all__ == ["TapKombo"]
    with pytest.raises(AttributeError):
        _ = tap_kombo.TapPersonio


def test_a_sync_writes_to_a_redirected_stdout(sandbox: Sandbox) -> None:
    tap = TapKombo(config=settings_for(sandbox), catalog=OFFERS)

    with contextlib.redirect_stdout(io.StringIO()) as output:
        tap.sync_all()

    run = TapRun(0, output.getvalue().encode(), "")
    assert run.messages[0]["type"] == "SCHEMA"
    assert run.messages[-1]["type"] == "STATE"
    assert run.ids("ats_offers") == sorted(r["id"] for r in sandbox.records("ats_offers"))
    assert all(run.bookmark("ats_offers", name) for name in sandbox.integration_ids)


def test_a_sync_to_memory_can_wait_for_pages(sandbox: Sandbox) -> None:
    """While it waits, the tap checks whether its target has exited; here, there is none."""
    sandbox.fault("/ats/offers", delay=1.5, count=1)
    tap = TapKombo(config=settings_for(sandbox), catalog=OFFERS)
    output = io.TextIOWrapper(io.BytesIO())

    with contextlib.redirect_stdout(output):
        tap.sync_all()

    run = TapRun(0, output.buffer.getvalue(), "")
    assert run.ids("ats_offers") == sorted(r["id"] for r in sandbox.records("ats_offers"))


def test_a_sync_raises_an_exception_after_a_failed_read(sandbox: Sandbox) -> None:
    failing, *others = sandbox.integration_ids
    sandbox.fault("/ats/offers", integration_id=failing, status=403)
    tap = TapKombo(config=settings_for(sandbox), catalog=OFFERS)

    with (
        contextlib.redirect_stdout(io.StringIO()) as output,
        pytest.raises(RunFailedError),
    ):
        tap.sync_all()

    run = TapRun(1, output.getvalue().encode(), "")
    assert run.bookmark("ats_offers", failing) is None
    assert all(run.bookmark("ats_offers", name) for name in others)
