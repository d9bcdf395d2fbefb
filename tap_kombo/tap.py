"""The tap: settings, discovery, the sync of all streams, and signals.

How a record gets from Kombo to standard output:

    tap.py      integrations and selected streams   -> partitions
    reader.py   threads read the partitions         -> pages, in the order they arrive
    client.py   one request, with retries           -> a response
    writer.py   the main thread writes the pages    -> RECORD, bookmark, STATE

Private names of the SDK in use, each covered by a test: `_config`, `_validate_config`,
`_handle_termination`, `_env_var_config` and `_ConfigInput` (here), `_generate_schema_messages`
(writer.py), `_increment_stream_state` (streams.py).
"""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import signal
import sys
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from types import FrameType
from typing import Any, ClassVar

import click
import msgspec
from singer_sdk import Tap
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.helpers.capabilities import (
    CapabilitiesEnum,
    PluginCapabilities,
    TapCapabilities,
)
from singer_sdk.plugin_base import _ConfigInput
from singer_sdk.tap_base import CliTestOptionValue

from tap_kombo import changed_models, cli, settings, stream_maps
from tap_kombo.catalog import (
    add_fields_in_lists,
    emptied_fields,
    load_catalog,
    selected_schema,
)
from tap_kombo.client import KomboClient
from tap_kombo.errors import InputError, KomboError, RunFailedError, Scope
from tap_kombo.reader import (
    INTEGRATION_PATH,
    Page,
    Paginator,
    Reader,
    ReadFailed,
    Start,
    StreamPartition,
)
from tap_kombo.records import FIELDS
from tap_kombo.responses import ALL_DETAILS, describe, is_available
from tap_kombo.state import State, check_state
from tap_kombo.streams import ALL_MODELS, SYNC_STATUS, KomboStream
from tap_kombo.summary import ReadResult, RunSummary
from tap_kombo.times import has_offset, parse_start_date
from tap_kombo.writer import Messages, SingerMessages, Writer

STOP_SECONDS = 6.0
"""Seconds after a signal until the process exits, even if the target does not read."""

HELP = {
    "config": "A file of settings, - for standard input, or ENV for environment variables.",
    "test": "Check the API key and each integration, and print the streams it supports. "
    "Use --test=schema to print the schemas only.",
}
"""Option -> help that differs from the SDK's."""

STREAMS = [model.name for model in ALL_MODELS]
KEYS = {model.name: (model.key, model.stream_class.replication_key) for model in ALL_MODELS}


class TapKombo(Tap):
    """Singer tap for the Kombo unified API: HR data of all your customers, incrementally."""

    name = "tap-kombo"
    # A copy, because the SDK adds its own settings to it.
    config_jsonschema: ClassVar[dict[str, Any]] = copy.deepcopy(settings.SCHEMA)
    message_writer_class = MsgSpecWriter
    # No BATCH: its files would hold deselected fields. No ACTIVATE_VERSION: it would delete the
    # rows of integrations that are not part of the run.
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
        self._exit_timer: threading.Timer | None = None
        self._is_syncing = False
        # urllib3 logs URLs with their query, the mapper values of records.
        for name in [*logging.root.manager.loggerDict]:
            if name.startswith("urllib3"):
                logging.getLogger(name).disabled = True
        logging.getLogger("singer_sdk.mapper").setLevel(logging.WARNING)
        super().__init__(
            catalog=load_catalog(catalog, KEYS),
            state=check_state(state, STREAMS),
            **kwargs,
        )

    def discover_streams(self) -> list[KomboStream]:
        return [model.stream_class(self, model, self.read_pages) for model in ALL_MODELS]

    @property
    def catalog_dict(self) -> dict[str, Any]:
        """The catalog that `--discover` prints."""
        catalog = super().catalog_dict
        add_fields_in_lists(catalog)
        return catalog

    def setup_mapper(self) -> None:
        """Register the selected streams with the SDK's stream maps and flattening."""
        super(Tap, self).setup_mapper()
        maps = self.mapper.stream_maps_dict
        for entry in self.catalog.streams:
            mask = entry.metadata.resolve_selection()
            if not mask[()]:
                continue
            schema = selected_schema(entry.schema.to_dict(), mask)
            flattening = self.mapper.flattening_options
            if flattening.enabled and flattening.max_level > 0:
                schema = stream_maps.flattenable(schema)
            name = entry.tap_stream_id
            self.mapper.stream_maps_dict = stream_maps.without_deselected(maps, name, schema)
            try:
                self.mapper.register_raw_stream_schema(name, schema, entry.key_properties)
            except ValueError:
                raise InputError(
                    "`flattening_separator`, `flattening_max_key_length`: two columns of "
                    f"{name} would have the same name. Choose another separator, or a greater "
                    "length."
                ) from None
        stream_maps.check_names(self.mapper.stream_maps)

    @cached_property
    def client(self) -> KomboClient:
        return KomboClient(
            base_url=settings.base_url(self.config),
            api_key=self.config["api_key"],
            user_agent=f"{self.name}/{self.plugin_version}",
            connections=int(self.config["concurrency"]),
            timeout=self.config["request_timeout_seconds"],
            max_wait=self.config["max_wait_seconds"],
            stop=self._stop,
        )

    @cached_property
    def sync_state(self) -> State:
        """The state of this run; `state` remains the one that the tap was given."""
        start_date = self.config.get("start_date")
        # A sync of changed models should be short.
        days = 0 if "changed_models" in self.config else self.config["full_refresh_interval_days"]
        return State(
            self.state,
            left_out={name: stream.left_out for name, stream in self.kombo_streams.items()},
            start_date=parse_start_date(start_date) if start_date else None,
            refresh_interval=timedelta(days=days),
        )

    @cached_property
    def kombo_streams(self) -> dict[str, KomboStream]:
        """The tap's streams, with their own type."""
        return {n: stream for n, stream in self.streams.items() if isinstance(stream, KomboStream)}

    def partitions(
        self, integration_id: str, streams: Sequence[str], outdated: Collection[str] = ()
    ) -> list[StreamPartition]:
        """Build the partitions of some streams of an integration, the longest first."""
        selected = [self.kombo_streams[name] for name in streams]
        starts = self.sync_state.starts(
            integration_id,
            [stream.name for stream in selected if stream.is_incremental],
            self.client.now(),
            outdated,
        )
        selected.sort(key=lambda s: self.sync_state.pages(s.name, integration_id), reverse=True)
        return [s.partition(integration_id, starts.get(s.name, Start())) for s in selected]

    def reads_deletions(self, integration_id: str, stream: str) -> bool:
        """Return whether to read a stream that the integration no longer supports."""
        return bool(self.config["include_deleted"]) and self.sync_state.was_read(
            integration_id, stream, self.client.clock.now()
        )

    def read_pages(self, stream: str, integration_id: str) -> Iterator[Page]:
        """Read one stream of one integration, for code that uses a stream by itself."""
        [partition] = self.partitions(integration_id, [stream])
        return iter(Paginator(partition, self.client))

    def sync_all(self) -> None:  # type: ignore[misc]  # the SDK's reads one stream after the other
        """Read all selected streams of all integrations, and write them to standard output.

        Raises:
            RunFailedError: Something could not be read or written; everything else was.
            SystemExit: A signal stopped the run, after a last STATE.
        """
        if sys.stdout is None:
            self.logger.error("Standard output is closed. Pipe the tap into a target or a file.")
            raise RunFailedError
        streams = [
            stream
            for stream in self.kombo_streams.values()
            if stream.selected and not stream_maps.is_removed(stream)
        ]
        names = [stream.name for stream in streams if stream.model is not SYNC_STATUS]
        self._warn_of_selection(streams)
        reads = self._longest_first(changed_models.reads(self.config, names))
        if not reads:
            self.logger.info("`changed_models`: no selected stream has changed; nothing is read.")
        concurrency = int(self.config["concurrency"])
        reader = Reader(
            self.client,
            reads,
            self.partitions,
            self.reads_deletions,
            concurrency=concurrency,
            stop=self._stop,
        )
        writer = Writer(sys.stdout, self.messages(streams, reads), self.sync_state)
        summary = RunSummary(reads, concurrency)
        problem = self._run(reader.read(), writer, summary)
        stopped_by = self._stopped_by.name if self._stopped_by else None
        is_successful = summary.finish(problem=problem, stopped_by=stopped_by)
        if self._exit_timer:
            self._exit_timer.cancel()
        if self._stopped_by:
            raise SystemExit(128 + self._stopped_by)
        if not is_successful:
            raise RunFailedError

    def messages(
        self,
        streams: Sequence[KomboStream],
        reads: Mapping[str, Sequence[str]],  # noqa: ARG002  # for other protocols
    ) -> Messages:
        """Return the object that builds the messages.

        Args:
            streams: The selected streams.
            reads: Integration -> the names of its streams to read.
        """
        return SingerMessages(streams)

    def _warn_of_selection(self, streams: Sequence[KomboStream]) -> None:
        if not streams:
            self.logger.warning("Catalog: no stream is selected; nothing is read.")
        for stream in streams:
            for field in emptied_fields(stream.schema, stream.mask):
                self.logger.warning(
                    "Catalog: %s.%s is selected, but none of its fields; its objects are empty. "
                    "Select %s.%s.* too.",
                    *(stream.name, field, stream.name, field),
                )

    def _longest_first(self, reads: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
        """Sort the integrations by their longest read, whose pages come one after the other."""
        pages = self.sync_state.pages
        ids = sorted(
            reads, key=lambda i: max((pages(name, i) for name in reads[i]), default=0), reverse=True
        )
        return {integration_id: reads[integration_id] for integration_id in ids}

    def _run(
        self, events: Iterator[Page | ReadFailed | None], writer: Writer, summary: RunSummary
    ) -> str | None:
        """Write all messages; return a sentence if the output cannot be written."""
        self._is_syncing = True
        try:
            writer.open()
            try:
                self._write(events, writer, summary)
            finally:
                writer.close()
        except OSError as error:
            self._stop.set()
            discard_stdout()
            return None if self._stopped_by else _not_written(error)
        finally:
            self._is_syncing = False
        return None

    def _write(
        self, events: Iterator[Page | ReadFailed | None], writer: Writer, summary: RunSummary
    ) -> None:
        """Write pages and failures as they arrive; None means that nothing has arrived."""
        failed: set[tuple[str, str]] = set()
        for event in events:
            results: list[ReadResult] = []
            if isinstance(event, Page):
                read = event.partition.stream, event.partition.integration_id
                if read in failed:
                    continue
                try:
                    results = summary.page_written(event, writer.write_page(event))
                except KomboError as error:
                    failed.add(read)
                    results = summary.read_failed(ReadFailed(read[1], [read[0]], error))
            else:
                writer.check_pipe()
                if event and not failed.issuperset(
                    (s, event.integration_id) for s in event.streams
                ):
                    results = summary.read_failed(event)
            writer.write_results(results)
            writer.write_state()
            summary.report_progress(self.client.rate_limit.seconds_left)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check the settings in place of the SDK, which prints values. Discovery needs none."""
        self.append_builtin_config(self.config_jsonschema)
        given, self._config = self._config, settings.with_defaults(self._config)
        if not raise_errors:
            return []
        if unread := cli.unread_variables(given, self.config_jsonschema):
            self.logger.warning(
                "Environment: the tap does not read %s. Add `--config ENV`, or declare the "
                "settings in meltano.yml.",
                ", ".join(unread),
            )
        maps = self.config.get("stream_maps")
        sentences = settings.check(self.config, self.config_jsonschema, STREAMS) or [
            *stream_maps.check(maps, STREAMS),
            *stream_maps.check_salt(maps, self.config.get("stream_map_config", {}).get("salt")),
        ]
        if sentences:
            raise InputError(*sentences)
        for warning in [
            *settings.warnings(self.config, self.config_jsonschema),
            *changed_models.warnings(self.config),
        ]:
            self.logger.warning(warning)
        start_date = self.config.get("start_date")
        if start_date and not has_offset(start_date):
            self.logger.info("`start_date`: the time has no offset; it is read as UTC.")
        return []

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Stop the run; the main thread finishes its message and writes a last STATE."""
        if self._stop.is_set() or not self._is_syncing:
            os._exit(128 + signum)
        self._stopped_by = signal.Signals(signum)
        self._stop.set()
        # A target that no longer reads would block the main thread forever.
        self._exit_timer = threading.Timer(STOP_SECONDS, os._exit, [128 + signum])
        self._exit_timer.daemon = True
        with contextlib.suppress(RuntimeError):  # the machine's limit of threads
            self._exit_timer.start()

    def test_integrations(self) -> None:
        """Print a line for each integration: its tool, its status, and its supported streams.

        Raises:
            KomboError: The API key, the URL or the network is wrong.
            RunFailedError: The details of an integration cannot be read.
        """
        self.logger.info("Checking the integrations at %s.", settings.base_url(self.config))
        is_failed = False
        for event in self.read_details(self.config["integration_ids"]):
            if isinstance(event, Page):
                click.echo(f"{event.partition.integration_id}: {_summary_of(*event.records)}")
            else:
                is_failed = True
                self.logger.error("%s: %s", event.integration_id, event.error)
        if is_failed:
            raise RunFailedError

    def read_details(self, integration_ids: Sequence[str]) -> Iterator[Page | ReadFailed]:
        """Yield the details of each integration as a page with one record, or their failure.

        Raises:
            KomboError: The API key, the URL or the network is wrong.
        """
        reader = Reader(
            self.client,
            {integration_id: ["integrations"] for integration_id in integration_ids},
            self._details_partition,
            self.reads_deletions,
            concurrency=int(self.config["concurrency"]),
            stop=self._stop,
        )
        for event in reader.read():
            if isinstance(event, ReadFailed) and event.error.rule.scope is Scope.RUN:
                raise event.error
            if event:
                yield event

    def _details_partition(
        self, integration_id: str, streams: Sequence[str], _: Collection[str]
    ) -> list[StreamPartition]:
        return [
            StreamPartition(
                stream=stream,
                integration_id=integration_id,
                path=INTEGRATION_PATH,
                format=ALL_DETAILS,
            )
            for stream in streams
        ]

    @classmethod
    def cb_config(
        cls,
        ctx: click.Context,  # noqa: ARG003
        param: click.Option,  # noqa: ARG003
        value: tuple[str, ...],
    ) -> _ConfigInput:
        """Read the settings from files, a pipe or the environment."""
        config: dict[str, Any] = {}
        for source in value:
            if source == "ENV":
                with contextlib.suppress(ValueError):
                    _ = cls._env_var_config  # adds a `.env` file to the environment
                cli.check_environment(cls.config_jsonschema)
            else:
                config |= cli.read_config(source)
        return _ConfigInput(config=config, parse_env="ENV" in value)

    @classmethod
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        """Run `--test`, which checks the API key and all integrations.

        The SDK's own reads a record of each stream, of the first integration only.

        Raises:
            InputError: There is no such test.
        """
        if value not in [test.value for test in CliTestOptionValue]:
            raise InputError("`--test`: there is no such test. Use --test or --test=schema.")
        if value != CliTestOptionValue.All.value:
            super().cb_test(ctx, param, value)
            return
        config = ctx.params["config"]
        cls(config=config.config, parse_env_config=config.parse_env).test_integrations()
        ctx.exit()

    @classmethod
    def get_singer_command(cls) -> click.Command:
        command = super().get_singer_command()
        # A configuration of logging disables all earlier loggers, unless it says otherwise.
        cls.logger.disabled = False
        for param in command.params:
            if param.name in {"state", "catalog"}:
                param.type = cli.JsonFile()
            if param.name in HELP and isinstance(param, click.Option):
                param.help = HELP[param.name]
        return cli.TapCommand(
            name=command.name,
            callback=command.callback,
            params=[*command.params, cli.MASKING],
            help="Read HR data from the Kombo unified API, as a Singer tap.",
            context_settings=command.context_settings,
            logger=cls.logger,
        )


def _summary_of(record: msgspec.Raw) -> str:
    details = FIELDS.decode(record)
    supported = [name for name in STREAMS if is_available(details, name) is not False]
    return (
        f"{describe(details)}; {len(supported)} of {len(STREAMS)} streams: "
        f"{', '.join(supported) or 'none'}"
    )


def discard_stdout() -> None:
    """Replace stdout, which Python flushes once more when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _not_written(error: OSError) -> str:
    problem = (
        "The target has closed the pipe. See its log."
        if isinstance(error, BrokenPipeError)
        else f"The output cannot be written: {error.strerror}."
    )
    return f"{problem} The next run resumes from the last state that was written."
