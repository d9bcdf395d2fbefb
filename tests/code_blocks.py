"""The code blocks of Markdown files."""

from __future__ import annotations

import re


def code_block(language: str, text: str, document: str) -> str:
    """Return the only code block of a language that contains a text."""
    blocks: list[str] = re.findall(
        rf"^```{language}\n(.*?)^```$", document, re.MULTILINE | re.DOTALL
    )
    [found] = [code for code in blocks if text in code]
    return found
