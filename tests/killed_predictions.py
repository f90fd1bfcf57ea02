"""Predictions in a process of their own, which is killed in their middle."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from colour_finder import FindsColours
from command_server import start_server
from export_factories import all_writers
from rich.console import Console

from instseg.data.transforms.resize import Resize
from instseg.prediction.output import OutputOptions, write_predictions
from instseg.prediction.predictor import Predictor
from instseg.prediction.torch_network import TorchNetwork

_forks = multiprocessing.get_context("forkserver")


def killed_after(num_images: int, photos: Path, output: Path) -> int:
    """Predict until so many images have gone to the writers; return the exit code, negative for a signal."""
    start_server()
    child = _forks.Process(target=_predict, args=(num_images, photos, output))
    child.start()
    child.join()
    assert child.exitcode is not None
    return child.exitcode


def _predict(num_images: int, photos: Path, output: Path) -> None:
    predictor = Predictor(TorchNetwork(FindsColours(), "cpu"), Resize(96, 128))
    whole = predictor.predict_files

    def killed(paths: list[Path], batch_size: int) -> Iterator[object]:
        for number, predicted in enumerate(whole(paths, batch_size)):
            if number == num_images:
                os.kill(os.getpid(), signal.SIGKILL)
            yield predicted

    predictor.predict_files = killed
    write_predictions(predictor, photos, output, all_writers(), OutputOptions(), console=Console(quiet=True))
