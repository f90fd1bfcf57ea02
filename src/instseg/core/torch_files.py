"""Reading of files that hold tensors: on the CPU, and without pickled code."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import torch
from safetensors.torch import load_file

from instseg.core.file_kinds import foreign_kind, is_safetensors

NAMED_CODE = re.compile(r"GLOBAL (\S+)")
WANTED = "tensors, as torch.save or safetensors write them"


class TorchFileError(Exception):
    """The reason for which a file cannot be read: it is damaged."""


class ForeignFileError(TorchFileError):
    """The same of a file that is whole: another program's, or one that would run code."""


def load_torch_file(path: Path, mmap: bool = False) -> object:
    """Read tensors and plain containers, as ``torch.save`` or safetensors wrote them.

    Args:
        path: the file.
        mmap: leave tensors on the disk until they are used.

    Raises:
        ForeignFileError: the file is something else, or holds anything else.
        TorchFileError: the file is damaged.
    """
    if not path.stat().st_size:
        raise TorchFileError("it is empty")
    kind = foreign_kind(path)
    if kind is not None:
        raise ForeignFileError(f"expected {WANTED}, found {kind}")
    try:
        if is_safetensors(path):
            return load_file(path)
        content: object = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # a damaged pickle causes errors of any kind
        raise _explained(error) from error
    return content


def _explained(error: Exception) -> TorchFileError:
    """Return the error in one line; torch's own text advises to run the code of the file."""
    text = str(error)
    code = NAMED_CODE.search(text)
    if code is not None:
        return ForeignFileError(
            f"refused, as it holds code, {code[1]}, which is never run: save the tensors alone where it was trained, "
            "with torch.save(model.state_dict(), 'weights.pth')"
        )
    if isinstance(error, pickle.UnpicklingError) and "Unsupported operand" in text:
        return ForeignFileError(f"expected {WANTED}, found a pickle of other things, which is never run")
    if "weights_only" in text:
        return TorchFileError(f"expected {WANTED}, found none of them")
    return TorchFileError(next(iter(text.strip().splitlines()), type(error).__name__).split(". ")[0])
