"""LabelMe: one json an image, that opens with it, to be corrected and trained on.

An image on which nothing was found gets a json without shapes: it was looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from instseg.core.files import write_json
from instseg.prediction.writers.predicted_image import LoadedImage
from instseg.prediction.writers.writer import Writer

LABELME_VERSION = "5.5.0"
"""The version of LabelMe whose files these are; it says so for every other major version that opens them."""


class LabelMe(Writer):
    """Polygons, because LabelMe's own bitmaps have no points to drag; a hole is joined to what is around it by a seam.

    Parts of one instance share a ``group_id``. The score stands in the ``description``, where it is seen beside the
    shape, and as a number in ``score``; the model in ``instseg``. LabelMe keeps both keys when it saves.
    """

    writes = "labelme"

    def add(self, image: LoadedImage) -> None:
        path = self.path / f"{image.stem}.json"
        height, width = image.prediction.image_size
        content = {
            "version": LABELME_VERSION,
            "flags": {},
            "shapes": list(self._shapes(image)),
            "imagePath": self._image_path(image),
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
            "instseg": dict(self.run.identity),
        }
        write_json(path, content, indent=2)

    def _image_path(self, image: LoadedImage) -> str:
        """Return the path from the json to the image, as LabelMe wants it; absolute where they lie on two drives."""
        file = self.run.image_folder / image.file
        try:
            path = os.path.relpath(file, (self.path / image.stem).parent)
        except ValueError:
            path = str(file)
        return path.replace(os.sep, "/")

    def _shapes(self, image: LoadedImage) -> Iterator[dict[str, object]]:
        found = image.prediction
        for number, polygons in enumerate(image.polygons, start=1):
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
