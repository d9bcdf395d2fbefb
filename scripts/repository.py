"""The home of the repository, and links to its files."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HOME: str = PROJECT["urls"]["Repository"]
PAGES = f"{HOME}/blob/main/"
RAW = f"{HOME.replace('github.com', 'raw.githubusercontent.com')}/main/"


def local_links(markdown: str, folder: Path) -> str:
    """Replace the URLs of the repository's files, which PyPI needs, with paths.

    Args:
        markdown: The text of a page.
        folder: The folder that the paths are relative to.
    """
    urls = re.compile(rf"(?<=\]\()(?:{re.escape(PAGES)}|{re.escape(RAW)})([^)#]+)")
    return urls.sub(lambda link: os.path.relpath(ROOT / link[1], folder), markdown)
