"""The labelling setup of a project in Label Studio: which of its labels stands for which category."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.text import list_names
from instseg.data.formats.xml_files import parse_xml_text
from instseg.prediction.writers.labelstudio_regions import Control

Shape = Literal["polygon", "brush"]
SHAPES: Mapping[str, Shape] = {"PolygonLabels": "polygon", "BrushLabels": "brush"}
"""Tag -> the shape of its regions; where a label is in both, polygons are made, which are easier to correct."""


@dataclass(frozen=True, slots=True)
class Target:
    """The label that instances of a category get."""

    control: Control
    shape: Shape
    label: str


@dataclass(frozen=True, slots=True)
class LabellingSetup:
    """The labels and the image that a project asks for."""

    image_key: str
    """The key of the image in the data of a task."""
    targets: Mapping[str, Target]
    """Category of the model -> its label; those without one are left out."""

    def missing(self, categories: Categories) -> list[str]:
        """Return the categories that have no label in the project."""
        return [name for name in categories.names if name not in self.targets]


def read_setup(label_config: str, categories: Categories) -> LabellingSetup:
    """Read a labelling setup.

    A label stands for the category of its name, in any case, or for those that its attribute ``predicted_values`` lists
    with commas, as of other ML backends.

    Args:
        label_config: its XML.
        categories: of the model.

    Raises:
        InstsegError: it is no such XML, or has no label for any category.
    """
    try:
        root = parse_xml_text(label_config)
    except InstsegError as error:
        raise InstsegError(f"the labelling setup is {error}") from error
    controls = sorted((tag for tag in root.iter() if tag.tag in SHAPES), key=lambda tag: [*SHAPES].index(tag.tag))
    named = {name.casefold(): name for name in categories.names}
    for image in root.iter("Image"):
        of_image = [tag for tag in controls if image.get("name") and tag.get("toName") == image.get("name")]
        targets = dict(reversed([*_targets(of_image, named)]))  # of several labels the first one counts
        if targets:
            key = image.get("value", "")
            if not key.startswith("$"):
                raise InstsegError(f"the labelling setup has an Image of value={key!r}: expected one such as $image")
            return LabellingSetup(key[1:], {name: targets[name] for name in categories.names if name in targets})
    raise InstsegError(
        f"no label for {list_names(categories.names)}: the labelling setup has {list_names(_names(controls))} in "
        "PolygonLabels and BrushLabels; rename them, or say which category a label stands for: predicted_values"
    )


def _targets(controls: Sequence[ElementTree.Element], named: Mapping[str, str]) -> Iterator[tuple[str, Target]]:
    for tag in controls:
        control = Control(tag.get("name", ""), tag.get("toName", ""))
        for label in tag.iter("Label"):
            value = label.get("value", "")
            listed = label.get("predicted_values", "")
            for name in listed.split(",") if listed.strip() else (value, label.get("alias", "")):
                if category := named.get(name.strip().casefold()):
                    yield category, Target(control, SHAPES[tag.tag], label.get("alias") or value)


def _names(controls: Sequence[ElementTree.Element]) -> list[str]:
    return list(dict.fromkeys(label.get("value", "") for tag in controls for label in tag.iter("Label")))
