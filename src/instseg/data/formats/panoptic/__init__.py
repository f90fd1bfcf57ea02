"""COCO panoptic."""
