"""Style and script of all pages: light and dark colours, tables, and commands with a button that copies them."""

from __future__ import annotations

from importlib.resources import files


def base_style() -> str:
    """Return the CSS that all pages begin with."""
    return _text("base.css")


def copy_script() -> str:
    """Return the JavaScript of the buttons beside commands."""
    return _text("copy.js")


def _text(name: str) -> str:
    return files("instseg.visualization.page").joinpath(name).read_text(encoding="utf-8")
