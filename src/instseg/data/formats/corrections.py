"""Proposed corrections in the format of the labels, or in COCO's where labels of a format cannot be corrected."""

from __future__ import annotations

from pathlib import Path

from instseg.core.files import read_json, write_json
from instseg.core.types import CocoDict
from instseg.data.formats.auto import AutoReader
from instseg.data.formats.coco import corrections as coco
from instseg.data.formats.coco.reader import CocoReader
from instseg.data.formats.labelme import corrections as labelme
from instseg.data.formats.labelme.reader import LabelmeReader
from instseg.data.formats.labelstudio import corrections as labelstudio
from instseg.data.formats.labelstudio.reader import LabelStudioReader
from instseg.data.formats.yolo import corrections as yolo
from instseg.data.formats.yolo.reader import YoloReader
from instseg.data.reading.corrections import Corrections, Proposed
from instseg.data.reading.readers import LabelReader


def propose(reader: LabelReader, corrections: Corrections, folder: Path) -> Proposed | None:
    """Write corrected copies of label files; nothing is changed in place.

    Args:
        reader: of the labels.
        corrections: of its images.
        folder: where the copies are written, at their paths below the root.

    Returns:
        The copies; None where labels of the format cannot be corrected.
    """
    own = reader.chosen() if isinstance(reader, AutoReader) else reader
    if isinstance(own, CocoReader):
        return coco.propose(own, corrections, folder)
    if isinstance(own, LabelmeReader):
        return labelme.propose(own, corrections, folder)
    if isinstance(own, LabelStudioReader):
        return labelstudio.propose(own, corrections, folder)
    if isinstance(own, YoloReader):
        return yolo.propose(own, corrections, folder)
    return None


def propose_as_coco(prepared: list[Path], corrections: Corrections, folder: Path) -> Proposed:
    """Write corrected copies of prepared labels, which ``dataset=coco`` reads whatever tool they came from.

    Args:
        prepared: COCO json of the cache, with the folder of the images in ``info.image_root``.
        corrections: of their images.
        folder: where the copies are written.
    """
    proposed = Proposed()
    for path in prepared:
        content: CocoDict = read_json(path)
        root = str((content.get("info") or {}).get("image_root"))
        images = {image["id"]: (Path(root) / image["file_name"]).resolve() for image in content["images"]}
        wanted = {image_id: corrections[file] for image_id, file in images.items() if file in corrections}
        proposed.num_placed += coco.correct(content, wanted)
        content["info"] = {**(content.get("info") or {}), "image_folder": root}
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"instances_{path.stem}.json", content)
        proposed.files.append(folder / f"instances_{path.stem}.json")
    return proposed
