"""The tree can be read from top to bottom: what a file imports stands above it."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

SRC = Path(__file__).parents[1] / "src" / "instseg"
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


def test_no_room_is_reached_from_below_itself():
    """A room is a folder of the package, or a module that lies in none."""
    arrows = {}
    for path in FILES:
        here = path.relative_to(SRC).with_suffix("").parts[0]
        there = {place(module) for module in imports_of(path) if module.startswith("instseg.")} - {here, "__version__"}
        arrows.setdefault(here, set()).update(there)
    graphlib.TopologicalSorter(arrows).prepare()  # raises for a circle


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
