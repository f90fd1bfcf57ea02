"""Checks that the files and folders that a config names are there, before anything slow is imported or made."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from instseg.app.check_choices import FOLDER_OF_LABELS
from instseg.app.config import ModelConfig, NextConfig, Node, PredictConfig, RunConfig
from instseg.core.errors import InstsegError
from instseg.core.files import absolute_path
from instseg.data.fetch.local_path import corrected_places, is_zip, local_path
from instseg.data.reading.folders import check_folder
from instseg.data.reading.image_files import IMAGE_EXTENSIONS, check_source
from instseg.models.mask_rcnn_options import BUILDER
from instseg.models.weight_names import OF_PREDICTION, OF_TRAINING, check_weights
from instseg.prediction.exported import exported_file
from instseg.prediction.sources import is_url
from instseg.prediction.video.source import check_video, names_video
from instseg.runs.folders import find_checkpoint

READER = re.compile(r"instseg\.data\.formats\.(\w+)\.reader\.\w+")
READ_ONE_FILE = ("coco", "cvat", "imagefolder", "labelstudio", "via", "yolo")
"""Formats whose labels may be one file, and not only a folder."""
ANY_FORMAT = "instseg.data.formats.auto.AutoReader"


def check_run_places(config: RunConfig) -> None:
    """Check the data, the weights and the folders of ``train.py``.

    Raises:
        InstsegError: one of them is not there, or cannot be written to.
    """
    _check_folder("outputs", config.outputs)
    _check_folder("cache_dir", config.cache_dir)
    if config.stage == "fit" and not config.resume:
        _check_weights(config.model)
    root = config.dataset.get("root")
    if config.dataset.get("_target_") == FOLDER_OF_LABELS and isinstance(root, str):
        _check_labels(root, config.dataset)
        corrected_places(config.dataset.get("corrected"))


def check_predict_places(config: PredictConfig) -> None:
    """Check the images, the model and the folders of ``predict.py``.

    Raises:
        InstsegError: one of them is not there, or cannot be written to.
    """
    if names_video(config.source, config.video):
        _refuse_of_images(config)
        check_video(config.source, config.fps)
    else:
        _check_images(config.source)
    _check_folder("output", config.output)
    check_model_place(config)


def _refuse_of_images(config: PredictConfig) -> None:
    """Refuse what images have and a video has not."""
    if config.page != 0:
        raise InstsegError(f"page={config.page}: expected an image, found the video {config.source[0]}")
    for entry in config.source:
        if is_url(entry):
            raise InstsegError(f"source={entry}: images are downloaded, videos are not; download it first")


def _check_images(source: Sequence[str]) -> None:
    """Check images; a video that is meant is named otherwise."""
    files = [entry for entry in source if not is_url(entry)]
    try:
        if files or not source:
            check_source(files)
    except InstsegError as error:
        if len(source) == 1 and source[0].isdigit():
            raise InstsegError(f"{error}. A camera is source=camera:{source[0]}") from error
        raise


def check_model_place(config: ModelConfig) -> None:
    """Check that the model that a config names is there.

    Raises:
        InstsegError: it is not, or finds nothing yet.
    """
    if config.checkpoint and exported_file(config.checkpoint) is None:
        find_checkpoint(config.checkpoint, absolute_path(config.outputs))
    if config.weights in ("imagenet", "none"):
        raise InstsegError(
            f"weights={config.weights}: such a network finds nothing yet; use weights=coco, or checkpoint= for a model "
            "of your own"
        )
    if config.weights == "latest" or (config.weights and absolute_path(config.weights).is_dir()):
        raise InstsegError(f"weights={config.weights}: a model of your own is checkpoint={config.weights}")
    if config.weights:
        _check_weights({**config.model, "weights": config.weights}, OF_PREDICTION)


def check_next_places(config: NextConfig) -> None:
    """Check the images, the model and the folders of ``instseg next``.

    Raises:
        InstsegError: one of them is not there, or cannot be written to.
    """
    if names_video(config.source, config.video):
        raise InstsegError(f"source={config.source[0]}: expected images; extract the frames of a video first")
    check_predict_places(config)
    if config.labelled is not None:
        check_source(config.labelled)


def _check_labels(root: str, dataset: Node) -> None:
    """Check that a root here is no image or empty folder, and with ``dataset=auto`` has labels of a format."""
    path, reader = local_path(root), dataset.get("reader")
    if path is None or is_zip(path.name):
        return
    if path.suffix.lower() in IMAGE_EXTENSIONS and path.is_file():
        folder = shlex.quote(f"dataset.root={path.parent}")
        raise InstsegError(f"dataset.root={root} is an image: name the folder of its labels, such as {folder}")
    target = str(reader.get("_target_")) if isinstance(reader, Mapping) else ""
    if (ours := READER.fullmatch(target)) and not (ours[1] in READ_ONE_FILE and path.is_file()):
        check_folder(path)
    if target == ANY_FORMAT:
        from instseg.data.formats.auto import recognise_format  # all readers are imported here

        recognise_format(path)


def _check_weights(model: Node, key: str = OF_TRAINING) -> None:
    """Check the weights of a network of ours; what another one takes for weights is its own affair."""
    weights, backbone, variant = (model.get(key) for key in ("weights", "backbone", "variant"))
    if model.get("_target_") != BUILDER or not isinstance(backbone, str) or weights in (None, "none"):
        return
    check_weights(str(weights), backbone, str(variant), key)


def _check_folder(key: str, name: str) -> None:
    """Raise InstsegError where a folder can neither be written to nor be made. Nothing is left behind."""
    if not name:
        raise InstsegError(f"{key}= is empty: expected a folder, such as {key}=my_folder")
    folder = absolute_path(name)
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not there.is_dir():
        raise InstsegError(f"{key}={name}: expected a folder, found the file {there}")
    if not _is_writable(there):
        raise InstsegError(f"{key}={name}: cannot be written to: {there} allows no new files. Choose another folder")


def _is_writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
