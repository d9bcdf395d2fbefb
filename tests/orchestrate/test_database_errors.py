"""Every failure of the database is one sentence, in time and without the password."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from kombo_shards import __main__ as command
from kombo_shards import store as store_module
from kombo_shards.configuration import ConfigurationError, check_database_url
from kombo_shards.store import TABLE, DatabaseError, Store

PASSWORD = "opensesame"
A = "personio:a"


@pytest.fixture(autouse=True, params=["psycopg", "psycopg2"])
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(request.param)
    if request.param == "psycopg2":
        monkeypatch.setitem(sys.modules, "psycopg", None)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "CONNECT_SECONDS", 2)
    monkeypatch.setattr(store_module, "LOCK_SECONDS", 1)
    monkeypatch.setattr(store_module, "RESPONSE_SECONDS", 3)


def assert_is_sentence(error: BaseException) -> None:
    assert "\n" not in str(error)
    assert str(error).startswith("The database of the states")
    assert PASSWORD not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_a_server_that_is_not_running_is_one_sentence(unused_port: int) -> None:
    store = Store(f"postgresql://ann:{PASSWORD}@127.0.0.1:{unused_port}/db", "kombo")

    with pytest.raises(DatabaseError, match="Connection refused") as caught:
        store.prepare()

    assert_is_sentence(caught.value)


def test_an_unknown_host_is_one_sentence() -> None:
    with pytest.raises(DatabaseError) as caught:
        Store(f"postgresql://ann:{PASSWORD}@host.invalid/db", "kombo").prepare()

    assert_is_sentence(caught.value)


def test_a_rejected_user_is_one_sentence(store: Store) -> None:
    url = store.url.replace("postgres@", f"nobody:{PASSWORD}@")

    with pytest.raises(DatabaseError, match="nobody") as caught:
        replace(store, url=url).prepare()

    assert_is_sentence(caught.value)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("lock", ["LOCK TABLE", "SELECT 1 FROM"])
def test_a_lock_that_another_session_holds_is_one_sentence(store: Store, lock: str) -> None:
    store.take([A], "first").end({})
    query = f"{lock} {store.schema}.{TABLE}{' FOR UPDATE' if lock.startswith('S') else ''}"
    with closing(psycopg.connect(store.url)) as other:
        other.execute(query.encode())

        with pytest.raises(DatabaseError, match="lock timeout") as caught:
            store.take([A], "second")

    assert_is_sentence(caught.value)
    assert store.take([A], "third").states.keys() == {A}


@pytest.fixture(params=["before the login", "after the login"])
def hanging_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A server that accepts connections and stops responding."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        lines = []

        def accept() -> None:
            line, _ = server.accept()
            lines.append(line)
            if request.param == "after the login":
                line.recv(1024)
                line.sendall(b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I")

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)
        for line in lines:
            line.close()


@pytest.mark.usefixtures("impatient")
@pytest.mark.timeout(30)
def test_a_server_that_does_not_respond_is_one_sentence(hanging_port: int) -> None:
    url = f"postgresql://ann:{PASSWORD}@127.0.0.1:{hanging_port}/db"

    with pytest.raises(DatabaseError) as caught:
        Store(f"{url}?sslmode=disable&gssencmode=disable", "kombo").prepare()

    assert_is_sentence(caught.value)


def test_the_timeouts_of_one_operation_are_shorter_than_the_lease() -> None:
    seconds = store_module.CONNECT_SECONDS + store_module.RESPONSE_SECONDS

    assert seconds < 0.7 * store_module.LEASE_SECONDS
    assert store_module.LOCK_SECONDS < store_module.STATEMENT_SECONDS
    assert store_module.STATEMENT_SECONDS < store_module.RESPONSE_SECONDS


def test_an_unknown_option_is_one_sentence(store: Store) -> None:
    with pytest.raises(ConfigurationError) as caught:
        replace(store, url=f"{store.url}&{PASSWORD}=1").prepare()

    assert_is_sentence(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:open@sesame@host/db",
        "postgresql://ann:open/sesame@host/db",
        "postgresql://ann:1/open@sesame",
        "postgresql://ann:1?sesame=1@host/db",
        "postgresql://ann:open#sesame@host/db",
        "postgresql://ann:open[sesame@host/db",
        "postgresql://ann:open%sesame@host/db",
        "postgresql://ann:open%00sesame@host/db",
        "postgresql://ann:opensesame@host:port/db",
        "mysql://ann:opensesame@host/db",
        "postgresql+psycopg://ann:opensesame@host/db",
        "host=host password=opensesame",
    ],
)
def test_a_url_that_is_not_valid_is_one_sentence_without_any_part_of_it(
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KOMBO_DATABASE_URL", url)

    status = command.main(["run", "/nowhere/integrations"])

    printed = "".join(capsys.readouterr())
    assert status == 2
    assert printed.startswith("KOMBO_DATABASE_URL")
    assert printed.count("\n") == 1
    for part in ("ann", "open", "sesame", "mysql"):
        assert part not in printed


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:open%40se%25same@host:5432/db?sslmode=require",
        "postgres://ann@host/db",
        "postgresql://postgres@/postgres?host=/tmp/folder",
        "postgresql://ann:x@[::1]:5432/db",
    ],
)
def test_a_valid_url_is_accepted(url: str) -> None:
    check_database_url(url)


def test_a_schema_with_a_percent_sign_is_rejected(store: Store) -> None:
    with pytest.raises(ConfigurationError, match="must not contain `%`"):
        replace(store, schema="100%s")


@pytest.mark.parametrize("schema", ['a"b', "Jürgen's", "with space"])
def test_the_schema_may_have_special_characters(store: Store, schema: str) -> None:
    special = replace(store, schema=schema)
    special.prepare()

    special.take([A], "first").end({})

    assert special.complete_since("2000-01-01", [A]) == {A}


def test_the_columns_that_an_older_table_lacks_are_added(store: Store) -> None:
    old = replace(store, schema=f"{store.schema}_old")
    with psycopg.connect(store.url) as connection:
        connection.execute(f"CREATE SCHEMA {old.schema}".encode())
        table = "(integration_id text PRIMARY KEY, state jsonb NOT NULL DEFAULT '{}', holder text)"
        connection.execute(f"CREATE TABLE {old.schema}.{TABLE} {table}".encode())
        row = f"INSERT INTO {old.schema}.{TABLE} VALUES ('{A}', '{{\"bookmarks\": {{}}}}')"
        connection.execute(row.encode())

    old.prepare()
    lease = old.take([A], "first")
    lease.end({})

    assert lease.states == {A: {"bookmarks": {}}}
    assert old.complete_since("2000-01-01", [A]) == {A}


def test_a_run_whose_database_fails_is_one_sentence_and_a_status_to_retry(
    unused_port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "integrations"
    file.write_text(A)
    url = f"postgresql://ann:{PASSWORD}@127.0.0.1:{unused_port}/db"
    monkeypatch.setenv("KOMBO_DATABASE_URL", url)

    assert command.main(["run", str(file)]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("The database of the states failed: ")
    assert printed.count("\n") == 1
    assert PASSWORD not in printed
