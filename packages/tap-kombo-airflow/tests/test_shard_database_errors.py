"""Database errors are reported in one sentence, in time and without the password."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from harness.postgres import Postgres
from tap_kombo_airflow.cli import main
from tap_kombo_airflow.settings import ConfigurationError
from tap_kombo_airflow.store import DatabaseError, Store

PASSWORD = "open@sesame"
LEASE_SECONDS = 6
A = "personio:a"


def assert_is_sentence(error: BaseException) -> None:
    assert str(error).startswith("The database of the states failed: ")
    assert "\n" not in str(error)
    assert "open" not in str(error)
    assert "sesame" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__


def store_at(host: str, port: int = 5432, **options: str) -> Store:
    database = {"host": host, "port": port, "user": "ann", "password": PASSWORD, **options}
    return Store(database, "kombo", LEASE_SECONDS)


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_a_server_that_is_not_running_is_reported_in_one_sentence(unused_port: int) -> None:
    with pytest.raises(DatabaseError, match="Connection refused") as caught:
        store_at("127.0.0.1", unused_port).prepare()

    assert_is_sentence(caught.value)


def test_an_unknown_host_is_reported_in_one_sentence() -> None:
    with pytest.raises(DatabaseError, match=r"host\.invalid") as caught:
        store_at("host.invalid").prepare()

    assert_is_sentence(caught.value)


@pytest.fixture
def login(database: Postgres, store: Store) -> Store:
    """The table of states for a user who has to log in with a password."""
    user = f"user_of_{store.schema}"
    store.execute(f"CREATE ROLE {user} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
    rules = database.server.pgdata / "pg_hba.conf"
    rules.write_text(f"local all {user} scram-sha-256\n{rules.read_text()}")
    store.execute("SELECT pg_reload_conf()")
    while is_accepted(replace(store, database={**store.database, "user": user})):
        time.sleep(0.05)
    return replace(store, database={**store.database, "user": user, "password": PASSWORD})


def is_accepted(store: Store) -> bool:
    try:
        store.prepare()
    except DatabaseError:
        return False
    return True


def test_a_wrong_password_is_reported_in_one_sentence(login: Store) -> None:
    wrong = replace(login, database={**login.database, "password": f"{PASSWORD}!"})

    assert is_accepted(login)
    with pytest.raises(DatabaseError, match="password authentication failed") as caught:
        wrong.prepare()

    assert_is_sentence(caught.value)


def test_a_run_with_a_wrong_password_prints_one_sentence_and_can_be_retried(
    login: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "integrations").write_text(A)
    monkeypatch.setenv("PGHOST", login.database["host"])
    monkeypatch.setenv("PGUSER", login.database["user"])
    monkeypatch.setenv("PGPASSWORD", f"{PASSWORD}!")

    assert main(["run", str(tmp_path / "integrations")]) == 1
    printed = "".join(capfd.readouterr())
    assert printed.startswith("The database of the states failed: ")
    assert printed.count("\n") == 1
    assert "open" not in printed
    assert "sesame" not in printed


def test_a_lock_of_another_session_is_reported_before_the_lease_expires(store: Store) -> None:
    store.take([A], "first").finish({})
    waiting = replace(store, lease_seconds=LEASE_SECONDS)
    started = time.monotonic()
    with psycopg.connect(**store.database) as other:
        other.execute(f"LOCK TABLE {store.schema}.tap_kombo_state")

        with pytest.raises(DatabaseError, match="canceling statement due to") as caught:
            waiting.take([A], "second")

    assert time.monotonic() - started < LEASE_SECONDS
    assert_is_sentence(caught.value)
    assert store.take([A], "third").states.keys() == {A}


@pytest.fixture(params=["before the login", "after the login"])
def hanging_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A server that accepts connections and stops responding."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connections = []

        def accept() -> None:
            connection, _ = server.accept()
            connections.append(connection)
            if request.param == "after the login":
                connection.recv(1024)
                connection.sendall(b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I")

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)
        for connection in connections:
            connection.close()


@pytest.mark.timeout(30)
def test_a_server_that_hangs_is_reported_before_the_lease_expires(hanging_port: int) -> None:
    started = time.monotonic()
    with pytest.raises(DatabaseError) as caught:
        store_at("127.0.0.1", hanging_port, sslmode="disable", gssencmode="disable").prepare()

    assert time.monotonic() - started < LEASE_SECONDS
    assert_is_sentence(caught.value)


def test_an_unknown_parameter_is_reported_in_one_sentence(store: Store) -> None:
    with pytest.raises(ConfigurationError, match="colour") as caught:
        replace(store, database={**store.database, "colour": PASSWORD}).prepare()

    assert_is_sentence(caught.value)
