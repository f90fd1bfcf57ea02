"""The stages of ``train.py`` by name; what each does is in ``run.STAGES``."""

MEASURING = ("validate", "test", "report")
STAGE_NAMES = ("fit", *MEASURING, "audit", "show_augmentation")
