"""Training of Mask R-CNN instance segmentation on your own images, composed with Hydra."""

__version__ = "0.1.0"
