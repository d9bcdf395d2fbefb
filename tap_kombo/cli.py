"""The command line: a mistake of the user's becomes one clear line and exit status 1.

The SDK answers most of them with a traceback.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

import click
import msgspec
from singer_sdk.exceptions import (
    ConfigValidationError,
    MapExpressionError,
    StreamMapConfigError,
)
from singer_sdk.plugin_base import PluginBase, SingerCommand

from tap_kombo import settings
from tap_kombo.errors import InputError, KomboError, RunFailedError, internal

logger = logging.getLogger("tap-kombo")

PREFIX = "TAP_KOMBO_"
FALSY = frozenset({"false", "0", "no", "off"})
"""What means false in the environment."""


class PatientCommand(SingerCommand):
    """The SDK's command, with one line for each mistake."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except ConfigValidationError as error:
            sentences = error.errors
        except (InputError, RunFailedError) as error:
            sentences = list(error.args)
        except KomboError as error:
            sentences = [str(error)]
        except (MapExpressionError, StreamMapConfigError) as error:
            sentences = [f"The setting `stream_maps` is wrong: {error}"]
        except Exception as error:  # noqa: BLE001  # a traceback would hold people's data
            sentences = [str(internal(error))]
        for sentence in sentences:
            self.logger.error(sentence)
        sys.exit(1)


class JsonFile(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions
    """A file that holds JSON; it arrives as its content."""

    name = "file"

    def __init__(self, what: str) -> None:
        self._what = what

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,  # noqa: ARG002
        ctx: click.Context | None,  # noqa: ARG002
    ) -> Any:
        if not isinstance(value, str):
            return value
        content = read_file(value, self._what)
        if self._what == "state":
            return read_state(content, value)
        catalog = read_json(content, value, self._what)
        if catalog is None:
            raise InputError(
                f"The catalog file {value} holds null: leave --catalog away to read all streams."
            )
        return catalog


def patient_command(command: click.Command, logger: logging.Logger) -> PatientCommand:
    """Make the SDK's command say clearly what is wrong with what it is given."""
    for param in command.params:
        if param.name in {"state", "catalog"}:
            param.type = JsonFile(param.name)
        if param.name == "test" and isinstance(param, click.Option):
            param.help = (
                "Prove the key and each integration, and print what each can give. "
                "Use --test=schema to print the schemas only."
            )
    return PatientCommand(
        name=command.name,
        callback=command.callback,
        params=command.params,
        help="Read HR data from the Kombo unified API, as a Singer tap.",
        context_settings=command.context_settings,
        logger=logger,
    )


def read_file(path: str, what: str) -> bytes:
    """Read a file.

    Args:
        path: Where it is; `-` for standard input.
        what: What it holds, for messages: "state".

    Raises:
        InputError: It cannot be read.
    """
    try:
        with click.open_file(path, "rb") as file:
            content: bytes = file.read()
            return content
    except OSError as error:
        raise InputError(f"The {what} file {path} cannot be read: {error.strerror}.") from None


def read_json(content: bytes, path: str, what: str) -> Any:
    """Read the JSON of a file.

    Raises:
        InputError: It is none. Nothing of it is quoted: a settings file holds the API key.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise InputError(f"The {what} file {path} is not valid JSON: mend it.") from None


def read_state(content: bytes, path: str) -> Any:
    """Read a state: one JSON object, or all that a target has told, one on each line.

    Targets append a line for each state that is safe. The last whole one counts: a target that was
    killed may have left half a line. None from a file in which there is nothing yet, or null.

    Raises:
        InputError: There is no state in it, or one that could not be written again.
    """
    whole_lines = [
        line for line in content[: content.rfind(b"\n") + 1].splitlines() if line.strip()
    ]
    try:
        state = read_json(b"".join(whole_lines[-1:]), path, "state")
    except InputError:
        state = read_json(content, path, "state") if content.strip() else None
    try:
        msgspec.json.encode(state)
    except UnicodeEncodeError:
        raise InputError(
            f"The state file {path} holds half a character (a lone surrogate), which cannot be "
            "written again: mend it."
        ) from None
    if state is None:
        logger.warning("The state file %s is empty: everything is read.", path)
    return state


def read_object(path: str, what: str) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        InputError: It cannot be read, or holds something else.
    """
    content = read_json(read_file(path, what), path, what)
    if not isinstance(content, dict):
        raise InputError(f"The {what} file {path} must hold a JSON object.")
    return content


def check_environment(tap: type[PluginBase]) -> None:
    """Make sure that settings from the environment can be read, and warn of what are none.

    Raises:
        InputError: A number, a list, or what is true or false, is not written as one.
    """
    try:
        read = tap._env_var_config  # noqa: SLF001  # listed in tap.py
    except ValueError:
        raise InputError(
            "A setting in the environment is not of its type: in TAP_KOMBO_... variables, "
            "numbers are digits, and lists and objects are JSON."
        ) from None
    # The SDK takes for false whatever it does not take for true.
    false = [f"{PREFIX}{name.upper()}" for name, value in read.items() if value is False]
    if wrong := [name for name in false if os.environ[name].lower() not in FALSY]:
        raise InputError(
            *(f"The setting {name} in the environment must be true or false." for name in wrong)
        )
    given = [name.removeprefix(PREFIX) for name in os.environ if name.startswith(PREFIX)]
    meant = [name for name in given if not name.startswith("_")]  # else an extra of Meltano's
    known = {"LOGLEVEL", *map(str.upper, settings.NAMES)}  # the first is the SDK's
    for warning in settings.unknown(meant, known, PREFIX):
        logger.warning(warning)
