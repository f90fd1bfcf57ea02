"""Run folders as a training leaves them, without a training."""

from __future__ import annotations

import time
from pathlib import Path


def made_run(outputs: Path, name: str, date: str, *overrides: str, checkpoints=("last.ckpt",)) -> Path:
    run = outputs / name / date
    for part in ("checkpoints", ".hydra"):
        (run / part).mkdir(parents=True)
    for checkpoint in checkpoints:
        (run / "checkpoints" / checkpoint).write_bytes(b"PK\x03\x04 weights")
    (run / ".hydra" / "overrides.yaml").write_text("".join(f"- {override}\n" for override in overrides))
    time.sleep(0.02)
    return run
