"""The page "Add your own" shows the files of this folder, and no link of the documentation leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "add_your_own.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")])


def shown() -> dict[str, str]:
    """File, as the line above a block names it, to the text of the block."""
    blocks = re.findall(r"^`([\w/]+\.(?:py|yaml))`:\n\n```\w+\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return dict(blocks)


def test_the_page_shows_every_file_of_this_folder_as_it_is():
    files = [*(path for path in HERE.glob("*.py") if not path.name.startswith("test_")), *HERE.glob("conf/*/*.yaml")]
    assert shown() == {path.relative_to(HERE).as_posix(): path.read_text() for path in files}


def links(page: Path) -> list[str]:
    """Targets of all links and pictures of a page that are no addresses."""
    targets = re.findall(
        r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    )
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_of_a_page_leads_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or target.suffix != ".md" or anchor in anchors(target), link


def test_pages_refer_to_each_other():
    assert sum(len(links(page)) for page in PAGES) > 20
    for page in (ROOT / "README.md", ROOT / "docs/architecture.md"):
        assert any(link.endswith("add_your_own.md") for link in links(page)), page
