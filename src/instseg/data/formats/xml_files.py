"""XML of labelling tools, read without document types: they may declare entities that grow or read other files."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from instseg.core.errors import InstsegError


class _TreeBuilder(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Refuse document types."""
        raise InstsegError(f"a document type ({name}) is not allowed in labels")


def parse_xml(path: Path, max_bytes: int) -> ElementTree.Element:
    """Parse an XML file.

    Args:
        path: the file.
        max_bytes: the largest size that is read.

    Raises:
        InstsegError: it is no XML, has a document type, or is larger.
    """
    try:
        if (num_bytes := path.stat().st_size) > max_bytes:
            raise InstsegError(f"{num_bytes / 1e6:.0f} MB, at most {max_bytes / 1e6:.0f} are read")
        return parse_xml_text(path.read_bytes())
    except InstsegError as error:
        raise InstsegError(f"{path}: {error}") from error
    except OSError as error:
        raise InstsegError(f"{path}: not an xml file: {error}") from error


def parse_xml_text(content: str | bytes) -> ElementTree.Element:
    """Parse XML.

    Args:
        content: the text.

    Raises:
        InstsegError: it is no XML, or has a document type.
    """
    parser = ElementTree.XMLParser(target=_TreeBuilder())
    try:
        parser.feed(content)
        root: ElementTree.Element = parser.close()
    except (ElementTree.ParseError, ValueError, LookupError, AssertionError) as error:
        raise InstsegError(f"not an xml file: {error or type(error).__name__}") from error
    return root
