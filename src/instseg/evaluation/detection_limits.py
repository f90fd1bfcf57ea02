"""Limits on the detections that AP and recall count."""

from __future__ import annotations

import sys

DETECTION_LIMITS = (1, 10, 100)
"""The best detections of each image and category that COCO counts."""
COCO_LIMIT, NO_LIMIT = DETECTION_LIMITS[-1], sys.maxsize
VISIBLE = 0.0005
"""A difference in AP that shows in three digits."""


def limit_note(name: str, coco_ap: float, ap_of_all: float) -> str:
    """Return the sentence on what COCO's limit of detections changes; empty where that cannot be seen.

    Args:
        name: of the AP, such as "test mask AP".
        coco_ap: with the best COCO_LIMIT detections of each image and category, 0 to 1 or NaN.
        ap_of_all: with all detections, 0 to 1 or NaN.
    """
    if not abs(ap_of_all - coco_ap) >= VISIBLE:
        return ""
    return (
        f"{name} with all detections: {ap_of_all:.3f} (segm_map_all). COCO's {coco_ap:.3f} counts only the best "
        f"{COCO_LIMIT} of each image and category, and some images have more."
    )
