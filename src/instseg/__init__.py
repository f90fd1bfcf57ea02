"""Training of Mask R-CNN instance segmentation on your own images, composed with Hydra.

    >>> import instseg
    >>> run = instseg.train("dataset=auto", "dataset.root=my_folder")
    >>> result = instseg.load("latest").predict("image.jpg")

Importing the package loads nothing else; the first name that is used brings PyTorch.
"""

from typing import TYPE_CHECKING

from instseg.core.errors import InstsegError

if TYPE_CHECKING:
    from instseg.api import Model, Result, Results, Run, audit, evaluate, load, train

__version__ = "0.1.0"

__all__ = ["InstsegError", "Model", "Result", "Results", "Run", "audit", "evaluate", "load", "train"]


def __getattr__(name: str) -> object:
    """Import what is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from instseg import api

    value: object = getattr(api, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
