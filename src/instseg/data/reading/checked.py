"""Labels of any reader, checked before images and categories are selected from them."""

from __future__ import annotations

from instseg.core.types import CocoDict
from instseg.data.reading.crowds import with_crowd_flags
from instseg.data.reading.findings import Findings
from instseg.data.reading.label_rules import LabelRules
from instseg.data.reading.labels import without_dangling
from instseg.data.reading.repeated import with_each_image_once


def checked_labels(coco: CocoDict, rules: LabelRules, findings: Findings) -> CocoDict:
    """Return the labels without annotations that belong to nothing, every image once, every crowd flag 0 or 1.

    Args:
        coco: the labels of one split.
        rules: of the dataset.
        findings: where everything is noted that is left out or repaired.
    """
    return with_crowd_flags(with_each_image_once(without_dangling(coco, findings), findings), rules, findings)
