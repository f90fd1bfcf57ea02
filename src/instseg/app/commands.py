"""The commands on a composed config: what can be checked at once is, then the work begins.

Imports neither torch nor Lightning before that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from omegaconf import DictConfig

from instseg.app.check_config import (
    checked_next_config,
    checked_predict_config,
    checked_run_config,
    checked_serve_config,
)
from instseg.app.check_places import check_model_place, check_next_places, check_predict_places, check_run_places
from instseg.app.friendly_errors import friendly_errors


def train(config: DictConfig) -> float | None:
    """Run the stage of a composed config; the monitored metric, for sweeps."""
    with friendly_errors("train"):
        check_run_places(checked_run_config(config))
        with saying_that_it_loads():
            from instseg.app.run import run  # torch is imported here

        return run(config)


def predict(config: DictConfig) -> None:
    """Find objects in images, and end the process with the exit code of that."""
    with friendly_errors("predict"):
        check_predict_places(checked_predict_config(config))
        with saying_that_it_loads():
            from instseg.app.predict import predict  # torch is imported here

        sys.exit(predict(config))


def next_images(config: DictConfig) -> None:
    """Choose images to label next, and end the process with the exit code of that."""
    with friendly_errors("next"):
        check_next_places(checked_next_config(config))
        with saying_that_it_loads():
            from instseg.app.next_images import next_images  # torch is imported here

        sys.exit(next_images(config))


def serve(config: DictConfig) -> None:
    """Serve a model until Ctrl-C."""
    with friendly_errors("serve"):
        check_model_place(checked_serve_config(config))
        with saying_that_it_loads():
            from instseg.app.serve import serve  # torch is imported here, unless the model was exported

        serve(config)


@contextmanager
def saying_that_it_loads() -> Iterator[None]:
    """Say on a terminal, while it lasts, that libraries are loaded: it takes seconds."""
    if not sys.stderr.isatty():
        yield
        return
    print("loading …", end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


COMMANDS: dict[str, Callable[[DictConfig], object]] = {
    "train": train,
    "predict": predict,
    "next": next_images,
    "serve": serve,
}
