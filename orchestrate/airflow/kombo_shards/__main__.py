"""The same without Airflow: a shard as a process, for whatever can start one.

The tap's settings come from its own variables (`TAP_KOMBO_API_KEY`, ...), the database from
`KOMBO_DATABASE_URL`.
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

from kombo_shards.configuration import ConfigurationError, target_settings
from kombo_shards.integrations import integrations_in
from kombo_shards.pipe import DEFAULT_TAP, Pipe, command
from kombo_shards.shard import Shard, StoppedError
from kombo_shards.store import LeaseLostError, Store
from kombo_shards.summary import summary

logger = logging.getLogger(__name__)

TRY_AGAIN = 1
"""Exit status: another try can help."""

NEEDS_A_PERSON = 3
"""Exit status: another try cannot."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except (ConfigurationError, LeaseLostError, StoppedError) as error:
        sys.stderr.write(f"{error}\n")
        return NEEDS_A_PERSON if isinstance(error, ConfigurationError) else TRY_AGAIN
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kombo_shards", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="read a shard of the integrations in a file")
    run.set_defaults(run=_run)
    run.add_argument("integrations", type=Path, help="a file: an id on each line, or a JSON list")
    run.add_argument("--shard", type=int, default=0, help="which, from 0 on")
    run.add_argument("--of", type=int, default=1, help="how many shards there are")
    run.add_argument("--schema", default="kombo", help="of the rows and the states")
    run.add_argument("--catalog", type=Path, help="which streams and fields; else all")
    catalog = commands.add_parser("catalog", help="print a catalog with only these streams")
    catalog.set_defaults(run=_catalog)
    catalog.add_argument("streams", nargs="+", metavar="STREAM", help="such as ats_offers")
    return parser


def _run(options: argparse.Namespace) -> int:
    url = os.environ.get("KOMBO_DATABASE_URL")
    if not url:
        raise ConfigurationError(
            "Set KOMBO_DATABASE_URL: postgresql://user:password@host:5432/database."
        )
    found = integrations_in(options.integrations)
    integration_ids = found[options.shard :: options.of]
    if not integration_ids:
        raise ConfigurationError(f"There are only {len(found)} integrations: use fewer shards.")
    store = Store(url, options.schema)
    store.prepare()
    pipe = Pipe(
        tap_settings={},
        target_settings=target_settings(url, options.schema),
        catalog=options.catalog,
    )
    problems = Shard(store, pipe, f"shard {options.shard} of {options.of}").run(integration_ids)
    for line in summary(integration_ids, {name: found.why for name, found in problems.items()}):
        logger.info(line)
    if any(problem.is_transient for problem in problems.values()):
        return TRY_AGAIN
    return NEEDS_A_PERSON if problems else 0


def _catalog(options: argparse.Namespace) -> int:
    tap = command(DEFAULT_TAP)
    whole = subprocess.run([*tap, "--discover"], stdout=subprocess.PIPE, check=True)
    streams = {entry["tap_stream_id"]: entry for entry in json.loads(whole.stdout)["streams"]}
    if unknown := set(options.streams) - streams.keys():
        raise ConfigurationError(f"tap-kombo has no stream {', '.join(sorted(unknown))}.")
    chosen = {"streams": [streams[name] for name in options.streams]}
    sys.stdout.write(f"{json.dumps(chosen, indent=1)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
