"""The command `kombo-sandbox`: start a sandbox, or control a running one."""

import argparse
import json
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kombo_sandbox.handle import Handle, SandboxError

_PORT = 8400

_RECORD_COMMANDS = {
    "change": "change values of records",
    "change-nested": "change only the nested data of records",
    "delete": "delete records",
    "anonymize": "set all fields to null, as Kombo does 14 days after a record is not found",
    "forget": "remove records without marking them as deleted",
    "restore": "restore deleted records",
    "add": "add records",
}
_OTHER_COMMANDS = {
    "state": "print the API key and the integrations",
    "clock": "print the time of the sandbox's clock",
    "requests": "list the requests received so far",
    "clear-requests": "clear the list of requests",
    "clear-faults": "remove all faults",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; errors are one line on stderr and exit status 1."""
    options = vars(_parser().parse_args(arguments))
    run = options.pop("run")
    try:
        run(options)
    except ModuleNotFoundError as error:
        # Only `serve` needs the dependencies.
        package = (error.name or "").partition(".")[0]
        sys.stderr.write(
            f"kombo-sandbox: the package {package} is not installed: run pip install {package}\n"
        )
        return 1
    except (SandboxError, ValueError) as error:
        sys.stderr.write(f"kombo-sandbox: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kombo-sandbox", description="A local server with Kombo's API."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands)
    for name, description in _RECORD_COMMANDS.items():
        command = _add_control(commands, name, description)
        command.add_argument("model", help="a model, such as ats_offers")
        command.add_argument(
            "--integration", dest="integration_id", help="only records of this integration"
        )
        command.add_argument("--count", type=int, default=1, help="number of records")
        if name != "add":
            command.add_argument(
                "--ids",
                type=_names,
                help="comma-separated ids of the records",
            )
    for name, description in _OTHER_COMMANDS.items():
        _add_control(commands, name, description)
    advance = _add_control(commands, "advance", "advance the sandbox's clock")
    advance.add_argument("seconds", type=float)
    integration = _add_control(commands, "set-integration", "set parts of an integration's state")
    integration.argument_default = argparse.SUPPRESS
    integration.add_argument("integration_id", metavar="INTEGRATION")
    option = integration.add_argument
    option("--status", help="ACTIVE, INACTIVE or INVALID")
    option("--setup-status", help="COMPLETED, INCOMPLETE or FINAL_SYNC_PENDING")
    option("--disabled-models", type=_names, help="models that the scope config disables")
    option("--opted-out-models", type=_names, help="models that the customer does not share")
    option(
        "--data-expired-at",
        type=lambda text: text or None,
        help="when its data became stale; empty after the next sync",
    )
    fault = _add_control(commands, "fault", "make requests fail")
    fault.argument_default = argparse.SUPPRESS
    option = fault.add_argument
    option("--path", help="only this path, such as /ats/offers")
    option("--integration", dest="integration_id", help="only for this integration")
    option("--skip", type=int, help="requests that succeed first")
    option("--count", type=int, help="requests that fail; all by default")
    option("--status", type=int, help="HTTP status of the response")
    option("--code", help="Kombo's error code in the response")
    option("--log-url", help="log_url of the error")
    option("--body", help="body of the response")
    option("--content-type", help="content type of --body")
    option("--delay", type=float, help="seconds before the response")
    option("--cut-body", type=float, help="bytes of the body to send, or a fraction below 1")
    option("--hang", action="store_true", help="never respond")
    option("--close", action="store_true", help="close the connection instead of responding")
    option("--expired-cursor", action="store_true", help="reject cursors as expired")
    return parser


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser(
        "serve",
        help="start a sandbox and keep it running",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    serve.set_defaults(run=_serve)
    option = serve.add_argument
    option("--host", default="127.0.0.1", help="name or address to listen on")
    option("--port", type=int, default=_PORT, help="port to listen on; 0 for any free port")
    option("--data", type=Path, help="SQLite file for the data; an existing one is reused")
    option("--api-key", default="ks_sandbox_1", help="valid API key")
    option("--seed", type=int, default=1, help="seed of the generated data")
    option("--integrations", type=int, default=3, help="integrations of each category")
    option("--offers", default="100", help="offers per integration, or comma-separated numbers")
    option("--categories", default="ATS", help="comma-separated categories of the integrations")
    option(
        "--employees",
        type=int,
        help="employees, learners or orders per integration that is not an ATS",
    )
    option("--clock", help="initial time of the sandbox's clock")
    option("--latency", type=float, default=0.0, help="minimum seconds per request")
    option("--rate-limit", type=int, default=1_000_000, help="requests per window")
    option("--rate-window", type=float, default=60.0, help="window of the rate limit, in seconds")
    option(
        "--cursor-lifetime",
        type=float,
        default=86_400.0,
        help="seconds until a cursor expires, by the sandbox's clock",
    )
    option("--strict", action="store_true", help="make updated_after exclusive")
    option("--gzip", action="store_true", help="compress responses for clients that accept it")
    option("--webhook-url", metavar="URL", help="URL to which webhooks are sent")
    option("--webhook-secret", default="sandbox", help="secret with which webhooks are signed")
    option("--write-config", type=Path, metavar="FILE", help="write the tap's settings to a file")
    output = serve.add_mutually_exclusive_group()
    output.add_argument(
        "--json", action="store_true", help="print URL, key and integrations as JSON"
    )
    output.add_argument(
        "--env", action="store_true", help="print the tap's settings as export lines"
    )
    option("--until-eof", action="store_true", help="stop at the end of stdin")


def _add_control(commands: Any, name: str, description: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=description)
    command.add_argument("--url", default=f"http://127.0.0.1:{_PORT}", help="URL of the sandbox")
    command.set_defaults(run=_control, operation=name.replace("-", "_"))
    return command


def _control(options: dict[str, Any]) -> None:
    url, operation = options.pop("url"), options.pop("operation")
    result = Handle(url).call(operation, **options)
    for one in result if isinstance(result, list) else [result]:
        if one is not None:
            _print(one if isinstance(one, str) else json.dumps(one))


def _serve(options: dict[str, Any]) -> None:
    # Imported here because only this command needs the dependencies.
    from kombo_sandbox import server  # noqa: PLC0415
    from kombo_sandbox.state import Setup, open_state  # noqa: PLC0415

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit())
    if options["until_eof"]:
        server.stop_at_end_of_stdin()
    with (
        tempfile.TemporaryDirectory(prefix="kombo-sandbox-") as directory,
        server.listen(options["host"], options["port"]) as listener,
    ):
        state = open_state(
            options["data"] or Path(directory, "data.sqlite"),
            seed=options["seed"],
            setup=Setup(
                sizes=_sizes(options),
                clock=options["clock"],
                rate_limit=options["rate_limit"],
                rate_window=options["rate_window"],
                strict=options["strict"],
            ),
            cursor_lifetime=options["cursor_lifetime"],
            api_key=options["api_key"],
            latency=options["latency"],
        )
        state.webhooks.set_receiver(options["webhook_url"], options["webhook_secret"])
        settings = {
            "api_url": f"{server.url_of(listener)}/v1",
            "api_key": state.api_key,
            "integration_ids": list(state.store.integrations),
        }
        if options["write_config"]:
            _write_config(options["write_config"], settings)
        hosts = {options["host"].lower(), listener.getsockname()[0]}
        app = server.application(state, hosts=hosts, gzip=options["gzip"])
        server.run(app, listener, lambda: _print(_ready_message(settings, options)))
        state.store.close()


def _write_config(path: Path, settings: Mapping[str, Any]) -> None:
    """Write settings for `tap-kombo --config` that only this user can read."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            # An existing file can have other permissions.
            path.chmod(0o600)
            file.write(json.dumps(settings, indent=2) + "\n")
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror}") from error


def _ready_message(settings: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    url, key, ids = settings["api_url"], settings["api_key"], settings["integration_ids"]
    if options["json"]:
        return json.dumps({"url": url, "api_key": key, "integration_ids": ids})
    if options["env"]:
        values = {"API_URL": url, "API_KEY": key, "INTEGRATION_IDS": json.dumps(ids)}
        return "\n".join(
            f"export TAP_KOMBO_{name}={shlex.quote(value)}" for name, value in values.items()
        )
    return f"Kombo sandbox at {url}, key {key}, integrations {' '.join(ids)}"


def _sizes(options: dict[str, Any]) -> list[tuple[str, int]]:
    """Return the category and the size of each integration."""
    from kombo_sandbox.models import CATEGORIES  # noqa: PLC0415 - only `serve` needs the models

    offers = [int(size) for size in options["offers"].split(",")]
    integrations, employees = options["integrations"], options["employees"]
    if len(offers) == 1:
        offers *= integrations
    if len(offers) != integrations:
        raise ValueError(f"--offers has {len(offers)} numbers for {integrations} integrations")
    categories = options["categories"].split(",")
    if unknown := set(categories) - set(CATEGORIES):
        raise ValueError(f"--categories: {unknown.pop()!r} is not one of {', '.join(CATEGORIES)}")
    return [
        (category, size if category == "ATS" or employees is None else employees)
        for category in categories
        for size in offers
    ]


def _names(text: str) -> list[str]:
    return text.split(",") if text else []


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
