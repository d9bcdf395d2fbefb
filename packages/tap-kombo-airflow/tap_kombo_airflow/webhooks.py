"""Kombo's webhooks: the models that changed, and the list of integrations.

Events are stored in two tables in the schema of the states. `tap_kombo_changes` has a row for each
model of an integration that changed and has not been read since:

    integration_id, model
    number          the number of its last event; a run removes only the numbers that it has read
    received        the time of that event

`tap_kombo_integrations` has a row for each integration with an event:

    integration_id, tool, category
    state           `ACTIVE`, `INVALID` or `INACTIVE`; null before its first change
    setup_status    `COMPLETED`, `INCOMPLETE` or `FINAL_SYNC_PENDING`
    state_updated   time of the change, on Kombo's clock
    deleted         when the event of its deletion was received

A lost event only delays a change until the next run that reads everything.

https://docs.kombo.dev/webhooks
"""

from __future__ import annotations

import base64
import hmac
import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from tap_kombo_airflow.integrations import INTEGRATION_ID
from tap_kombo_airflow.settings import ConfigurationError
from tap_kombo_airflow.store import DatabaseError, Store

logger = logging.getLogger(__name__)

TABLES = ["tap_kombo_changes", "tap_kombo_integrations"]

MODEL = re.compile(r"[a-z][a-z0-9_]*")

MAX_BODY_BYTES = 1_000_000
"""An event with all of Kombo's models has 3,000 bytes."""


class Change(NamedTuple):
    """A model of an integration that changed, and the number of its last event."""

    integration_id: str
    model: str
    number: int


def prepare(store: Store) -> None:
    """Create the tables, if they do not exist."""
    store.prepare()
    # `IF NOT EXISTS` needs a permission that the user of existing tables may lack.
    [[found]] = store.execute(
        "SELECT count(*) FROM pg_tables WHERE schemaname = %s AND tablename = ANY(%s)",
        [store.schema, TABLES],
    )
    if found < len(TABLES):
        store.execute(
            "SELECT pg_advisory_xact_lock(hashtext('tap_kombo_state'));"
            "CREATE TABLE IF NOT EXISTS {schema}.tap_kombo_changes ("
            "integration_id text, model text, number bigint GENERATED ALWAYS AS IDENTITY, "
            "received timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (integration_id, model));"
            "CREATE TABLE IF NOT EXISTS {schema}.tap_kombo_integrations ("
            "integration_id text PRIMARY KEY, tool text, category text, state text, "
            "setup_status text, state_updated timestamptz, deleted timestamptz)"
        )


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """Return whether a body has this signature.

    Args:
        body: The body of the request, exactly as received.
        signature: The header `X-Kombo-Signature`, with or without padding.
        secret: The secret of the webhook.
    """
    digest = hmac.digest(secret.encode(), body, "sha256")
    expected = base64.urlsafe_b64encode(digest).rstrip(b"=")
    return hmac.compare_digest(expected, signature.rstrip("=").encode())


def receive(store: Store, secret: str, body: bytes, signature: str) -> HTTPStatus:
    """Store an event, and return the status of the response.

    Args:
        store: The tables.
        secret: The secret of the webhook.
        body: The body of the request, exactly as received.
        signature: The header `X-Kombo-Signature`.

    Returns:
        200, also for events of other types and for duplicates; 401 if the signature is not valid,
        400 if the body is not an event, and 503 if the database fails.
    """
    if not is_signed(body, signature, secret):
        return HTTPStatus.UNAUTHORIZED
    try:
        event = json.loads(body)
        _store(store, event["type"], event["data"])
    except (ValueError, LookupError, TypeError):
        return HTTPStatus.BAD_REQUEST
    except (ConfigurationError, DatabaseError) as error:
        logger.error("An event was not stored: %s", error)  # noqa: TRY400  # one sentence
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.OK


def _store(store: Store, kind: str, data: Mapping[str, Any]) -> None:
    match kind:
        case "data-changed":
            models = sorted({_matching(MODEL, model["name"]) for model in data["changed_models"]})
            store.execute(
                "INSERT INTO {schema}.tap_kombo_changes (integration_id, model) "
                "SELECT %s, unnest(%s::text[]) ON CONFLICT (integration_id, model) "
                "DO UPDATE SET number = DEFAULT, received = now()",
                [_matching(INTEGRATION_ID, data["integration_id"]), models],
            )
        case "integration-created":
            store.execute(
                "INSERT INTO {schema}.tap_kombo_integrations (integration_id, tool, category) "
                "VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                [_matching(INTEGRATION_ID, data["id"]), data["tool"], data["category"]],
            )
        case "integration-deleted":
            # The row stays, so that an older event cannot add the integration again.
            store.execute(
                "INSERT INTO {schema}.tap_kombo_integrations "
                "(integration_id, tool, category, deleted) VALUES (%s, %s, %s, now()) "
                "ON CONFLICT (integration_id) DO UPDATE SET deleted = excluded.deleted",
                [_matching(INTEGRATION_ID, data["id"]), data["tool"], data["category"]],
            )
        case "integration-state-changed":
            store.execute(
                "INSERT INTO {schema}.tap_kombo_integrations AS own (integration_id, tool, "
                "category, state, setup_status, state_updated) VALUES (%s, %s, %s, %s, %s, %s) "
                "ON CONFLICT (integration_id) DO UPDATE SET state = excluded.state, "
                "setup_status = excluded.setup_status, state_updated = excluded.state_updated "
                "WHERE own.state_updated IS NULL OR own.state_updated < excluded.state_updated",
                [
                    _matching(INTEGRATION_ID, data["integration_id"]),
                    data["integration_tool"],
                    data["integration_category"],
                    data["state"],
                    data.get("setup_status"),
                    data["updated_at"],
                ],
            )


def _matching(pattern: re.Pattern[str], found: Any) -> str:
    """Return a name, unless the tap would reject it and fail each run."""
    if not pattern.fullmatch(found):
        raise ValueError("this is not a name of Kombo")
    return str(found)


def find_changes(store: Store, integration_ids: Sequence[str]) -> list[Change]:
    """Return the changes of these integrations that no run has read yet."""
    rows = store.execute(
        "SELECT integration_id, model, number FROM {schema}.tap_kombo_changes "
        "WHERE integration_id = ANY(%s) ORDER BY integration_id, model",
        [list(integration_ids)],
    )
    return [Change(*row) for row in rows]


def remove_changes(store: Store, changes: Iterable[Change]) -> None:
    """Remove changes, except those with a later event."""
    store.execute(
        "DELETE FROM {schema}.tap_kombo_changes WHERE number = ANY(%s)",
        [[change.number for change in changes]],
    )


def application(store: Store, secret: str) -> WSGIApplication:
    """Return the receiver as a WSGI application, for any server and framework.

    It responds as `receive`, and with 405, 411 or 413 if a request is not a POST, has no length, or
    is too large.
    """

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        status = _respond(store, secret, environ)
        start_response(f"{status.value} {status.phrase}", [("Content-Length", "0")])
        return []

    return respond


def _respond(store: Store, secret: str, environ: WSGIEnvironment) -> HTTPStatus:
    length = environ.get("CONTENT_LENGTH") or ""
    if environ["REQUEST_METHOD"] != "POST":
        return HTTPStatus.METHOD_NOT_ALLOWED
    if not length.isdecimal():
        return HTTPStatus.LENGTH_REQUIRED
    if int(length) > MAX_BODY_BYTES:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    body = environ["wsgi.input"].read(int(length))
    return receive(store, secret, body, environ.get("HTTP_X_KOMBO_SIGNATURE", ""))


class _Handler(WSGIRequestHandler):
    timeout = 10  # seconds without data from the client


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


def server(store: Store, secret: str, host: str, port: int) -> WSGIServer:
    """Return a server of `application`, which needs a proxy in front of it for TLS."""
    receiver = _Server((host, port), _Handler)
    receiver.set_app(application(store, secret))
    return receiver
