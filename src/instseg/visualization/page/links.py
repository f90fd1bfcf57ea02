"""Links from one page of ours to another, also added to a page that was written before the other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from instseg.core.atomic import write_text_atomically
from instseg.core.channels import html_text

END = "<!-- links -->"
"""Mark in a page, behind its links."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link to another page of ours, by its path from this one, so that both can be moved together."""

    text: str
    href: str


def link_to(target: Path, folder: Path, text: str) -> Link:
    """Return the link to a file.

    Args:
        target: the file.
        folder: of the page with the link.
        text: of the link.
    """
    return Link(text, quote(Path(os.path.relpath(target, folder)).as_posix()))


def links_html(links: Sequence[Link]) -> str:
    """Return the paragraph of a page's links, to which more can be added."""
    return f'<p class="links">{"".join(map(_html, links))}{END}</p>'


def add_link(page: Path, link: Link) -> None:
    """Add a link to a page that was written before; one that it has stays, and a page without a place for it.

    Args:
        page: the file.
        link: from there.
    """
    before, mark, after = page.read_text(encoding="utf-8").partition(END)
    if mark and f'href="{html_text(link.href)}"' not in before:
        write_text_atomically(page, f"{before}{_html(link)}{mark}{after}")


def _html(link: Link) -> str:
    return f'<a href="{html_text(link.href)}">{html_text(link.text)}</a> '
