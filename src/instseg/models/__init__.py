"""Mask R-CNN, its parts and its weights."""
