"""Rendering of a page by its template."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from instseg.analysis.page.content import Page
from instseg.core.atomic import write_text_atomically
from instseg.visualization.page.links import links_html
from instseg.visualization.page.parts import base_style, copy_script


def write_page(page: Page, path: Path) -> None:
    """Write a page as one HTML file, atomically.

    Args:
        page: what it shows.
        path: the file.
    """
    write_text_atomically(path, render(page))


def render(page: Page) -> str:
    """Return the HTML of a page, with style, script and pictures inside.

    Args:
        page: what it shows. Texts are escaped by the template.
    """
    loader = PackageLoader("instseg.analysis", "page")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.get_template("report.html")
    style, script = Markup(base_style() + _text("report.css")), Markup(_text("report.js") + copy_script())
    links = Markup(links_html(page.links))
    return template.render(page=page, links=links, style=style, script=script, cases=_script_json(page))


def _text(name: str) -> str:
    return files("instseg.analysis.page").joinpath(name).read_text(encoding="utf-8")


def _script_json(page: Page) -> str:
    """Return the cases as JSON that no text in it can end before its script element does."""
    text = msgspec.json.encode(page.shown).decode()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
