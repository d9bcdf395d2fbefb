"""Run a shard of integrations as a process, for any scheduler that can start one.

The tap's settings are environment variables (TAP_KOMBO_API_KEY, ...), and so is the PostgreSQL
database (PGHOST, PGUSER, PGPASSWORD, PGDATABASE, ...).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tap_kombo_airflow import webhooks
from tap_kombo_airflow.integrations import find_integration_ids
from tap_kombo_airflow.pipe import DEFAULT_TAP, Pipe, find_command
from tap_kombo_airflow.result import summarize
from tap_kombo_airflow.settings import ConfigurationError, target_settings
from tap_kombo_airflow.shard import Shard, StoppedError
from tap_kombo_airflow.store import DatabaseError, LeaseLostError, Store

logger = logging.getLogger(__name__)

TRANSIENT = 1
"""Exit status: a retry can help."""

NOT_VALID = 2
"""Exit status: an argument, a setting or a file is not valid. argparse uses it, too."""

PERMANENT = 3
"""Exit status: some integrations fail until a person acts; the others are complete."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return NOT_VALID
    except (DatabaseError, LeaseLostError, StoppedError) as error:
        sys.stderr.write(f"{error}\n")
        return TRANSIENT
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kombo-shards", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="read a shard of the integrations in a file")
    run.set_defaults(run=_run)
    run.add_argument("integrations", help="a file: an id on each line, a JSON list, or a query")
    run.add_argument("--shard", type=int, default=0, help="the number of the shard, from 0")
    run.add_argument("--of", type=int, default=1, help="the number of shards")
    run.add_argument("--schema", default="kombo", help="the schema of the rows and the states")
    run.add_argument("--catalog", type=Path, help="the catalog file (default: all streams)")
    run.add_argument(
        "--changed", action="store_true", help="read only the models that webhooks have named"
    )
    receiver = commands.add_parser("webhooks", help="receive Kombo's webhooks, and store them")
    receiver.set_defaults(run=_webhooks)
    receiver.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    receiver.add_argument("--port", type=int, default=8080, help="the port to listen on")
    receiver.add_argument("--schema", default="kombo", help="the schema of the states")
    catalog = commands.add_parser("catalog", help="print a catalog with only these streams")
    catalog.set_defaults(run=_catalog)
    catalog.add_argument("streams", nargs="+", metavar="STREAM", help="such as ats_offers")
    return parser


def _run(options: argparse.Namespace) -> int:
    if not 0 <= options.shard < options.of:
        raise ConfigurationError("--shard: the number must be at least 0 and less than --of.")
    store = Store({}, options.schema)
    # Sorted, because each shard runs the query itself, and its rows have no order.
    found = sorted(find_integration_ids(options.integrations, "INTEGRATIONS", store))
    integration_ids = found[options.shard :: options.of]
    if not integration_ids:
        raise ConfigurationError(f"--of: there are only {len(found)} integrations. Lower it.")
    store.prepare()
    pipe = Pipe({}, target_settings({}, options.schema), options.catalog)
    shard = Shard(store, pipe, f"shard {options.shard} of {options.of}")
    if options.changed:
        webhooks.prepare(store)
        changes = webhooks.find_changes(store, integration_ids)
        if not changes:
            logger.info("No webhook has named a change.")
            return 0
        integration_ids = list(dict.fromkeys(change.integration_id for change in changes))
        problems = shard.run_changes(changes)
    else:
        problems = shard.run(integration_ids)
    for line in summarize(integration_ids, {name: p.message for name, p in problems.items()}):
        logger.info(line)
    if any(problem.is_transient for problem in problems.values()):
        return TRANSIENT
    return PERMANENT if problems else 0


def _webhooks(options: argparse.Namespace) -> int:
    secret = os.environ.get("KOMBO_WEBHOOK_SECRET")
    if not secret:
        raise ConfigurationError("KOMBO_WEBHOOK_SECRET is not set. Set it to the webhook's secret.")
    store = Store({}, options.schema)
    webhooks.prepare(store)
    with webhooks.server(store, secret, options.host, options.port) as server:
        logger.info("Receiving webhooks at %s port %d.", options.host, server.server_port)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


def _catalog(options: argparse.Namespace) -> int:
    tap = find_command(DEFAULT_TAP)
    discovered = subprocess.run([*tap, "--discover"], stdout=subprocess.PIPE, check=False)
    if discovered.returncode:
        raise ConfigurationError("tap-kombo --discover failed. See its log above.")
    streams = {entry["tap_stream_id"]: entry for entry in json.loads(discovered.stdout)["streams"]}
    if unknown := set(options.streams) - streams.keys():
        raise ConfigurationError(f"tap-kombo has no stream {', '.join(sorted(unknown))}.")
    selected = {"streams": [streams[name] for name in options.streams]}
    sys.stdout.write(f"{json.dumps(selected, indent=1)}\n")
    return 0
