"""The command line: one line for each mistake of the user, instead of a traceback."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from typing import IO, Any

import click
import msgspec
from singer_sdk.exceptions import MapExpressionError, StreamMapConfigError
from singer_sdk.plugin_base import SingerCommand

from tap_kombo import masking, settings
from tap_kombo.errors import InputError, KomboError, RunFailedError, internal

logger = logging.getLogger("tap-kombo")

PREFIX = "TAP_KOMBO_"
BOOLEANS = {"true", "1", "yes", "on", "false", "0", "no", "off"}
"""The SDK reads all other values as false."""

STATE_BLOCK = 1 << 20
"""Bytes that are read first from the end of a file of states, which grows without limit."""


KEY = re.compile(r"(?<![A-Za-z0-9])ks_(?!prod_\.\.\.)[\w-]+")
"""Kombo's API keys, but not the example `ks_prod_...`"""


def hide_keys(text: str) -> str:
    """Replace everything that looks like an API key, or is the one in the environment."""
    text = KEY.sub("***", text)
    if key := os.environ.get(f"{PREFIX}API_KEY"):
        text = re.sub(rf"(?<![\w-]){re.escape(key)}(?![\w-])", "***", text)
    return text


def _hide_keys(record: logging.LogRecord) -> bool:
    record.msg, record.args = hide_keys(record.getMessage()), ()
    return True


# Errors print unknown names, and a user may have written the key instead of a name.
logger.addFilter(_hide_keys)


class TapCommand(SingerCommand):
    """The SDK's command. A traceback would hold the API key or people's data."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as error:
            raise click.UsageError(hide_keys(error.format_message()), error.ctx) from None

    def main(self, *args: Any, **kwargs: Any) -> Any:
        sentences: tuple[str, ...] = ()
        try:
            return super().main(*args, **kwargs)
        except RunFailedError:
            pass  # the run has logged its failures
        except InputError as error:
            sentences = error.args
        except KomboError as error:
            sentences = (str(error),)
        except (MapExpressionError, StreamMapConfigError) as error:
            sentences = (f"`stream_maps`: {error}",)
        except OSError as error:
            sentences = (f"The output cannot be written: {error.strerror}.",)
        except Exception as error:  # noqa: BLE001
            sentences = (str(internal(error)),)
        for sentence in sentences:
            self.logger.error(sentence)
        sys.exit(1)


class JsonFile(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions
    """A state or catalog file, as the stream of JSON text that the SDK expects."""

    name = "file"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,  # noqa: ARG002
    ) -> io.StringIO:
        option = str(param and param.name)
        text = read_file(value, option)
        if option == "state":
            text = text.strip() or b"null"
        if parse_json(text, value, f"{option} file") is None:
            if option != "state":
                raise InputError(f"{value}: the {option} file holds null. Omit --{option}.")
            logger.info("%s: the state file is empty; everything is read.", value)
        return io.StringIO(text.decode())


def print_masking(ctx: click.Context, param: click.Parameter, value: str | None) -> None:  # noqa: ARG001  # click's signature
    """Run `--masking`, which prints settings and exits.

    Raises:
        InputError: There is no such class of personal data.
    """
    if value is None:
        return
    classes = masking.CLASSES if value == ALL_CLASSES else value.split(",")
    for name in classes:
        if name not in masking.CLASSES:
            raise InputError(
                f"`--masking`: there is no class {name}"
                f"{settings.did_you_mean(name, masking.CLASSES)}. "
                f"Use {', '.join(masking.CLASSES)}."
            )
    click.echo(json.dumps(masking.preset(classes), indent=2))
    ctx.exit()


ALL_CLASSES = "all"
MASKING = click.Option(
    ["--masking"],
    is_flag=False,
    flag_value=ALL_CLASSES,
    metavar="[CLASS,...]",
    is_eager=True,
    expose_value=False,
    callback=print_masking,
    help="Print stream maps that mask personal data: all of it, or only some classes: "
    f"{', '.join(masking.CLASSES)}.",
)


def last_state(file: IO[bytes]) -> bytes:
    """Return the last state of a file, which is read from its end.

    Targets append one line for each state. If a target was killed, its last line may be cut.
    """
    if file.seekable():
        size = file.seek(0, os.SEEK_END)
        block = STATE_BLOCK
        while block < size:
            file.seek(-block, os.SEEK_END)
            _, _, lines = file.read(block).partition(b"\n")
            if state := _last_object(lines):
                return state
            block *= 2
        file.seek(0)
    content = file.read()
    return _last_object(content) or content


def _last_object(content: bytes) -> bytes | None:
    """Return the last complete line, if it is a JSON object."""
    line = content[: content.rfind(b"\n") + 1].rstrip().rpartition(b"\n")[2]
    try:
        msgspec.json.decode(line, type=dict)
    except msgspec.DecodeError:
        return None
    return line


def read_file(path: str, content: str) -> bytes:
    """Read a file; `-` is standard input.

    Args:
        path: The file's path.
        content: The kind of its content. Of a state, only the last is read.

    Raises:
        InputError: It cannot be read.
    """
    try:
        with click.open_file(path, "rb") as file:
            data: bytes = last_state(file) if content == "state" else file.read()
            return data
    except OSError as error:
        raise InputError(f"{path}: the {content} file cannot be read: {error.strerror}.") from None


def parse_json(text: bytes, name: str, content: str) -> Any:
    """Parse JSON.

    Args:
        text: The JSON.
        name: The file or the environment variable.
        content: Its kind, for the error: "state file".

    Raises:
        InputError: It is not valid; the error holds nothing of it.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InputError(f"{name}: the {content} is not valid JSON.") from None


def read_config(path: str) -> dict[str, Any]:
    """Read a file of settings.

    Raises:
        InputError: It cannot be read, or does not hold a JSON object.
    """
    config = parse_json(read_file(path, "config"), path, "config file")
    if not isinstance(config, dict):
        raise InputError(f"{path}: the config file does not hold a JSON object.")
    return config


def unread_variables(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Return the variables of settings that are in the environment only.

    Args:
        config: The settings.
        schema: Their JSON schema.
    """
    variables = {name: f"{PREFIX}{name.upper()}" for name in schema["properties"]}
    return [
        variable
        for name, variable in variables.items()
        if os.environ.get(variable) and config.get(name) in (None, "")
    ]


def check_environment(schema: Mapping[str, Any]) -> None:
    """Check the settings in the environment, which the SDK converts.

    Args:
        schema: The JSON schema of the settings.

    Raises:
        InputError: A boolean or a number is not valid. The SDK would read it as false, or fail.
    """
    properties = schema["properties"]
    for name, setting in properties.items():
        variable = f"{PREFIX}{name.upper()}"
        text = os.environ.get(variable)
        kinds = setting.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if text is None:
            continue
        if "boolean" in kinds and text.lower() not in BOOLEANS:
            raise InputError(f"{variable}: the value is not a boolean. Use true or false.")
        if "integer" in kinds and not text.strip().isdigit():
            raise InputError(f"{variable}: the value is not a number. Use digits.")
        if "object" in kinds:
            parse_json(text.encode(), variable, "value")
    known = {"LOGLEVEL", *(name.upper() for name in properties)}
    given = [name.removeprefix(PREFIX) for name in os.environ if name.startswith(PREFIX)]
    # Meltano's extras start with another underscore.
    for warning in settings.unknown((n for n in given if not n.startswith("_")), known):
        logger.warning("Environment: %s", warning)
