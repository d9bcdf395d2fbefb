"""The commands of Airbyte's protocol: spec, check, discover and read."""

from __future__ import annotations

import argparse
import io
import logging
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from source_kombo.catalog import airbyte_catalog, configured_catalog, singer_catalog
from source_kombo.protocol import LogHandler, error, write
from source_kombo.signals import end_by_signal
from source_kombo.source import SourceKombo
from source_kombo.spec import settings_of, specification
from source_kombo.state import singer_state
from tap_kombo.cli import hide_keys, parse_json, read_config, read_file
from tap_kombo.errors import CONFIG, InputError, KomboError, RunFailedError, internal
from tap_kombo.tap import discard_stdout


class Parser(argparse.ArgumentParser):
    """A parser whose errors are reported as messages of the protocol."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"Command line: {message}.")


def run(arguments: Sequence[str]) -> int:
    """Run a command.

    Returns:
        The exit status: 1 if something could not be read or written.
    """
    if sys.stdout is None:
        return 1
    if isinstance(sys.stdout.buffer, io.RawIOBase):  # `python -u`
        sys.stdout = open(sys.stdout.fileno(), "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # for the whole run
    try:
        return _run(arguments)
    except OSError:
        discard_stdout()
        return 1


def _run(arguments: Sequence[str]) -> int:
    try:
        options = _parse(arguments)
        _set_up_logging(logging.DEBUG if options.debug else logging.INFO)
        COMMANDS[options.command](options)
    except RunFailedError:
        return 1  # the run has written its failures
    except InputError as problem:
        write(error(" ".join(problem.args), CONFIG))
    except KomboError as problem:
        write(error(str(problem), problem.rule.failure_type))
    except OSError:
        raise
    except Exception as problem:  # noqa: BLE001  # a traceback could contain personal data
        bug = internal(problem)
        write(error(str(bug), bug.rule.failure_type))
    else:
        return 0
    return 1


def _set_up_logging(level: int) -> None:
    logging.basicConfig(handlers=[LogHandler()], force=True)
    logging.captureWarnings(capture=True)
    SourceKombo.logger.setLevel(level)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(prog="source-kombo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command, files in FILES.items():
        subparser = commands.add_parser(command)
        subparser.add_argument("--debug", action="store_true")
        for file in files:
            subparser.add_argument(f"--{file}", required=file != "state")
    return parser.parse_args(arguments)


def spec(_: argparse.Namespace) -> None:
    """Write the form for the settings."""
    write({"type": "SPEC", "spec": specification()})


def check(options: argparse.Namespace) -> None:
    """Write whether the settings are valid and an integration can be read."""
    try:
        source = SourceKombo(config=settings_of(read_config(options.config)))
    except InputError as problem:
        succeeded, message = False, " ".join(problem.args)
    else:
        succeeded, message = source.check_connection()
    status = {"status": "SUCCEEDED" if succeeded else "FAILED", "message": hide_keys(message)}
    write({"type": "CONNECTION_STATUS", "connectionStatus": status})


def discover(_: argparse.Namespace) -> None:
    """Write all streams, which do not depend on the settings."""
    write({"type": "CATALOG", "catalog": airbyte_catalog(_discovered())})


def read(options: argparse.Namespace) -> None:
    """Write the records of the configured streams."""
    configured = configured_catalog(_content(options.catalog, "catalog"))
    state = _content(options.state, "input state") if options.state else None
    source = SourceKombo(
        config=settings_of(read_config(options.config)),
        catalog=singer_catalog(configured, _discovered()),
        state=singer_state(state, configured),
        sync_ids=configured.sync_ids,
    )
    try:
        source.sync_all()
    except SystemExit as stopped:
        end_by_signal(int(stopped.code or 0) - 128)


def _content(path: str, kind: str) -> Any:
    return parse_json(read_file(path, kind).strip() or b"null", path, f"{kind} file")


def _discovered() -> dict[str, Any]:
    return SourceKombo(validate_config=False).catalog_dict


COMMANDS = {"spec": spec, "check": check, "discover": discover, "read": read}
FILES = {
    "spec": (),
    "check": ("config",),
    "discover": ("config",),
    "read": ("config", "catalog", "state"),
}
"""Command -> its options; all are required, except for the state."""
