"""Starting, stopping and driving a sandbox: from Python and by command."""

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
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from kombo_sandbox import Handle, Sandbox, SandboxError
from kombo_sandbox.cli import main
from tests.sandbox.client import Client, code


@contextmanager
def serving(*options: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command ``kombo-sandbox serve``, and the line that says it is ready."""
    with subprocess.Popen(
        [sys.executable, "-m", "kombo_sandbox", "serve", "--port=0", "--offers=5", *options],
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


def test_a_restart_keeps_what_kombo_holds() -> None:
    with Sandbox(integrations=2, offers=10) as sandbox:
        client = Client(sandbox)
        sandbox.advance(3600)
        sandbox.delete("ats_offers", integration_id=client.integration_id)
        sandbox.set_integration(sandbox.integration_ids[1], status="INACTIVE")
        cursor = client.get("/ats/offers", page_size=5).json()["data"]["next"]
        before = client.held("ats_offers"), sandbox.url, sandbox.integration_ids
        now = sandbox.clock()
        sandbox.fault(status=500)

        sandbox.restart()

        assert (client.held("ats_offers"), sandbox.url, sandbox.integration_ids) == before
        assert now < sandbox.clock()
        assert sandbox.requests() == []
        assert client.get("/ats/offers", page_size=5, cursor=cursor).status_code == 200
        inactive = Client(sandbox, sandbox.integration_ids[1])
        assert code(inactive.get("/ats/jobs")) == "INTEGRATION.INACTIVE"
        assert len(sandbox.add("ats_offers", 2, client.integration_id)) == 2


def test_a_restart_breaks_requests_that_wait() -> None:
    with Sandbox(integrations=1, offers=1) as sandbox:
        client = Client(sandbox)
        sandbox.fault(hang=True)
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(client.get, "/ats/offers")
            while not sandbox.requests():
                time.sleep(0.01)
            sandbox.restart()
            with pytest.raises(requests.ConnectionError):
                waiting.result()
        assert client.get("/ats/offers").status_code == 200


def test_the_clock_moves_on_and_can_be_moved(sandbox: Sandbox) -> None:
    before = sandbox.clock()
    time.sleep(0.01)
    assert sandbox.clock() > before
    moved = sandbox.advance(86_400)
    assert before[:10] < moved[:10]
    assert moved <= sandbox.clock()


def test_the_log_shows_what_was_asked(client: Client) -> None:
    client.get("/ats/offers", page_size=5, include_deleted="true")
    client.get(f"/integrations/{client.integration_id}")
    client.sandbox.records("ats_offers")
    offers, details = client.sandbox.requests()
    assert (offers.path, offers.status) == ("/ats/offers", 200)
    assert offers.integration_id == details.integration_id == client.integration_id
    assert offers.params == {"page_size": "5", "include_deleted": "true"}
    assert "authorization" not in offers.headers
    assert offers.headers["user-agent"].startswith("python-requests")
    assert offers.ended is not None
    assert time.time() - 10 < offers.started < offers.ended < details.started
    client.sandbox.clear_requests()
    assert client.sandbox.requests() == []


def test_records_can_be_read_one_by_one(client: Client) -> None:
    records = client.sandbox.iter_records("ats_offers", client.integration_id)
    assert next(records) == client.held("ats_offers")[0]
    records.close()


def test_a_running_sandbox_can_be_attached_to(sandbox: Sandbox) -> None:
    for url in (sandbox.url, sandbox.url.removesuffix("/v1")):
        handle = Sandbox.attach(url)
        assert isinstance(handle, Handle)
        assert (handle.url, handle.api_key) == (sandbox.url, sandbox.api_key)
        assert handle.integration_ids == sandbox.integration_ids


def test_where_no_sandbox_runs_there_is_a_sentence() -> None:
    with pytest.raises(SandboxError, match="no sandbox answers at http"):
        Sandbox.attach("http://127.0.0.1:9")


def test_sizes_that_do_not_fit_the_integrations_are_refused(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SandboxError, match="did not start"):
        Sandbox(integrations=3, offers=[1, 2])
    assert capfd.readouterr().err == ("kombo-sandbox: --offers has 2 numbers for 3 integrations\n")


def run(sandbox: Handle, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main([*arguments, "--url", sandbox.url]) == 0
    return capsys.readouterr().out.splitlines()


def test_records_are_driven_by_command(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    since = client.sandbox.clock()
    driven = ("ats_offers", "--integration", client.integration_id)
    ids = [
        *run(client.sandbox, capsys, "change", *driven, "--count", "2"),
        *run(client.sandbox, capsys, "change-nested", *driven),
        *run(client.sandbox, capsys, "delete", *driven),
        *run(client.sandbox, capsys, "anonymize", *driven),
        *run(client.sandbox, capsys, "add", *driven),
    ]
    assert client.ids("ats_offers", updated_after=since, include_deleted="true") == set(ids)
    [deleted] = run(client.sandbox, capsys, "delete", *driven)
    assert run(client.sandbox, capsys, "restore", "ats_offers", "--ids", deleted) == [deleted]


def test_everything_else_is_driven_by_command(
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
    [before] = run(sandbox, capsys, "clock")
    [after] = run(sandbox, capsys, "advance", "86400")
    assert before[:10] < after[:10]
    [state] = run(sandbox, capsys, "state")
    assert json.loads(state)["integration_ids"] == sandbox.integration_ids


def test_what_a_command_cannot_do_is_one_sentence(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["change", "ats_nothing", "--url", sandbox.url]) == 1
    assert capsys.readouterr().err.startswith("kombo-sandbox: there is no model ats_nothing")


def test_serve_says_where_it_is_and_how_to_get_in() -> None:
    with serving("--key=ks_own", "--integrations=1") as (_, line):
        assert line.startswith("Kombo sandbox at http://127.0.0.1:")
        url = line.split()[3].rstrip(",")
        handle = Handle(url)
        assert f"key ks_own, integrations {handle.integration_ids[0]}" in line
        assert Client(handle).get("/check-api-key").status_code == 200


def test_serve_says_it_in_json() -> None:
    with serving("--json") as (_, line):
        ready: dict[str, Any] = json.loads(line)
        handle = Handle(ready["url"])
        assert ready == {
            "url": handle.url,
            "api_key": handle.api_key,
            "integration_ids": handle.integration_ids,
        }


@pytest.mark.parametrize(
    ("host", "shown"),
    [("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]")],  # noqa: S104 - the test's case
)
def test_serve_prints_a_url_that_works(host: str, shown: str) -> None:
    if ":" in host and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    with serving("--json", f"--host={host}", "--integrations=1") as (_, line):
        url = json.loads(line)["url"]
        assert re.fullmatch(rf"http://{re.escape(shown)}:\d+/v1", url)
        handle = Handle(url)
        assert handle.url == url
        assert handle.advance(60)
        assert len(handle.records("ats_offers")) == 5
        assert Client(handle).get("/check-api-key").status_code == 200


def test_serve_writes_settings_for_the_tap(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text("something longer than the settings" * 100)
    config.chmod(0o644)
    with serving("--json", f"--write-config={config}", "--integrations=2") as (_, line):
        ready = json.loads(line)
        assert json.loads(config.read_text()) == {
            "api_url": ready["url"],
            "api_key": ready["api_key"],
            "integration_ids": ready["integration_ids"],
        }
        assert config.stat().st_mode & 0o777 == 0o600


def test_settings_that_cannot_be_written_are_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "missing" / "config.json"
    with serving(f"--write-config={config}") as (process, line):
        assert process.wait(timeout=20) == 1
    assert line == ""
    assert capfd.readouterr().err == (
        f"kombo-sandbox: cannot write {config}: No such file or directory\n"
    )


def test_serve_prints_settings_for_the_environment() -> None:
    with serving("--env", "--integrations=2", "--key=a key'") as (process, line):
        assert process.stdout is not None
        exports = [line, process.stdout.readline(), process.stdout.readline()]
        assert all(one.startswith("export TAP_KOMBO_") for one in exports)
        names = "$TAP_KOMBO_API_URL", "$TAP_KOMBO_API_KEY", "$TAP_KOMBO_INTEGRATION_IDS"
        script = "".join(exports) + "".join(f'printf "%s\\n" "{name}"\n' for name in names)
        shell = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        url, key, ids = shell.stdout.splitlines()
        handle = Handle(url)
        assert (key, json.loads(ids)) == ("a key'", handle.integration_ids)


@pytest.mark.parametrize("package", ["faker", "httptools", "starlette", "uvicorn"])
def test_a_missing_dependency_is_one_sentence(package: str) -> None:
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


def test_the_host_of_serve_is_accepted_by_the_control_api() -> None:
    with serving("--json", "--host=localhost") as (_, line):
        port = urlsplit(json.loads(line)["url"]).port
        assert Handle(f"http://localhost:{port}/v1").integration_ids


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_at_once_and_nothing_is_left(
    tmp_path: Path, number: signal.Signals
) -> None:
    with serving("--json", TMPDIR=str(tmp_path)) as (process, line):
        client = Client(Handle(json.loads(line)["url"]))
        assert client.get("/ats/offers").status_code == 200  # the connection stays open
        client.sandbox.fault(hang=True)
        with pytest.raises(requests.ReadTimeout):
            client.session.get(f"{client.sandbox.url}/ats/jobs", timeout=0.1)
        assert list(tmp_path.iterdir())
        started = time.monotonic()
        process.send_signal(number)
        assert process.wait(timeout=5) == 0
        assert time.monotonic() - started < 2
    assert list(tmp_path.iterdir()) == []


def test_it_stops_with_the_process_that_started_it() -> None:
    with serving("--until-eof") as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=5) == 0


def test_a_port_that_is_taken_is_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serving(f"--port={port}") as (process, line):
            assert process.wait(timeout=5) == 1
    assert line == ""
    assert capfd.readouterr().err == (
        f"kombo-sandbox: cannot listen on 127.0.0.1 port {port}: Address already in use\n"
    )


def test_data_stays_in_the_file_that_was_named(tmp_path: Path) -> None:
    file = tmp_path / "data.sqlite"
    states = []
    for seed in ("1", "2"):
        with serving("--json", f"--data={file}", f"--seed={seed}") as (process, line):
            handle = Handle(json.loads(line)["url"])
            states.append((handle.integration_ids, handle.records("ats_offers")))
            process.terminate()
            process.wait(timeout=5)
    assert states[0] == states[1]


def test_a_file_that_holds_something_else_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "data.sqlite"
    file.write_text("this is no SQLite file, but a text of some length")
    with serving(f"--data={file}") as (process, _):
        assert process.wait(timeout=5) == 1
    assert capfd.readouterr().err.startswith(f"kombo-sandbox: {file} cannot be used for data")


def test_a_file_that_was_not_filled_to_its_end_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "data.sqlite"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE settings (key TEXT PRIMARY KEY, value)")
        database.execute("INSERT INTO settings VALUES ('seed', 1)")
        database.commit()
    with serving(f"--data={file}") as (process, _):
        assert process.wait(timeout=5) == 1
    assert capfd.readouterr().err == (
        f"kombo-sandbox: {file} was never filled to its end: remove it\n"
    )
