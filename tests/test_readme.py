"""Run the commands and examples of the README and the documentation as they are written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.meltano import IGNORED
from harness.postgres import Postgres, postgres
from kombo_sandbox import Sandbox
from scripts.repository import RAW, ROOT, local_links
from tests.code_blocks import code_block

BIN = Path(sys.executable).parent
README = (ROOT / "README.md").read_text()
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
]
DOCUMENTS += sorted((ROOT / "docs").glob("*.md"))
SANDBOX_DOCUMENTS = [ROOT / "docs/sandbox.md", ROOT / "packages/kombo-sandbox/README.md"]

API_KEY = "ks_prod_..."
INTEGRATION_ID = "personio:xc2nfggxoBz2SPafs9TCzQGx"
POSTGRES_URL = "postgresql+psycopg://user:password@host:5432/database"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(integrations=1) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(scope="module")
def meltano_project(
    sandbox: Sandbox, database: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The README's Meltano project, after its commands."""
    folder = tmp_path_factory.mktemp("meltano")
    in_checkout, elsewhere = code_block("sh", "make build", README).splitlines()
    assert f"HUB={RAW}meltanohub " in elsewhere
    assert "UV_FIND_LINKS=$PWD/dist" in in_checkout
    in_checkout = in_checkout.replace("$PWD/dist", "$DIST")
    commands = for_sandbox(code_block("sh", "meltano run", README), sandbox)
    assert POSTGRES_URL in commands
    commands = commands.replace(POSTGRES_URL, f"'{database.url}'")
    env = {
        "DIST": str(folder / "dist"),
        "TAP_KOMBO_API_URL": sandbox.url,
        "UV_CONSTRAINT": str(ROOT / "constraints.txt"),
        "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    shell(f"{in_checkout}\ncd {folder}\n{commands}", ROOT, env)
    return folder / "kombo-project"


@pytest.fixture(scope="module")
def wheel(meltano_project: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables with which `tap-kombo` is the one installed from the wheel."""
    folder = tmp_path_factory.mktemp("tool")
    [wheel] = meltano_project.parent.glob("dist/tap_kombo-*.whl")
    env = {
        "UV_TOOL_DIR": str(folder / "tools"),
        "UV_TOOL_BIN_DIR": str(folder / "bin"),
        "UV_CONSTRAINT": str(ROOT / "constraints.txt"),
    }
    shell(f"uv tool install --quiet --python {sys.executable} {wheel}", folder, env)
    return {"PATH": f"{folder / 'bin'}:{BIN}:{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def target_jsonl(wheel: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment variables of `wheel`, with target-jsonl on the path."""
    folder = tmp_path_factory.mktemp("target-jsonl")
    pins = ROOT / "loaders/environments/jsonl.txt"
    env = {"UV_CONSTRAINT": str(pins)}
    shell(f"uv venv --quiet --python {sys.executable} {folder}", ROOT)
    shell(f"uv pip install --quiet --python {folder} --requirement {pins}", ROOT, env)
    return {**wheel, "PATH": f"{folder / 'bin'}:{wheel['PATH']}"}


def test_readme_is_short() -> None:
    assert len(README.split()) <= 1150
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize(
    "document",
    [*DOCUMENTS, *ROOT.glob("packages/*/README.md")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_links_to_the_repository_have_targets(document: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", local_links(document.read_text(), document.parent)):
        path, _, anchor = link.partition("#")
        if ":" in path:
            continue
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.usefixtures("meltano_project")
def test_meltano_project_writes_the_selected_streams(database: Postgres) -> None:
    tables = database.rows(
        "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'tap_kombo'"
    )

    assert {table["name"] for table in tables} == {"ats_offers", "ats_jobs"}


@pytest.mark.usefixtures("meltano_project")
def test_meltano_project_writes_every_offer_without_the_deselected_field(
    sandbox: Sandbox, database: Postgres
) -> None:
    offers = {row["id"]: row for row in database.table("tap_kombo", "ats_offers")}

    assert offers.keys() == {offer["id"] for offer in sandbox.records("ats_offers")}
    assert not any("remote_data" in offer for offer in offers.values())


def test_meltano_project_stores_the_state(meltano_project: Path) -> None:
    command = "meltano state get dev:tap-kombo-to-target-postgres"

    state = json.loads(shell(command, meltano_project).stdout)

    assert state["singer_state"]["bookmarks"].keys() == {"ats_offers", "ats_jobs"}


def test_quickstart_emits_messages_like_those_in_the_readme(
    sandbox: Sandbox, wheel: dict[str, str], tmp_path: Path
) -> None:
    write_config(tmp_path, sandbox)

    shell(code_block("sh", "--discover", README), tmp_path, wheel)

    messages = [json.loads(line) for line in (tmp_path / "messages.jsonl").read_text().splitlines()]
    shown_record, shown_state = re.findall(
        r"^\{.*?\}$", code_block("json", "RECORD", README), re.MULTILINE | re.DOTALL
    )
    records = [m for m in messages if m["type"] == "RECORD" and m["stream"] == "ats_offers"]
    assert any(matches(json.loads(shown_record), record) for record in records)
    assert messages[-1]["type"] == "STATE"
    assert matches(json.loads(shown_state), messages[-1])


def test_quickstart_resumes_from_the_states_of_the_target(
    sandbox: Sandbox, target_jsonl: dict[str, str], tmp_path: Path
) -> None:
    write_config(tmp_path, sandbox)
    (tmp_path / "catalog.json").write_text((ROOT / "catalog.json").read_text())
    sandbox.clear_requests()

    for _ in range(2):
        shell(code_block("sh", "target-jsonl >> states.jsonl", README), tmp_path, target_jsonl)

    requests = [r for r in sandbox.requests() if r.path == "/ats/offers"]
    assert ["updated_after" in request.params for request in requests] == [False, True]


def test_documented_log_format_contains_the_documented_result(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    document = (ROOT / "docs/errors.md").read_text()
    write_config(tmp_path, sandbox)
    (tmp_path / "log.json").write_text(code_block("json", "StructuredFormatter", document))
    env = {"SINGER_SDK_LOG_CONFIG": "log.json"}
    sandbox.fault(path="/ats/offers", status=403, code="INTEGRATION.PERMISSION_MISSING")

    try:
        log = run("tap-kombo --config config.json > messages.jsonl", tmp_path, env)
    finally:
        sandbox.clear_faults()

    assert log.returncode == 1
    result = json.loads(log.stderr.splitlines()[-1])["extra"]["result"]
    shown = json.loads(code_block("json", '"log_url"', document))
    fields = set(re.findall(r"`(\w+)`", document.partition("`result` counts")[2]))
    assert fields <= {*result, *shown}
    [failure] = [read for read in result["reads"] if read["status"] == "failed"]
    assert failure.keys() == shown.keys()
    varying = ("integration_id", "log_url", "message")
    assert failure == {**shown, **{name: failure[name] for name in varying}}


def test_tap_reads_the_settings_written_by_the_sandbox(tmp_path: Path) -> None:
    document = (ROOT / "docs/sandbox.md").read_text()

    with serving(document, tmp_path):
        shell(code_block("sh", "tap-kombo --config config.json --test", document), tmp_path)

    messages = (tmp_path / "messages.jsonl").read_text().splitlines()
    streams = {json.loads(message).get("stream") for message in messages}
    assert {"ats_offers", "hris_employees"} <= streams


def test_guide_to_the_first_syncs_shows_their_results(
    target_jsonl: dict[str, str], tmp_path: Path
) -> None:
    document = (ROOT / "docs/getting-started.md").read_text()
    second = code_block("sh", "kombo-sandbox change", document)

    with serving(document, tmp_path) as url:
        log = shell(code_block("sh", "touch states.jsonl", document), tmp_path, target_jsonl).stderr
        first_files = set(tmp_path.glob("*.jsonl"))
        shell(with_url(second, url), tmp_path, target_jsonl)

    for line in code_block("", "streams synced", document).splitlines():
        assert line.partition(" in ")[0] in log
    new = {
        path.name.partition("-")[0]: [json.loads(line) for line in path.read_text().splitlines()]
        for path in set(tmp_path.glob("*.jsonl")) - first_files
    }
    assert (len(new["ats_offers"]), len(new["ats_applications"])) == (3, 3)
    [deleted] = new["hris_employees"]
    assert deleted["_sdc_deleted_at"]


def test_documented_pipe_into_postgresql_works(
    sandbox: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    document = (ROOT / "docs/loaders.md").read_text()
    write_config(tmp_path, sandbox)
    target = json.loads(code_block("json", "sqlalchemy_url", document))
    (tmp_path / "target.json").write_text(json.dumps(target | {"sqlalchemy_url": database.url}))

    shell(code_block("sh", "target-postgres --config", document), tmp_path)

    rows = database.table(target["default_target_schema"], "ats_offers")
    assert len(rows) == len(sandbox.records("ats_offers"))


def test_documented_masking_hides_names(sandbox: Sandbox, tmp_path: Path) -> None:
    document = (ROOT / "docs/privacy.md").read_text()
    preset, sync = code_block("sh", "--masking >", document).splitlines()
    write_config(tmp_path, sandbox)
    (tmp_path / "catalog.json").write_text((ROOT / "catalog.json").read_text())

    shell(preset, tmp_path)
    masking = tmp_path / "masking.json"
    masking.write_text(masking.read_text().replace("${MASKING_SALT}", "a long random string"))
    output = shell(sync, tmp_path).stdout

    messages = map(json.loads, output.splitlines())
    emitted = {
        message["record"]["last_name"]
        for message in messages
        if message["type"] == "RECORD" and message["stream"] == "ats_candidates"
    }
    assert emitted
    assert emitted.isdisjoint(record["last_name"] for record in sandbox.records("ats_candidates"))


@pytest.mark.parametrize("document", SANDBOX_DOCUMENTS, ids=lambda path: path.name)
def test_sandbox_commands_work(sandbox: Sandbox, tmp_path: Path, document: Path) -> None:
    commands = code_block("sh", "kombo-sandbox change", document.read_text())
    commands = commands.replace("hris_employees", "ats_jobs")  # this sandbox is an ATS

    shell(with_url(commands, sandbox.url), tmp_path)


@contextmanager
def serving(document: str, folder: Path) -> Iterator[str]:
    """Run the documented sandbox, which writes the settings of the tap, and yield its URL."""
    serve = re.search(r"(?m)^kombo-sandbox (serve .*--write-config.*)$", document)
    assert serve
    with subprocess.Popen(
        [BIN / "kombo-sandbox", *serve[1].split(), "--port=0"],
        cwd=folder,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield json.loads((folder / "config.json").read_text())["api_url"]
        finally:
            process.terminate()


def with_url(commands: str, url: str) -> str:
    """Add the URL of a sandbox to its commands."""
    return re.sub(r"(?m)^(kombo-sandbox \S+)", rf"\1 --url {url}", commands)


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def for_sandbox(text: str, sandbox: Sandbox) -> str:
    """Replace the API key and the integration ID of an example with those of the sandbox."""
    assert API_KEY in text
    assert INTEGRATION_ID in text
    return text.replace(API_KEY, sandbox.api_key).replace(
        INTEGRATION_ID, sandbox.integration_ids[0]
    )


def write_config(folder: Path, sandbox: Sandbox) -> None:
    config = json.loads(for_sandbox(code_block("json", '"api_key"', README), sandbox))
    (folder / "config.json").write_text(json.dumps(config | {"api_url": sandbox.url}))


def matches(shown: Any, real: Any) -> bool:
    """Return whether a value has the fields and types of an abridged example; null is any type."""
    if isinstance(shown, dict) and isinstance(real, dict):
        return all(name in real and matches(shown[name], real[name]) for name in shown)
    if isinstance(shown, list) and isinstance(real, list):
        return all(matches(shown[0], item) for item in real)
    return shown is None or real is None or type(shown) is type(real)


def shell(
    commands: str, folder: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    done = run(commands, folder, env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def run(
    commands: str, folder: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    own = {name: text for name, text in os.environ.items() if not name.startswith(IGNORED)}
    return subprocess.run(
        ["sh", "-e", "-c", commands],
        cwd=folder,
        env={**own, "PATH": f"{BIN}:{os.environ['PATH']}", **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
