"""LabelMe: one json for each image, to be corrected in LabelMe and trained on.

An image without predictions gets a json without shapes, which says that it was processed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from instseg.core.files import write_json
from instseg.core.prediction_mark import CHECKED, DIGEST, LABELME_DECIMALS, labelme_digest
from instseg.prediction.writers.predicted_image import LoadedImage
from instseg.prediction.writers.writer import Writer

LABELME_VERSION = "5.5.0"
"""Version of LabelMe whose format this is; LabelMe shows it to users of another major version."""


class LabelMe(Writer):
    """Writer of polygons, since LabelMe's bitmaps have no points to drag; a hole is joined to its border by a seam.

    Parts of one instance share a ``group_id``. The score is in the ``description``, which LabelMe shows beside the
    shape, and as a number in ``score``; the model is in ``instseg``, and the digest of the shapes beside it. LabelMe
    keeps these keys when it saves.
    """

    writes = "labelme"

    def add(self, image: LoadedImage) -> None:
        """Write the json of an image."""
        path = self.path / f"{image.stem}.json"
        height, width = image.prediction.image_size
        shapes = list(self._shapes(image))
        content = {
            "version": LABELME_VERSION,
            "flags": {CHECKED: False},
            "shapes": shapes,
            "imagePath": self._image_path(image),
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
            "instseg": dict(self.run.identity),
            DIGEST: labelme_digest(shapes),
        }
        write_json(path, content, indent=2)

    def _image_path(self, image: LoadedImage) -> str:
        """Return the path from the json to the image, as LabelMe needs it; absolute if they are on two drives."""
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
                    "points": polygon.round(LABELME_DECIMALS).tolist(),
                    "group_id": number if len(polygons) > 1 else None,
                    "description": f"score {score:.2f}",
                    "shape_type": "polygon",
                    "flags": {},
                    "score": round(score, 6),
                }
