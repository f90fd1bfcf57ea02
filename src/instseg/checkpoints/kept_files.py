"""The checkpoints that a resumed training may delete: their paths stand in the checkpoint that it resumes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from instseg.checkpoints.description import REMEDY
from instseg.core.records import RecordError, convert_plain


class _State(msgspec.Struct, frozen=True):
    """The part of the state of Lightning's ModelCheckpoint that it restores."""

    best_model_path: str
    best_model_score: Tensor | None
    dirpath: str | None = None
    kth_best_model_path: str = ""
    kth_value: Tensor | None = None
    best_k_models: dict[str, Tensor] = {}
    last_model_path: str = ""

    @property
    def files(self) -> set[str]:
        """Paths of all checkpoints that it may delete."""
        return {self.best_model_path, self.kth_best_model_path, self.last_model_path, *self.best_k_models} - {""}


def check_kept_files(callbacks: Iterable[Callback], states: Mapping[str, object], path: Path) -> None:
    """Check the paths that each ModelCheckpoint restores: Lightning deletes what they name, a whole folder as well.

    Args:
        callbacks: of the resumed training.
        states: Lightning's key of a callback to its state.
        path: file that the states were read from, for messages.

    Raises:
        RecordError: a path lies outside of the folder that the callback writes to, or a state is damaged.
    """
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.state_key in states:
            where = f"{path}, entry callbacks, ModelCheckpoint"
            state = convert_plain(states[callback.state_key], _State, where, REMEDY)
            for name in sorted(state.files):
                if not _is_inside(name, callback.dirpath):
                    raise RecordError(f"{where}: expected a checkpoint in {callback.dirpath}, found {name!r}; {REMEDY}")


def _is_inside(name: str, folder: object) -> bool:
    """Tell whether a file lies directly in a folder, by its name; it may itself be a link, which is deleted alone."""
    path = Path(name)
    is_named = path.suffix == ".ckpt" and "\0" not in name
    return is_named and isinstance(folder, str | Path) and path.parent.resolve() == Path(folder).resolve()
