"""CVAT: ``annotations.xml`` of the format "CVAT for images 1.1", to be uploaded into a task with the same images.

Source: https://docs.cvat.ai/docs/manual/advanced/xml_format/
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np

from instseg.core.atomic import write_text_atomically
from instseg.core.channels import xml_text
from instseg.core.masks import rle_to_crop
from instseg.core.types import Rle
from instseg.prediction.writers.predicted_image import PredictedImage
from instseg.prediction.writers.writer import Writer
from instseg.visualization.colours import category_colour

HEADER = '<?xml version="1.0" encoding="utf-8"?>\n'


class Cvat(Writer):
    """Writer of masks, which CVAT edits with a brush: an instance stays one object, with its holes and all its parts.

    A task that has labels of these names takes them with Actions, Upload annotations, CVAT 1.1. The score of an
    instance is an attribute, which CVAT shows where the label has one named ``score``.
    """

    writes = "cvat"

    def finish(self, images: Sequence[PredictedImage]) -> None:
        """Write the file."""
        root = Element("annotations")
        SubElement(root, "version").text = "1.1"
        self._add_labels(SubElement(SubElement(SubElement(root, "meta"), "task"), "labels"))
        for number, image in enumerate(images):
            self._add_image(root, number, image)
        indent(root)
        write_text_atomically(self.path / "annotations.xml", HEADER + tostring(root, encoding="unicode") + "\n")

    def _add_labels(self, labels: Element) -> None:
        for number, name in enumerate(self.run.categories.names, start=1):
            label = SubElement(labels, "label")
            SubElement(label, "name").text = xml_text(name)
            SubElement(label, "color").text = "#{:02x}{:02x}{:02x}".format(*category_colour(number))
            SubElement(label, "type").text = "mask"
            attribute = SubElement(SubElement(label, "attributes"), "attribute")
            for key, text in (("name", "score"), ("mutable", "False"), ("input_type", "text"), ("default_value", "")):
                SubElement(attribute, key).text = text
            SubElement(attribute, "values")

    def _add_image(self, root: Element, number: int, image: PredictedImage) -> None:
        found = image.prediction
        height, width = map(str, found.image_size)
        element = SubElement(root, "image", id=str(number), name=xml_text(image.file), width=width, height=height)
        for order in range(len(found) - 1, -1, -1):  # the best score last, which CVAT draws on top
            label = xml_text(self.run.categories.name(int(found.labels[order])))
            common = {"label": label, "source": "auto", "occluded": "0", "z_order": "0"}
            mask = SubElement(element, "mask", common | _mask_attributes(found.rles[order]))
            SubElement(mask, "attribute", name="score").text = f"{found.scores[order]:.6f}"


def _mask_attributes(rle: Rle) -> dict[str, str]:
    """Return a mask as CVAT has it: its box, and the lengths of its runs along the rows, outside first."""
    crop, (left, top) = rle_to_crop(rle)
    inside = crop.reshape(-1)
    ends = np.append(np.flatnonzero(np.diff(inside, prepend=np.uint8(0))), inside.size)
    runs = np.diff(ends, prepend=0)
    box = {"left": left, "top": top, "width": crop.shape[1], "height": crop.shape[0]}
    return {"rle": ", ".join(map(str, runs)), **{key: str(value) for key, value in box.items()}}
