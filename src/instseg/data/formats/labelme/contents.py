"""A LabelMe json as a whole: its encoding, its size, whether a prediction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeGuard

from instseg.core.decoding import CHINESE, EncodingDoubt
from instseg.core.files import read_json
from instseg.core.prediction_mark import CHECKED, DIGEST, labelme_digest
from instseg.core.types import ImageSize

IMAGE_KEYS = {"imagePath", "imageData", "imageHeight"}


def is_labelme(content: object) -> TypeGuard[dict[str, object]]:
    """Tell whether the content of a json is LabelMe's."""
    return isinstance(content, dict) and "shapes" in content and bool(IMAGE_KEYS & content.keys())


def read_by_labels(path: Path, labels: Collection[str]) -> tuple[object, list[EncodingDoubt]]:
    """Read a json that is text in UTF-8 and in Chinese in the encoding of known labels, else in UTF-8.

    Args:
        path: the file.
        labels: those of other files of the same dataset.

    Returns:
        Its content, and what remains in doubt about its encoding.

    Raises:
        InstsegError: the file is no json.
    """
    doubts: list[EncodingDoubt] = []
    content, chinese = read_json(path, doubts.append), read_json(path, encoding=CHINESE)
    if _labels(chinese) <= set(labels) and not _labels(content) <= set(labels):
        return chinese, [EncodingDoubt(f"{CHINESE}, by the labels of other files")]
    return content, doubts


def _labels(content: object) -> set[str]:
    shapes = content.get("shapes") if isinstance(content, dict) else None
    listed = shapes if isinstance(shapes, list) else []
    return {str(shape.get("label")) for shape in listed if isinstance(shape, dict)}


def declared_size(content: Mapping[str, object]) -> ImageSize | None:
    """Return the height and width that a json says its image has, in pixels; None where it says neither."""
    height, width = content.get("imageHeight"), content.get("imageWidth")
    if type(height) is int and type(width) is int and height > 0 and width > 0:
        return height, width
    return None


def is_prediction(content: Mapping[str, object]) -> bool:
    """Tell whether the shapes of a json are still those that were predicted, and nobody has ticked them as checked."""
    shapes, flags = content["shapes"], content.get("flags")
    is_checked = isinstance(flags, Mapping) and flags.get(CHECKED) is True
    return not is_checked and isinstance(shapes, list) and content.get(DIGEST) == labelme_digest(shapes)
