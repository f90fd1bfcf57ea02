"""Yaml files of a run, which Hydra wrote, read as strictly as the json of ``records``."""

from __future__ import annotations

from pathlib import Path

import yaml

from instseg.core.records import Plain, RecordError, convert_plain, read_bytes

NOT_YAML = (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""Errors of PyYAML for damaged text: of its tags, such as ``!!int`` before a word, errors that are not its own."""
MAX_BYTES = 2**20
"""More than any of them has. PyYAML reads a megabyte in some seconds."""


def read_plain_yaml(path: Path, kind: type[Plain], remedy: str) -> Plain:
    """Read a yaml file, as ``records.read_plain`` reads json.

    Args:
        path: the file.
        kind: its type, such as ``list[str]``.
        remedy: what the user can do where the file is of no use, as the end of the message.

    Raises:
        RecordError: the file is missing or damaged.
    """
    try:
        content: object = yaml.load(read_bytes(path, remedy, MAX_BYTES), _NoAliases)
    except NOT_YAML as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RecordError(f"{path}: expected yaml, found a damaged file ({reason}); {remedy}") from error
    return convert_plain(content, kind, str(path), remedy)


class _NoAliases(yaml.SafeLoader):
    """SafeLoader that refuses aliases, with which a few lines stand for a circle or for more than memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias, which nothing of ours writes")
        return super().compose_node(parent, index)
