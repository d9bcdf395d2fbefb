"""The demo's output on the terminal, and its failed checks."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table

LOG_LINE = re.compile(r"\S+ \[(?P<level>\w+) *\] (?P<source>\S+) +(?P<message>.*)")
COLORS = {"warning": "yellow", "error": "red", "critical": "red"}
NOISE = ("Skipping parse", "tap-kombo v", "No state was found")
"""Prefixes of log messages that the demo does not show"""

DETAILS = 10
"""Maximum number of lines about a failed check"""


class Screen:
    """Prints the demo.

    Attributes:
        failures: The claims of failed checks.
    """

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self.failures: list[str] = []

    def chapter(self, title: str) -> None:
        self._console.print()
        self._console.rule(f"[bold]{escape(title)}", align="left")

    def say(self, text: str) -> None:
        self._console.print(escape(text))

    def command(self, text: str) -> None:
        self._console.print(f"\n  [bold cyan]$ {escape(text)}[/]")

    def sql(self, query: str) -> None:
        self._console.print()
        self._console.print(
            Padding(Syntax(query, "sql", theme="ansi_dark", background_color="default"), (0, 2))
        )

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Print rows as a table with a header."""
        if not rows:
            self._console.print("\n  [dim](no rows)[/]\n")
            return
        table = Table(header_style="bold", box=None, pad_edge=False)
        for name in rows[0]:
            is_number = all(isinstance(row[name], int) for row in rows)
            table.add_column(escape(name), justify="right" if is_number else "left", no_wrap=True)
        for row in rows:
            table.add_row(*(escape(_text(value)) for value in row.values()))
        self._console.print(Padding(table, (1, 0, 1, 1)))

    def check(self, *, holds: bool, claim: str, details: Iterable[object] = ()) -> None:
        """Print whether a claim holds, and record it if it does not."""
        if holds:
            self._console.print(f"[bold green]✓[/] {escape(claim)}")
            return
        self.failures.append(claim)
        self._console.print(f"[bold red]✗ {escape(claim)}[/]")
        for detail, _ in zip(details, range(DETAILS), strict=False):
            self._console.print(f"    {escape(str(detail))}", soft_wrap=True)

    def error(self, text: str) -> None:
        self._console.print(f"[bold red]{escape(text)}[/]")

    @contextlib.contextmanager
    def progress(self, task: str) -> Iterator[Callable[[str], None]]:
        """Show that a task is in progress, then how long it took.

        Yields:
            A function to call with each line of the task's log.
        """
        started = time.monotonic()
        with self._console.status(escape(task)) as status:

            def on_line(line: str) -> None:
                found = LOG_LINE.match(line)
                if found and not found["message"].startswith(NOISE):
                    room = max(0, self._console.width - len(task) - 4)
                    latest = f"{found['source']}: {found['message']}"[:room]
                    status.update(f"{escape(task)} [dim]{escape(latest)}[/]")
                    self._log_line(found["level"], found["source"], found["message"])

            yield on_line
        self._console.print(f"{escape(task)} [dim]{time.monotonic() - started:.1f} s[/]")

    def _log_line(self, level: str, source: str, message: str) -> None:
        """Print all messages of the tap, and warnings and errors of other plugins."""
        if source == "tap-kombo" or level in COLORS:
            color = COLORS.get(level, "dim")
            self._console.print(f"  [{color}]{source}: {escape(message)}[/]")


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
