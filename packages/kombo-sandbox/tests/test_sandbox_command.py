"""The command `kombo-sandbox`."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from sandbox_client import Client

from kombo_sandbox import Handle, Sandbox
from kombo_sandbox.cli import main


@contextmanager
def serving(*options: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `kombo-sandbox serve`; yields the process and its first line."""
    small = ("--port=0", "--integrations=1", "--offers=5")
    with subprocess.Popen(
        [sys.executable, "-m", "kombo_sandbox", "serve", *small, *options],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline()
        finally:
            process.terminate()


def error_of_serve(capfd: pytest.CaptureFixture[str], *options: str) -> str:
    """Return the error of `kombo-sandbox serve`, which must fail."""
    with serving(*options) as (process, line):
        assert process.wait(timeout=20) == 1
    assert line == ""
    return capfd.readouterr().err


def test_serve_prints_the_url_the_api_key_and_the_integrations() -> None:
    with serving("--api-key=ks_own") as (_, line):
        assert line.startswith("Kombo sandbox at http://127.0.0.1:")
        handle = Handle(line.split()[3].rstrip(","))
        assert f"key ks_own, integrations {handle.integration_ids[0]}" in line
        assert Client(handle).get("/check-api-key").status_code == 200


def test_serve_prints_json_and_writes_a_private_config_file(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text("longer than the settings" * 100)
    config.chmod(0o644)
    with serving("--json", f"--write-config={config}", "--integrations=2") as (_, line):
        printed = json.loads(line)
        handle = Handle(printed["url"])
        assert printed == {
            "url": handle.url,
            "api_key": handle.api_key,
            "integration_ids": handle.integration_ids,
        }
        assert json.loads(config.read_text()) == {
            "api_url": handle.url,
            "api_key": handle.api_key,
            "integration_ids": handle.integration_ids,
        }
        assert config.stat().st_mode & 0o777 == 0o600


def test_serve_prints_settings_as_export_lines() -> None:
    with serving("--env", "--integrations=2", "--api-key=a key'") as (process, line):
        assert process.stdout is not None
        exports = [line, process.stdout.readline(), process.stdout.readline()]
        assert all(one.startswith("export TAP_KOMBO_") for one in exports)
        names = "$TAP_KOMBO_API_URL", "$TAP_KOMBO_API_KEY", "$TAP_KOMBO_INTEGRATION_IDS"
        script = "".join(exports) + "".join(f'printf "%s\\n" "{name}"\n' for name in names)
        shell = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        url, key, ids = shell.stdout.splitlines()
        assert (key, json.loads(ids)) == ("a key'", Handle(url).integration_ids)


@pytest.mark.parametrize(
    ("host", "printed"),
    [("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]")],  # noqa: S104 - the test's case
)
def test_serve_prints_a_url_that_works_for_any_host(host: str, printed: str) -> None:
    if ":" in host and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    with serving("--json", f"--host={host}") as (_, line):
        url = json.loads(line)["url"]
        assert re.fullmatch(rf"http://{re.escape(printed)}:\d+/v1", url)
        handle = Handle(url)
        assert handle.url == url
        assert handle.advance(60)
        assert len(handle.records("ats_offers")) == 5
        assert Client(handle).get("/check-api-key").status_code == 200


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_the_control_api_accepts_the_host_of_serve() -> None:
    with serving("--json", "--host=localhost") as (_, line):
        port = urlsplit(json.loads(line)["url"]).port
        assert Handle(f"http://localhost:{port}/v1").integration_ids


@pytest.mark.parametrize("package", ["msgspec", "httptools", "starlette", "uvicorn"])
def test_a_missing_dependency_is_reported_in_one_line(package: str) -> None:
    script = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from kombo_sandbox.cli import main; sys.exit(main(['serve', '--port=0']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"kombo-sandbox: the package {package} is not installed: run pip install {package}\n"
    )


def test_a_config_file_that_cannot_be_written_is_reported_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "missing" / "config.json"
    assert error_of_serve(capfd, f"--write-config={config}") == (
        f"kombo-sandbox: cannot write {config}: No such file or directory\n"
    )


def test_a_port_in_use_is_reported_in_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        assert error_of_serve(capfd, f"--port={port}") == (
            f"kombo-sandbox: cannot listen on 127.0.0.1 port {port}: Address already in use\n"
        )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--port=99999", "--port must be between 0 and 65535, not 99999"),
        ("--host=nobody.invalid", "cannot listen on nobody.invalid port 0: "),
        ("--clock=yesterday", "must be a date like 2026-01-31T12:00:00.000Z"),
        ("--offers=many", "invalid literal for int() with base 10: 'many'"),
        ("--offers=-1", "the size of an integration must be between 0 and 10,000,000"),
        ("--webhook-url=localhost", "the webhook URL 'localhost' is not an http or https URL"),
        ("--rate-limit=-1", "the rate limit must be between 0 and 1,000,000,000"),
    ],
)
def test_an_invalid_option_is_reported_in_one_line(
    option: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    error = error_of_serve(capfd, option)
    assert error.startswith(f"kombo-sandbox: {message}")
    assert error.count("\n") == 1


def test_a_data_file_that_is_not_sqlite_is_rejected(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "data.sqlite"
    file.write_text("This is not an SQLite file, but a text of some length.")
    error = error_of_serve(capfd, f"--data={file}")
    assert error.startswith(f"kombo-sandbox: {file} cannot be used for data")


def test_an_incomplete_data_file_is_rejected(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "data.sqlite"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE settings (key TEXT PRIMARY KEY, value)")
        database.execute("INSERT INTO settings VALUES ('seed', 1)")
        database.commit()
    assert error_of_serve(capfd, f"--data={file}") == (
        f"kombo-sandbox: {file} is incomplete: delete it\n"
    )


def test_an_existing_data_file_is_reused(tmp_path: Path) -> None:
    file = tmp_path / "data.sqlite"
    states = []
    for seed in ("1", "2"):
        with serving("--json", f"--data={file}", f"--seed={seed}") as (process, line):
            handle = Handle(json.loads(line)["url"])
            states.append((handle.integration_ids, handle.records("ats_offers")))
            process.terminate()
            process.wait(timeout=5)
    assert states[0] == states[1]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_server_and_removes_its_files(
    tmp_path: Path, signum: signal.Signals
) -> None:
    with serving("--json", TMPDIR=str(tmp_path)) as (process, line):
        client = Client(Handle(json.loads(line)["url"]))
        assert client.get("/ats/offers").status_code == 200  # the connection stays open
        client.sandbox.fault(hang=True)
        with pytest.raises(requests.ReadTimeout):
            client.session.get(f"{client.sandbox.url}/ats/jobs", timeout=0.1)
        assert list(tmp_path.iterdir())
        started = time.monotonic()
        process.send_signal(signum)
        assert process.wait(timeout=5) == 0
        assert time.monotonic() - started < 2
    assert list(tmp_path.iterdir()) == []


def test_the_server_stops_at_the_end_of_stdin() -> None:
    with serving("--until-eof") as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=5) == 0


def run(sandbox: Handle, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Run a command in this process, and return the lines that it prints."""
    assert main([*arguments, "--url", sandbox.url]) == 0
    return capsys.readouterr().out.splitlines()


def test_commands_change_records(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    since = client.sandbox.clock()
    offers = ("ats_offers", "--integration", client.integration_id)
    changed = [
        *run(client.sandbox, capsys, "change", *offers, "--count", "2"),
        *run(client.sandbox, capsys, "change-nested", *offers),
        *run(client.sandbox, capsys, "delete", *offers),
        *run(client.sandbox, capsys, "anonymize", *offers),
        *run(client.sandbox, capsys, "add", *offers),
    ]
    matches = client.ids("ats_offers", updated_after=since, include_deleted="true")
    assert matches == set(changed)
    [forgotten] = run(client.sandbox, capsys, "forget", *offers)
    assert forgotten not in client.ids("ats_offers", include_deleted="true")
    [deleted] = run(client.sandbox, capsys, "delete", *offers)
    assert run(client.sandbox, capsys, "restore", "ats_offers", "--ids", deleted) == [deleted]


def test_a_command_sets_the_state_of_an_integration(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    def set_state(*options: str) -> dict[str, Any]:
        run(client.sandbox, capsys, "set-integration", client.integration_id, *options)
        [details] = client.sandbox.records("integrations", client.integration_id)
        return details

    moment = "2026-01-31T12:00:00.000Z"
    assert (
        set_state("--status=INACTIVE", f"--data-expired-at={moment}").items()
        >= {
            "status": "INACTIVE",
            "data_expired_at": moment,
        }.items()
    )
    assert set_state("--status=ACTIVE", "--data-expired-at=")["data_expired_at"] is None
    set_state("--disabled-models=ats_offers,ats_jobs")
    assert client.ids("ats_offers") == client.ids("ats_jobs") == set()
    set_state("--disabled-models=")
    assert client.ids("ats_offers")


def test_commands_set_faults_and_print_the_request_log(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox = client.sandbox
    fault = ("--path", "/ats/offers", "--integration", client.integration_id, "--count", "1")
    run(sandbox, capsys, "fault", *fault, "--code", "REMOTE.SERVICE_UNAVAILABLE", "--delay", "0.01")
    assert client.get("/ats/offers").status_code == 503
    run(sandbox, capsys, "fault", "--status", "500")
    run(sandbox, capsys, "clear-faults")
    assert client.get("/ats/offers").status_code == 200
    log = [json.loads(line) for line in run(sandbox, capsys, "requests")]
    assert [entry["status"] for entry in log] == [503, 200]
    run(sandbox, capsys, "clear-requests")
    assert run(sandbox, capsys, "requests") == []


def test_commands_print_the_state_and_advance_the_clock(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    [before] = run(sandbox, capsys, "clock")
    [after] = run(sandbox, capsys, "advance", "86400")
    assert before[:10] < after[:10]
    [state] = run(sandbox, capsys, "state")
    assert json.loads(state)["integration_ids"] == sandbox.integration_ids


def test_a_failed_command_prints_one_line(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["change", "ats_nothing", "--url", sandbox.url]) == 1
    error = capsys.readouterr().err
    assert error.startswith("kombo-sandbox: model: 'ats_nothing' is not one of ats_jobs, ")
    assert error.count("\n") == 1
