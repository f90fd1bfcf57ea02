"""The crowd flag of annotations: 0 or 1, as tools write it, and what the rules of the dataset make of it."""

from __future__ import annotations

from instseg.core.types import CocoAnnotation, CocoDict
from instseg.data.reading.findings import Findings
from instseg.data.reading.label_rules import LabelRules

FLAGS = {"0": 0, "1": 1, "false": 0, "true": 1, "0.0": 0, "1.0": 1, "none": 0, "": 0}


def with_crowd_flags(coco: CocoDict, rules: LabelRules, findings: Findings) -> CocoDict:
    """Return the labels with every ``iscrowd`` as 0 or 1; all 0 where crowds are kept as instances.

    Args:
        coco: the labels.
        rules: of the dataset.
        findings: gets the flags that mean neither.
    """
    return {**coco, "annotations": [_with_flag(annotation, rules, findings) for annotation in coco["annotations"]]}


def _with_flag(annotation: CocoAnnotation, rules: LabelRules, findings: Findings) -> CocoAnnotation:
    given: object = annotation.get("iscrowd", 0)
    flag = given if type(given) is int and given in (0, 1) else FLAGS.get(str(given).strip().casefold())
    if flag is None:
        findings.add("crowd_invalid", f"annotation {annotation['id']} ({str(given)[:40]!r})")
    wanted = 0 if rules.crowd == "keep" else flag or 0
    return annotation if type(given) is int and given == wanted else {**annotation, "iscrowd": wanted}
