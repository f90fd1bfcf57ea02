"""The stages of ``train.py`` by name; what each does is in ``stages.STAGES``."""

MEASURING = ("validate", "test", "report", "label_errors")
EXPORT = "export"
STAGE_NAMES = ("fit", *MEASURING, EXPORT, "audit", "show_augmentation")
OF_CHECKPOINT = (*MEASURING, EXPORT)
"""Stages that need a checkpoint."""
