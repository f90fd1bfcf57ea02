"""The options of a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from instseg.deploy.serving.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Options of a server."""

    batch_size: int
    """Images at once in the network."""
    limits: Limits
    key: str | None
    """That every request needs; None: none."""
    labelstudio_url: str | None
    """Of the one Label Studio whose images are fetched."""
    labelstudio_files: Path | None
    """The folder that its storage of local files serves."""
