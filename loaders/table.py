"""The loaders of `loaders.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


RESULTS = {
    "upserts": "correct",
    "deletes": "correct, and deletes the rows of deleted records",
    "appends": "correct, appends",
    "loses records": "**loses records** without an error",
    "fails": "**fails**",
}
"""Result of a loader's tests -> text in the documentation"""


@dataclass(frozen=True)
class Loader:
    """A row of `loaders.toml`.

    Attributes:
        name: Its name in the documentation.
        package: The distribution; empty if it has the same name.
        companion: Another package whose version matters.
        environment: The name of its files in `environments`.
        command: The command.
        store: Where it writes: a name of `stores.STORES`.
        result: A name of `RESULTS`.
        settings: The settings that the documentation recommends, besides those of the connection.
        connection: The settings of the connection, with the placeholders of `Place.names`.
        flattened: Whether the tap flattens the records.
        nested: How nested values are stored, for the documentation.
        unflattened: The fault that it has unless the tap flattens the records.
        faults: Names of `faults.FAULTS`.
        stops_at: Names of `scenario.RARE`: values that it fails to load.
        error: A part of the log of a loader that fails.
        note: More about it, for the documentation.
    """

    name: str
    environment: str
    command: str
    store: str
    result: str
    connection: Mapping[str, Any]
    package: str = ""
    companion: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    flattened: bool = False
    nested: str = ""
    unflattened: str = ""
    faults: tuple[str, ...] = ()
    stops_at: tuple[str, ...] = ()
    error: str = ""
    note: str = ""

    @property
    def appends(self) -> bool:
        """Whether each version of a record has a row."""
        return self.result == "appends"

    @property
    def metadata(self) -> set[str]:
        """The settings that add columns such as `_sdc_extracted_at`."""
        return {"add_metadata_columns", "add_record_metadata"} & self.settings.keys()

    def config(self, names: Mapping[str, str]) -> dict[str, Any]:
        """Return the content of the loader's settings file.

        Args:
            names: The values of the placeholders.
        """
        return {**_filled(self.connection, names), **self.settings}

    @property
    def version(self) -> str:
        """The pinned version of the loader and of its companion."""
        version = pinned(self.environment, self.package or self.name)
        if self.companion:
            version += f", {self.companion} {pinned(self.environment, self.companion)}"
        return version


@dataclass(frozen=True)
class Translator:
    """A loader of a cloud warehouse, of which only the translation of schemas is tested.

    Attributes:
        name: The distribution.
        environment: The name of its files in `environments`.
        script: The name of its script in `inside`.
        types: Kind of column -> the type in the warehouse.
        settings: The settings that the documentation recommends.
        flattened: Whether the tap flattens the records.
        unflattened: The fault that it has unless the tap flattens the records.
        note: More about it, for the documentation.
    """

    name: str
    environment: str
    script: str
    types: Mapping[str, str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    flattened: bool = False
    unflattened: str = ""
    note: str = ""

    @property
    def version(self) -> str:
        """The pinned version of the loader."""
        return pinned(self.environment, self.name)


def pinned(environment: str, package: str) -> str:
    """Return the version of a package in an environment."""
    pins = (FOLDER / f"environments/{environment}.txt").read_text("utf-8")
    found = re.search(rf"^{re.escape(package)}==(\S+)", pins, re.MULTILINE)
    assert found, package
    return found[1]


def _filled(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {name: _filled(one, names) for name, one in value.items()}
    return value.format(**names) if isinstance(value, str) else value


ROWS = tomllib.loads((FOLDER / "loaders.toml").read_text("utf-8"))
LOADERS = [Loader(**row) for row in ROWS["loader"]]
TRANSLATORS = [Translator(**row) for row in ROWS["translator"]]
