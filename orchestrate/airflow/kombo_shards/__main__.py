"""Run a shard without Airflow: as a process, for any scheduler that can start one.

The tap's settings are environment variables (`TAP_KOMBO_API_KEY`, ...), and so is the database
(`KOMBO_DATABASE_URL`).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from kombo_shards.configuration import ConfigurationError, check_database_url, target_settings
from kombo_shards.integrations import integrations_in
from kombo_shards.pipe import DEFAULT_TAP, Pipe, command
from kombo_shards.shard import Shard, StoppedError
from kombo_shards.store import DatabaseError, LeaseLostError, Store
from kombo_shards.summary import summary

logger = logging.getLogger(__name__)

TRANSIENT = 1
"""Exit status: a retry can help."""

NOT_VALID = 2
"""Exit status: an argument, a setting or a file is not valid; as argparse's."""

PERMANENT = 3
"""Exit status: some integrations fail until a person acts; the others are complete."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.run is _run and not 0 <= options.shard < options.of:
        parser.error("--shard must be at least 0 and less than --of.")
    try:
        status: int = options.run(options)
    except (ConfigurationError, DatabaseError, LeaseLostError, StoppedError) as error:
        sys.stderr.write(f"{error}\n")
        return NOT_VALID if isinstance(error, ConfigurationError) else TRANSIENT
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kombo_shards", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="read a shard of the integrations in a file")
    run.set_defaults(run=_run)
    run.add_argument("integrations", type=Path, help="a file: an id on each line, or a JSON list")
    run.add_argument("--shard", type=int, default=0, help="the number of the shard, from 0")
    run.add_argument("--of", type=int, default=1, help="the number of shards")
    run.add_argument("--schema", default="kombo", help="the schema of the rows and the states")
    run.add_argument("--catalog", type=Path, help="the catalog file; all streams without")
    catalog = commands.add_parser("catalog", help="print a catalog with only these streams")
    catalog.set_defaults(run=_catalog)
    catalog.add_argument("streams", nargs="+", metavar="STREAM", help="such as ats_offers")
    return parser


def _run(options: argparse.Namespace) -> int:
    url = os.environ.get("KOMBO_DATABASE_URL")
    if not url:
        raise ConfigurationError(
            "KOMBO_DATABASE_URL is not set. Set it to postgresql://user:password@host:5432/database."
        )
    check_database_url(url)
    found = integrations_in(options.integrations)
    integration_ids = found[options.shard :: options.of]
    if not integration_ids:
        raise ConfigurationError(f"--of: there are only {len(found)} integrations. Lower it.")
    store = Store(url, options.schema)
    store.prepare()
    pipe = Pipe(
        tap_settings={},
        target_settings=target_settings(url, options.schema),
        catalog=options.catalog,
    )
    problems = Shard(store, pipe, f"shard {options.shard} of {options.of}").run(integration_ids)
    for line in summary(integration_ids, {name: p.why for name, p in problems.items()}):
        logger.info(line)
    if any(problem.is_transient for problem in problems.values()):
        return TRANSIENT
    return PERMANENT if problems else 0


def _catalog(options: argparse.Namespace) -> int:
    tap = command(DEFAULT_TAP)
    discovered = subprocess.run([*tap, "--discover"], stdout=subprocess.PIPE, check=False)
    if discovered.returncode:
        raise ConfigurationError("tap-kombo --discover failed. See its log above.")
    streams = {entry["tap_stream_id"]: entry for entry in json.loads(discovered.stdout)["streams"]}
    if unknown := set(options.streams) - streams.keys():
        raise ConfigurationError(f"tap-kombo has no stream {', '.join(sorted(unknown))}.")
    selected = {"streams": [streams[name] for name in options.streams]}
    sys.stdout.write(f"{json.dumps(selected, indent=1)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
