"""Predictions in a COCO json that nobody has changed since ``predict.py`` wrote them."""

from __future__ import annotations

from collections import defaultdict

from instseg.core.prediction_mark import coco_digest
from instseg.core.types import CocoDict
from instseg.data.reading.coco_text import whole


def mark_predictions(coco: CocoDict) -> None:
    """Mark, in place, the images whose annotations agree with the digest that ``predict.py`` gave them."""
    digests = {image["id"]: image["instseg_digest"] for image in coco["images"] if "instseg_digest" in image}
    if not digests:
        return
    names = {category["id"]: category["name"] for category in coco["categories"]}
    found: defaultdict[int, list[tuple[str, object]]] = defaultdict(list)
    for annotation in coco["annotations"]:
        if annotation["image_id"] in digests:
            name = names.get(annotation["category_id"], "")
            found[annotation["image_id"]].append((name, whole(annotation).get("segmentation")))
    for image in coco["images"]:
        if image["id"] in digests and coco_digest(found[image["id"]]) == digests[image["id"]]:
            image["is_prediction"] = True
