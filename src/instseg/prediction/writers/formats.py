"""The formats by their names in ``save=[…]``."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from instseg.core.errors import InstsegError
from instseg.prediction.writers.instance_pictures import InstancePictures
from instseg.prediction.writers.labelme import LabelMe
from instseg.prediction.writers.labelstudio import LabelStudio
from instseg.prediction.writers.mask_pictures import BinaryMasks, ColouredMasks, Masks
from instseg.prediction.writers.overlays import Overlays
from instseg.prediction.writers.predicted_image import Export
from instseg.prediction.writers.tables import CocoJson, Csv
from instseg.prediction.writers.yolo import Yolo

FORMATS: dict[str, type[Export]] = {
    "overlays": Overlays,
    "masks": Masks,
    "binary": BinaryMasks,
    "rgb": ColouredMasks,
    "instances": InstancePictures,
    "coco": CocoJson,
    "csv": Csv,
    "labelme": LabelMe,
    "labelstudio": LabelStudio,
    "yolo": Yolo,
}
DEFAULT_SAVE = ("overlays", "coco", "csv")


def check_formats(save: object) -> tuple[str, ...]:
    """The names, each once, or the one that was typed without brackets; InstsegError with what was meant otherwise."""
    names = [save] if isinstance(save, str) else save
    if not isinstance(names, Sequence) or not names:
        raise InstsegError(f"save={save}: expected one or more of {', '.join(FORMATS)}")
    for name in names:
        if name not in FORMATS:
            close = difflib.get_close_matches(str(name), FORMATS, n=2)
            meant = f" Did you mean {' or '.join(close)}?" if close else ""
            raise InstsegError(f"save: there is no format {name}.{meant} Known here: {', '.join(FORMATS)}")
    return tuple(dict.fromkeys(names))
