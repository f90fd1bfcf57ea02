"""Train Mask R-CNN instance segmentation on your own photos."""

__version__ = "0.1.0"
