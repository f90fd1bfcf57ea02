"""The tree can be read from top to bottom: what a file imports stands above it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "instseg"
ORDER = [
    "errors", "atomic", "types", "categories", "masks", "outlines", "coco_format", "data", "models", "optim",
    "image_record", "image_results", "matching", "precision_recall", "metrics", "module", "lettering", "visualize",
    "sheets", "augmentation_sheet", "audit", "exports", "curves", "callbacks", "profiling", "manifest", "ownership",
    "typed", "starts", "run_folders", "process_group", "interruption", "rank_watch", "device_slots", "differences",
    "checkpoint_io", "checkpoint", "event_files", "random_states", "resume", "training_state", "stopping",
    "last_checkpoint", "averaging", "reproduce",
    "predictor", "prediction_folder", "prediction_summary", "prediction_output", "summary", "memory",
    "check_config", "sweeps", "hydra_job", "cli", "build", "run",
]  # fmt: skip
KNOW_HYDRA = {"run", "build", "cli", "hydra_job", "check_config", "sweeper", "command_line"}
FILES = sorted(SRC.rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
        elif isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
    return modules


def place(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_a_file_imports_only_what_stands_above_it(path):
    here = path.relative_to(SRC).with_suffix("").parts[0]
    if here == "__init__":
        return
    for module in imports_of(path):
        there = place(module) if module.startswith("instseg") else ""
        if there and there != here:
            assert ORDER.index(there) < ORDER.index(here), f"{path.name} imports {module}"


def test_data_and_models_never_meet():
    for path in (SRC / "data").rglob("*.py"):
        assert not any(module.startswith("instseg.models") for module in imports_of(path)), path
    for path in (SRC / "models").rglob("*.py"):
        assert not any(module.startswith("instseg.data") for module in imports_of(path)), path


def test_only_the_outermost_files_know_hydra():
    for path in FILES:
        if path.stem not in KNOW_HYDRA:
            assert not any(module.split(".")[0] in ("hydra", "omegaconf") for module in imports_of(path)), path


def test_the_command_line_answers_without_torch():
    code = "import sys, instseg.cli; sys.exit('torch' in sys.modules or 'pytorch_lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_entry_points_are_short():
    for name in ("train.py", "predict.py"):
        assert len((SRC.parents[1] / name).read_text().splitlines()) <= 30
