"""From the instances of an image to the training target: augmentation, copy-paste, occlusion, box masks.

Knows arrays and polygons; neither files nor the index.
"""
