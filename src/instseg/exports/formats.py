"""The formats by their names in ``save=[…]``."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from instseg.core.errors import InstsegError
from instseg.exports.instance_pictures import InstancePictures
from instseg.exports.labelme import LabelMe
from instseg.exports.labelstudio import LabelStudio
from instseg.exports.mask_pictures import BinaryMasks, ColouredMasks, Masks
from instseg.exports.overlays import Overlays
from instseg.exports.photo import Export
from instseg.exports.tables import CocoJson, Csv
from instseg.exports.yolo import Yolo

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
