"""Links between the audit of the data and the reports on it, by paths that hold where all outputs are moved."""

from __future__ import annotations

from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.files import absolute_path
from instseg.runs.manifest import newest_start
from instseg.visualization.page.links import Link, add_link, link_to

AUDIT, REPORT = "audit.html", "report.html"
MAX_LINKS = 8
"""Reports that an audit names, the newest."""


def links_to(name: str, outputs: str, fingerprint: str, folder: Path) -> list[Link]:
    """Return the links to the newest pages on the same data: to one audit, or to some reports.

    Args:
        name: AUDIT or REPORT.
        outputs: the folder of all runs.
        fingerprint: of the data.
        folder: of the page with the links.
    """
    return [link_to(page, folder, _text(page)) for page in _pages(name, outputs, fingerprint)]


def link_back(name: str, outputs: str, fingerprint: str, page: Path) -> None:
    """Add a link to a page that is new to those that it links to.

    Args:
        name: of those, AUDIT or REPORT.
        outputs: the folder of all runs.
        fingerprint: of the data.
        page: the new one.
    """
    for other in _pages(name, outputs, fingerprint):
        add_link(other, link_to(page, other.parent, _text(page)))


def _text(page: Path) -> str:
    if page.name == AUDIT:
        return f"Audit of these labels ({page.parent.name})"
    return f"Report of {page.parent.parent.name} · {page.parent.name}"


def _pages(name: str, outputs: str, fingerprint: str) -> list[Path]:
    wanted = 1 if name == AUDIT else MAX_LINKS
    newest = sorted(absolute_path(outputs).glob(f"*/*/{name}"), key=lambda page: page.stat().st_mtime, reverse=True)
    found: list[Path] = []
    for page in newest:
        if len(found) < wanted and _fingerprint(page.parent) == fingerprint:
            found.append(page)
    return found


def _fingerprint(run: Path) -> str | None:
    """Return the fingerprint of the data of a run; None where its manifest cannot be read."""
    try:
        return newest_start(run).data_fingerprint
    except InstsegError:
        return None
