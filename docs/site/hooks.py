"""Hooks of the site: links into the repository become addresses, and the map of the rooms stands in its page."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = "https://github.com/instseg/instseg/blob/main/"
DOCS = Path(__file__).parents[1]


def on_page_markdown(markdown: str, **_: object) -> str:
    """Return the text of a page as the site shows it.

    Args:
        markdown: as it stands in the file, where links are good on GitHub and in an editor.
    """
    linked = re.sub(r"\]\(\.\./", f"]({REPOSITORY}", markdown)
    return re.sub(r"!\[[^\]]*\]\((\w+\.svg)\)", _inline, linked)


def _inline(match: re.Match[str]) -> str:
    """Put a drawing into the page, where it follows the page's colours."""
    return f"<div>\n{(DOCS / match[1]).read_text(encoding='utf-8')}</div>"
