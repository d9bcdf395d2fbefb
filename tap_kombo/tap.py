"""The tap: which streams, which integrations, and what a run comes to.

How a record gets from Kombo to stdout, one way:

    tap.py      which streams and integrations   -> jobs
    reader.py   walks their pages side by side   -> pages, in the order of their arrival
    client.py   one request, as often as needed
    writer.py   on the main thread alone         -> RECORD, bookmark, STATE

What the tap uses of the SDK's private names, all in all: `_validate_config`, `_handle_termination`,
`_config`, `_ConfigInput` and `_env_var_config` (here and in cli.py), `get_selected_schema` (here),
`_generate_schema_messages` (writer.py), `_increment_stream_state` (streams.py),
`pop_deselected_record_properties` (records.py). The version of the SDK is pinned for them, and
tests hold each.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property, partial
from types import FrameType
from typing import Any, ClassVar

import click
from singer_sdk import Tap
from singer_sdk.authenticators import BearerTokenAuthenticator
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers._catalog import get_selected_schema
from singer_sdk.helpers.capabilities import (
    CapabilitiesEnum,
    PluginCapabilities,
    TapCapabilities,
)
from singer_sdk.plugin_base import _ConfigInput
from singer_sdk.streams.rest import HTTPRequest
from singer_sdk.tap_base import CliTestOptionValue

from tap_kombo import cli, filters, inspection, maps, settings
from tap_kombo.bookmarks import Bookmarks, check_state
from tap_kombo.catalog import check_catalog
from tap_kombo.client import KomboClient
from tap_kombo.errors import InputError, KomboError, RunFailedError
from tap_kombo.reader import Job, Page, Reader, Unread, Visit
from tap_kombo.streams import INTEGRATION_PATH, MODELS, KomboStream
from tap_kombo.summary import Summary
from tap_kombo.times import read_time
from tap_kombo.writer import Writer

GRACE_SECONDS = 6.0
"""How long a run that is told to stop may take, whatever it waits for."""


class TapKombo(Tap):
    """Singer tap for the Kombo unified API: your customers' HR data, complete and incremental."""

    name = "tap-kombo"
    config_jsonschema: ClassVar[dict[str, Any]] = settings.SETTINGS.to_dict()
    message_writer_class = MsgSpecWriter
    # No BATCH, because its files would hold what deselection and stream maps keep back; no
    # ACTIVATE_VERSION, because no run of this tap makes the rows of earlier ones obsolete.
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    def __init__(
        self,
        *,
        catalog: Any = None,
        state: Any = None,
        **kwargs: Any,
    ) -> None:
        self._stop = threading.Event()
        self._stopped_by: signal.Signals | None = None
        self._is_reading = False
        super().__init__(
            catalog=check_catalog(catalog),
            state=check_state(state, (model.name for model in MODELS)),
            **kwargs,
        )

    def discover_streams(self) -> list[KomboStream]:
        return [model.behaviour(self, self, model) for model in MODELS]

    def setup_mapper(self) -> None:
        """Let a map be for deselected streams too, whose selected fields are none.

        The SDK's own would find that such a stream lacks its key.
        """
        super(Tap, self).setup_mapper()
        for entry in self.catalog.streams:
            name, schema = entry.tap_stream_id, entry.schema.to_dict()
            mask = entry.metadata.resolve_selection()
            is_selected = mask[()]
            if is_selected:
                schema = get_selected_schema(name, schema, mask)
            if self.config.get("flattening_enabled"):
                schema = maps.flattenable(schema)
            try:
                self.mapper.register_raw_stream_schema(name, schema, entry.key_properties)
            except ValueError:
                # What is not sent may have columns of any name.
                if is_selected:
                    raise InputError(
                        "The settings `flattening_separator` and `flattening_max_key_length` give "
                        f"two columns of {name} the same name: choose another separator, or a "
                        "greater length."
                    ) from None

    @cached_property
    def authenticator(self) -> BearerTokenAuthenticator:
        return BearerTokenAuthenticator(token=self.config["api_key"])

    @cached_property
    def client(self) -> KomboClient:
        return KomboClient(
            auth=self.authenticator,
            user_agent=f"{self.name}/{self.plugin_version}",
            timeout=self.config["request_timeout_seconds"],
            max_wait=self.config["max_wait_seconds"],
            stop=self._stop,
        )

    @cached_property
    def bookmarks(self) -> Bookmarks:
        start_date = self.config.get("start_date")
        return Bookmarks(
            self.state,  # type: ignore[arg-type]  # the SDK's name for a dict
            scopes={stream.name: stream.scope for stream in self._kombo_streams()},
            start_date=read_time(start_date) if start_date else None,
            lookback=timedelta(seconds=self.config["lookback_seconds"]),
        )

    def sync_all(self) -> None:  # type: ignore[misc]  # the SDK's reads one stream after the other
        """Read everything that is selected, and write it to stdout.

        Raises:
            RunFailedError: Something could not be read or written; all else was.
            SystemExit: A signal ended the run, after a last STATE.
        """
        if sys.stdout is None:
            raise RunFailedError(
                "Standard output is closed: give the tap a target, or a file, to write to."
            )
        streams = [s for s in self._kombo_streams() if s.selected and not maps.is_removed(s)]
        integration_ids: list[str] = self.config["integration_ids"]
        summary = Summary([stream.name for stream in streams], integration_ids)
        writer = Writer(sys.stdout.buffer, streams, self.bookmarks)
        self._is_reading = True
        try:
            writer.write_schemas()
            summary.begin(self.config["concurrency"])
            try:
                self._read(streams, writer, summary)
            finally:
                writer.write_state(at_once=True)
        except OSError as error:
            self._stop.set()
            # Python flushes stdout once more when it exits, and would complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if not self._stopped_by:
                raise RunFailedError(_not_written(error)) from None
        finally:
            self._is_reading = False
        failures = summary.end(stopped_by=self._stopped_by.name if self._stopped_by else None)
        if self._stopped_by:
            raise SystemExit(128 + self._stopped_by)
        if failures:
            raise RunFailedError(*failures)

    def _read(self, streams: Sequence[KomboStream], writer: Writer, summary: Summary) -> None:
        integration_ids: list[str] = self.config["integration_ids"]

        def longest_read(integration_id: str) -> int:
            return max((self.bookmarks.pages(s.name, integration_id) for s in streams), default=0)

        # Of what is long, one page after the other has to be waited for: so it is begun first.
        visits = [
            Visit(
                integration_id,
                self._details_request(integration_id),
                partial(self._jobs, streams, integration_id),
                partial(self.bookmarks.tell, integration_id),
            )
            for integration_id in sorted(integration_ids, key=longest_read, reverse=True)
        ]
        reader = Reader(
            self.client, self._key_check, concurrency=self.config["concurrency"], stop=self._stop
        )
        broken: set[tuple[str, str]] = set()
        for event in reader.read(visits, len(visits) * len(streams)):
            if not isinstance(event, Page):
                writer.check_pipe()
                writer.write_state()
            if isinstance(event, Unread):
                summary.unread([job for job in event.jobs if job.read not in broken], event.error)
            elif event and event.job.read not in broken:
                try:
                    records = writer.write_page(event)
                except KomboError as error:
                    broken.add(event.job.read)
                    summary.unread([event.job], error)
                else:
                    summary.page_written(event.job, records, is_end=event.is_end)
            summary.tell_progress()

    def _jobs(
        self, streams: Sequence[KomboStream], integration_id: str, now: datetime | None
    ) -> list[Job]:
        if now:
            incremental = [s.name for s in streams if s.replication_method == "INCREMENTAL"]
            self.bookmarks.judge(integration_id, incremental, now)
        longest_first = sorted(
            streams, key=lambda s: self.bookmarks.pages(s.name, integration_id), reverse=True
        )
        return [stream.job(integration_id) for stream in longest_first]

    def _details_request(self, integration_id: str) -> HTTPRequest:
        path = INTEGRATION_PATH.format(integration_id=integration_id)
        return HTTPRequest(f"{settings.base_url(self.config)}{path}")

    @property
    def _key_check(self) -> HTTPRequest:
        return HTTPRequest(f"{settings.base_url(self.config)}/check-api-key")

    def _kombo_streams(self) -> list[KomboStream]:
        return [stream for stream in self.streams.values() if isinstance(stream, KomboStream)]

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Judge the settings before the SDK does, which would print the API key.

        The SDK's check of what is its own (stream maps, flattening) follows. Discovery needs no
        settings and checks none.
        """
        self._config = settings.with_defaults(self._config)
        if not raise_errors:
            return []
        names = [model.name for model in MODELS]
        if problems := [
            *settings.problems(self._config),
            *filters.problems(self._config.get("filters", {}), names),
            *maps.problems(self._config.get("stream_maps"), names),
        ]:
            raise ConfigValidationError(
                "The settings are wrong.", errors=problems, schema=self.config_jsonschema
            )
        for warning in settings.warnings(self._config):
            self.logger.warning(warning)
        return super()._validate_config(raise_errors=raise_errors)

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """End the run in order: what is being written is finished, and a last STATE follows.

        Only the main thread handles signals and writes, so no line is cut; but it does not leave
        its place here either, because that could be in the middle of a line.
        """
        # Where nothing is written, nothing has to end in order: no thread is waited for either.
        if self._stop.is_set() or not self._is_reading:
            os._exit(128 + signum)
        self._stopped_by = signal.Signals(signum)
        self._stop.set()
        # A target that reads no more would keep the main thread in its write for ever.
        last_resort = threading.Timer(GRACE_SECONDS, os._exit, [128 + signum])
        last_resort.daemon = True
        last_resort.start()

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: Any = None,
        state: Any = None,
        catalog: Any = None,
    ) -> None:
        """Run the command: `state` and `catalog` are the files' content."""
        super(Tap, cls).invoke(about=about, about_format=about_format)
        cls.print_version(print_fn=cls.logger.info)
        try:
            tap = cls(
                config=config.config,
                state=state,
                catalog=catalog,
                parse_env_config=config.parse_env,
            )
        except ConfigValidationError as error:
            raise InputError(*error.errors) from None
        tap.sync_all()

    @classmethod
    def cb_config(
        cls,
        ctx: click.Context,  # noqa: ARG003
        param: click.Option,  # noqa: ARG003
        value: tuple[str, ...],
    ) -> _ConfigInput:
        """Read the settings, once: what comes through a pipe is not there a second time."""
        config: dict[str, Any] = {}
        for source in value:
            if source == "ENV":
                cli.check_environment(cls)
            else:
                config |= cli.read_object(source, "settings")
        return _ConfigInput(config=config, parse_env="ENV" in value)

    @classmethod
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        """Prove the key and each integration, and print what each can give.

        The SDK's own test reads a record of each stream, of the first integration only.

        Raises:
            InputError: There is no such test.
        """
        tests = [test.value for test in CliTestOptionValue]
        if value not in tests:
            raise InputError(f"The option `--test` is {value!r}, but takes {', '.join(tests)}.")
        if value != CliTestOptionValue.All.value:
            super().cb_test(ctx, param, value)
            return
        config = ctx.params["config"]
        cls(config=config.config, parse_env_config=config.parse_env).inspect()
        ctx.exit()

    def inspect(self) -> None:
        """Print a line for each integration: what it is, and what it can give.

        Raises:
            KomboError: The key, the address or the network is wrong.
            RunFailedError: An integration is not to be had.
        """
        self.client.prove_key(self._key_check)
        requests = {name: self._details_request(name) for name in self.config["integration_ids"]}
        findings = inspection.inspect(
            self.client,
            requests,
            [stream.name for stream in self._kombo_streams()],
            concurrency=self.config["concurrency"],
        )
        failures = []
        for integration_id, finding in zip(requests, findings, strict=True):
            if isinstance(finding, KomboError):
                failures.append(f"{integration_id}: {finding}")
            else:
                click.echo(finding)
        if failures:
            raise RunFailedError(*failures)

    @classmethod
    def get_singer_command(cls) -> click.Command:
        return cli.patient_command(super().get_singer_command(), cls.logger)


def _not_written(error: OSError) -> str:
    what = (
        "The target has closed the pipe: see its own log."
        if isinstance(error, BrokenPipeError)
        else f"What was read cannot be written: {error.strerror}."
    )
    return f"{what} The next run goes on from the state that was written."
