"""The progress of a run: on a terminal, in a log, and for each stream."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from harness.tap import TAP, arguments_for, catalog_with, log_config, run_tap, settings_for
from kombo_sandbox import Sandbox
from tap_kombo import summary
from tap_kombo.summary import RunSummary

OFFERS = catalog_with("ats_offers")
ERASED = "\r\x1b[K"


def test_a_terminal_shows_the_progress_in_its_last_line(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.fault(path="/ats/offers", delay=1.5)
    arguments = arguments_for(tmp_path, settings_for(sandbox), catalog=OFFERS)
    screen, stderr = pty.openpty()

    with subprocess.Popen([TAP, *arguments], stdout=subprocess.DEVNULL, stderr=stderr) as process:
        os.close(stderr)
        chunks: list[bytes] = []
        with contextlib.suppress(OSError):  # the terminal has closed
            while chunk := os.read(screen, 4096):
                chunks.append(chunk)
    os.close(screen)

    assert process.returncode == 0
    text = b"".join(chunks).decode()
    assert f"{ERASED}0 of 3 streams done, 0 records, 0 per second" in text
    assert "3 streams synced" in text.rpartition(ERASED)[2]


def test_a_log_has_a_line_of_progress_from_time_to_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(summary, "LOG_INTERVAL", 0.0)
    run = RunSummary({"personio:a": ["ats_offers"], "personio:b": ["ats_offers"]}, concurrency=4)

    run.report_progress(waiting=0.0)
    run.report_progress(waiting=12.0)

    assert caplog.messages[1:] == [
        "0 of 2 streams done, 0 records, 0 per second.",
        "0 of 2 streams done, 0 records, 0 per second; waiting 12 seconds for the rate limit.",
    ]


def test_each_stream_has_a_line_when_its_last_integration_is_complete(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    failing, *_ = sandbox.integration_ids
    sandbox.fault(path="/ats/jobs", integration_id=failing, status=418)

    run = run_tap(
        settings_for(sandbox),
        catalog=catalog_with("ats_offers", "ats_jobs", "hris_employees"),
        env={"SINGER_SDK_LOG_CONFIG": log_config(tmp_path)},
    )

    records = [json.loads(line) for line in run.stderr.splitlines()]
    streams = {r["stream_name"]: r for r in records if r["stream_name"]}
    offers = len(sandbox.records("ats_offers"))
    assert streams["ats_offers"]["message"] == f"ats_offers: {offers:,} records of 3 integrations."
    assert streams["ats_offers"]["extra"]["records"] == offers
    assert streams["ats_jobs"]["message"].endswith("records of 2 integrations.")
    assert "hris_employees" not in streams
    errors = [r["extra"] for r in records if r["level"] == "error"]
    assert [(e["integration_id"], e["streams"], e["http_status"]) for e in errors] == [
        (failing, ["ats_jobs"], 418)
    ]
