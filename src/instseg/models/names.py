"""The names that the options of Mask R-CNN choose among, and the strides that all its parts agree on."""

HALF = "resnet18_half"
BACKBONES = (HALF, "resnet18", "resnet34", "resnet50", "resnet101")
VARIANTS = ("v1", "v2")
NORMS = ("frozen_bn", "bn", "gn", "sync_bn")
LIBRARY_NORMS = ("auto", "frozen_bn", "bn")  # of the networks of other libraries
STAGES = ("layer4", "layer3", "layer2", "layer1", "conv1")  # of a ResNet, in the order in which they become trainable
STRIDES = (4, 8, 16, 32)
"""Of the stages of a backbone and the levels of the pyramid that RoIs are pooled from, px. The RPN also sees 64."""
