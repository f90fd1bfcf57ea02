"""Formats that are not read, recognised by name, each with the export to choose instead."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from instseg.core.files import read_head
from instseg.data.reading.folders import sample_files

NUM_PROBED = 3
LABELS = (".json", ".jsonl", ".ndjson", ".xml", ".csv", ".txt", ".manifest", ".yaml")


COCO = "export it as COCO instance segmentation"
MASKS = "dataset=mask_folder dataset.divisor=1000"
FOREIGN = (
    ("Cityscapes", r"gtFine/.*_gtFine_(polygons\.json|instanceIds\.png)$", (),
     "convert it to COCO with cityscapesscripts, or copy the *_instanceIds.png into masks/ named as the images: "
     f"{MASKS} 'dataset.names={{24: person, 26: car}}' reads them"),
    ("KITTI MOTS", r"(^|/)instances(_txt)?/\d{4}(/\d{6}\.png|\.txt)$", (),
     f"{MASKS} 'dataset.names={{1: car, 2: pedestrian}}' dataset.image_folder=training/image_02 "
     "'dataset.pattern=\"instances/(?P<stem>.*)\\.png\"' reads its masks"),
    ("Mapillary Vistas", r"(^|/)v\d\.\d/(instances|polygons)/", (), "convert its polygons to COCO"),
    ("SA-1B", r"\.json$", (r'"image"\s*:\s*\{', r'"(predicted_iou|stability_score)"'),
     "its masks have no categories; join the json to one COCO json with a category of your own"),
    ("FiftyOne's own format", r"samples\.json$", (r'"samples"\s*:',),
     "export it as fiftyone.types.COCODetectionDataset"),
    ("SuperAnnotate", r"\.json$", (r'"metadata"\s*:', r'"instances"\s*:\s*\['), "export or convert it to COCO"),
    ("LabelMe's web tool (XML)", r"\.xml$", (r"<annotation>", r"<polygon>\s*(<username>[^<]*</username>)?\s*<pt>"),
     "export it as COCO, in CVAT as 'COCO 1.0' or 'CVAT for images 1.1'"),
    ("CVAT for video", r"\.xml$", (r"<annotations>", r"<track "), "export it as 'CVAT for images 1.1' or 'COCO 1.0'"),
    ("Labelbox", r"\.(nd)?json$", (r'"data_row"|"DataRow ID"|"Labeled Data"',),
     "convert it with Labelbox's COCO converter"),
    ("Scale AI", r"\.json$", (r'"task_id"', r'"response"'), COCO),
    ("Dataloop", r"\.json$", (r'"annotations"', r'"coordinates"', r'"metadata"\s*:\s*\{'), COCO),
    ("Encord", r"\.json$", (r'"label_hash"|"data_units"',), COCO),
    ("Segments.ai", r"\.json$", (r'"segmentation_bitmap"|"label_status"',), "export it as coco-instance"),
    ("Hasty", r"\.json$", (r'"label_classes"', r'"export_format_version"'), COCO),
    ("Kili", r"\.json$", (r'"jsonResponse"',), "export it as coco"),
    ("Prodigy", r"\.jsonl$", (r'"spans"', r'"_input_hash"'), "convert its polygons to COCO"),
    ("SageMaker Ground Truth", r"\.manifest$", (r'"source-ref"',), "convert the manifest to COCO"),
    ("Vertex AI", r"\.jsonl$", (r'"imageGcsUri"',), "convert it to COCO"),
    ("BDD100K", r"\.json$", (r'"labels"', r'"(poly2d|box2d)"'), "convert it with bdd100k.label.to_coco"),
    ("nuImages", r"object_ann\.json$", (), "convert it to COCO"),
    ("ADE20K", r"_(seg|parts_\d)\.png$", (), "convert its instances to COCO"),
    ("SBD", r"(^|/)(inst|cls)/.*\.mat$", (), "convert the .mat files to COCO, or to masks"),
    ("TFRecord", r"\.tfrecords?$", (), "export the dataset as COCO"),
    ("Kaggle (run lengths in a csv)", r"\.csv$", (r"EncodedPixels",), "decode them to a mask PNG for each object"),
    ("KITTI (objects)", r"(^|/)label_2/\d+\.txt$", (), "they are boxes only; convert them to COCO"),
    ("a csv with boxes", r"\.csv$", (r"xmin", r"xmax"), "convert them to COCO"),
    ("COCO results", r"\.json$", (r"^\s*\[\s*\{", r'"image_id"', r'"score"'),
     "they are predictions; join them with the images and categories of the COCO json"),
    ("COCO without instances", r"(captions|person_keypoints|stuff|image_info)_.*\.json$", (),
     "get the annotations instances_*.json"),
)  # fmt: skip
"""Name, pattern of a path from the root, patterns that the head of such a file has, and the way out; tried in turn."""


def foreign_format(root: Path) -> str | None:
    """Describe the format of a folder that is not read: its name, and the way out; None where it is not known.

    Args:
        root: a folder, or one label file.
    """
    files = sample_files(root) if root.is_dir() else [root]
    names = {file.relative_to(root).as_posix() if root.is_dir() else file.name: file for file in files}
    for format_name, pattern, keys, advice in FOREIGN:
        matching = [file for name, file in names.items() if re.search(pattern, name)]
        if any(_has_keys(file, keys) for file in _some(matching)):
            return f"its labels are of {format_name}, which dataset=auto does not read: {advice}"
    return None


def _some(files: Sequence[Path]) -> list[Path]:
    return list(files[:: max(1, len(files) // NUM_PROBED)][:NUM_PROBED])


def _has_keys(file: Path, keys: tuple[str, ...]) -> bool:
    if not keys:
        return True
    if file.suffix.lower() not in LABELS:
        return False
    head = read_head(file).decode("utf-8", "replace")
    return all(re.search(key, head, re.DOTALL) for key in keys)
