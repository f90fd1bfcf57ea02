"""LabelMe: one json a photo, that opens with it, to be corrected and trained on.

A photo on which nothing was found gets a json without shapes: it was looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from instseg.core.files import write_json
from instseg.prediction.writers.predicted_image import Export, Picture

LABELME_VERSION = "5.5.0"
"""The version of LabelMe whose files these are; it says so for every other major version that opens them."""


class LabelMe(Export):
    """Polygons, because LabelMe's own bitmaps have no points to drag; holes are joined to their outline by a seam.

    Parts of one instance share a ``group_id``. The score stands in the ``description``, where it is seen beside the
    shape, and as a number in ``score``; the model in ``instseg``. LabelMe keeps both keys when it saves.
    """

    writes = "labelme"

    def add(self, picture: Picture) -> None:
        path = self.folder / f"{picture.photo.stem}.json"
        height, width = picture.prediction.image_size
        content = {
            "version": LABELME_VERSION,
            "flags": {},
            "shapes": list(self._shapes(picture)),
            "imagePath": self._image_path(picture),
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
            "instseg": dict(self.run.identity),
        }
        write_json(path, content, indent=2)

    def _image_path(self, picture: Picture) -> str:
        """From the json to the photo, as LabelMe wants it; absolute where they lie on two drives."""
        photo = self.run.image_folder / picture.photo.file
        try:
            path = os.path.relpath(photo, (self.folder / picture.photo.stem).parent)
        except ValueError:
            path = str(photo)
        return path.replace(os.sep, "/")

    def _shapes(self, picture: Picture) -> Iterator[dict[str, Any]]:
        found = picture.prediction
        for number, polygons in enumerate(picture.polygons, start=1):
            score = float(found.scores[number - 1])
            for polygon in polygons:
                yield {
                    "label": self.run.categories.name(int(found.labels[number - 1])),
                    "points": polygon.round(2).tolist(),
                    "group_id": number if len(polygons) > 1 else None,
                    "description": f"score {score:.2f}",
                    "shape_type": "polygon",
                    "flags": {},
                    "score": round(score, 6),
                }
