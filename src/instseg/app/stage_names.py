"""The stages of ``train.py`` by name; what each does is in ``stages.STAGES``."""

MEASURING = ("validate", "test", "report", "label_errors")
STAGE_NAMES = ("fit", *MEASURING, "audit", "show_augmentation")
