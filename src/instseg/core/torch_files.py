"""Reading of files that ``torch.save`` wrote: on the CPU, and without pickled code."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import torch

NAMED_CODE = re.compile(r"GLOBAL (\S+)")


class TorchFileError(Exception):
    """The reason for which a file cannot be read."""


def load_torch_file(path: Path, mmap: bool = False) -> object:
    """Read tensors and plain containers.

    Args:
        path: the file.
        mmap: leave tensors on the disk until they are used.

    Raises:
        TorchFileError: the file is damaged, or holds anything else.
    """
    try:
        content: object = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # a damaged pickle causes errors of any kind
        raise TorchFileError(_reason(error)) from error
    return content


def _reason(error: Exception) -> str:
    """Return one line; torch's own advises to run the code of the file."""
    if not isinstance(error, pickle.UnpicklingError):
        return next(iter(str(error).strip().splitlines()), type(error).__name__)
    code = NAMED_CODE.search(str(error))
    names = f", {code[1]}" if code else ""
    return f"expected tensors and plain values, found something else{names}, which is never run"
