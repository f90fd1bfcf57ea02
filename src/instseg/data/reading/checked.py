"""Labels of any reader, checked before images and categories are selected from them."""

from __future__ import annotations

from collections.abc import Mapping

from instseg.core.types import CocoDict
from instseg.data.reading.crowds import with_crowd_flags
from instseg.data.reading.findings import Findings
from instseg.data.reading.label_rules import LabelRules
from instseg.data.reading.labels import Labels, without_dangling
from instseg.data.reading.outside import without_outside
from instseg.data.reading.readers import LabelReader, places_of
from instseg.data.reading.repeated import with_each_image_once


def read_labels(
    reader: LabelReader, findings: Mapping[str, Findings], rules: LabelRules, are_corrected: bool = False
) -> dict[str, Labels]:
    """Read labels, and leave out images that are outside of their dataset unless the rules allow them.

    Args:
        reader: of the labels.
        findings: split -> where everything is noted that is left out or repaired.
        rules: of the dataset.
        are_corrected: these are predictions that a person corrected.

    Raises:
        InstsegError: the labels are of no use.
    """
    labels = reader.read(findings)
    may_be_outside = rules.outside == "always" or (rules.outside == "corrected" and are_corrected)
    return labels if may_be_outside else without_outside(labels, reader.root, places_of(reader), findings)


def checked_labels(coco: CocoDict, rules: LabelRules, findings: Findings) -> CocoDict:
    """Return the labels without annotations that belong to nothing, every image once, every crowd flag 0 or 1.

    Args:
        coco: the labels of one split.
        rules: of the dataset.
        findings: where everything is noted that is left out or repaired.
    """
    return with_crowd_flags(with_each_image_once(without_dangling(coco, findings), findings), rules, findings)
