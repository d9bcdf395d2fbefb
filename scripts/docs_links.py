"""MkDocs hook: add the files outside `docs` that pages link to.

On GitHub, the README and the pages in `docs` link to each other and to files such as `meltano.yml`;
the README uses complete URLs. The site has copies of these files at the same paths as in the
repository, except that the pages in `docs` are at its root.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from scripts.repository import ROOT, local_links

LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)[^)#\s]+")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages of the navigation that are not in `docs`, and all linked files."""
    found = [Path(str(file.abs_src_path)) for file in files.documentation_pages()]
    found += [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    for path in found:
        if not path.is_relative_to(ROOT / "docs"):
            files.append(File.generated(config, site_path(path), abs_src_path=str(path)))
        if path.suffix == ".md":
            text = local_links(path.read_text(), path.parent)
            links = [(path.parent / link).resolve() for link in LINK.findall(text)]
            found += [link for link in dict.fromkeys(links) if link.is_file() and link not in found]
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Rewrite the links of a page to the repository's files for the site."""
    source = Path(str(page.file.abs_src_path)).parent
    target = Path(page.file.src_uri).parent
    return LINK.sub(
        lambda link: os.path.relpath(site_path((source / link[0]).resolve()), target),
        local_links(markdown, source),
    )


def site_path(path: Path) -> str:
    """Return the path of a file in the site's sources."""
    relative = path.relative_to(ROOT)
    return str(relative.relative_to("docs") if relative.parts[0] == "docs" else relative)
