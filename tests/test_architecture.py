"""The package is a house of rooms: one table says which room may import which, and limits keep it readable."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "instseg"
ARCHITECTURE = SRC.parents[1] / "docs" / "architecture.md"

MAY_IMPORT = {
    "core": "",
    "data": "core",
    "models": "core",
    "evaluation": "core",
    "visualization": "core",
    "runs": "core",
    "distributed": "core runs",
    "training": "core data evaluation visualization distributed",
    "checkpoints": "core data models runs distributed training",
    "prediction": "core data visualization checkpoints",
    "deploy": "core data evaluation checkpoints prediction",
    "auditing": "core data evaluation visualization",
    "analysis": "core data evaluation visualization",
    "profiling": "core training models",
    "sweeps": "core runs evaluation visualization checkpoints",
    "app": "core data models evaluation visualization runs distributed training checkpoints prediction deploy auditing "
    "analysis profiling sweeps",
}
"""Room -> the rooms that it may import. The order is that of the floors: nothing imports upwards."""

DATA_MAY_IMPORT = {
    "reading": "",
    "fetch": "",
    "transforms": "",
    "index": "reading",
    "splits": "reading",
    "formats": "reading fetch splits",
    "builtin": "reading fetch",
    "data": "reading fetch transforms index splits formats builtin",
}
"""The same for the rooms within ``data``; the last is ``data`` itself."""

KNOW_HYDRA = ("app", "sweeps")
MAX_ROOMS, MAX_ARROWS = 20, 60
MAX_IMPORTS = 15
"""Files of ours that one file imports."""
MAX_CHAIN, MAX_CHAIN_OF_COMMANDS = 9, 11
"""Files on the longest way from one file down to one that imports none: in all rooms but ``app``, and in ``app``."""

MODULES = {
    ".".join(("instseg", *path.relative_to(SRC).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(SRC.rglob("*.py"))
}


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Names of all modules that a file imports, ours as whole module names; those within functions too."""
    return _imported(ast.walk(ast.parse(path.read_text())))


@cache
def loaded_by(path: Path) -> set[str]:
    """Modules of ours that loading a file loads: those that it imports within functions aside."""
    return {name for name in _imported(ast.parse(path.read_text()).body) if name in MODULES and name != "instseg"}


def _imported(nodes: Iterable[ast.AST]) -> frozenset[str]:
    found = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found.update(name if name in MODULES else node.module for name in names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return frozenset(found)


def ours(path: Path) -> set[str]:
    return {name for name in imports_of(path) if name in MODULES and name != "instseg"}


def room_of(module: str) -> str:
    """The first folder below the package; empty for the files at its top."""
    parts = MODULES[module].relative_to(SRC).parts
    return parts[0] if len(parts) > 1 else ""


def data_room_of(module: str) -> str:
    parts = MODULES[module].relative_to(SRC).parts
    return parts[1] if len(parts) > 2 else "data"


def arrows() -> dict[str, set[str]]:
    """Room -> the other rooms that its files import."""
    found: dict[str, set[str]] = {room: set() for room in MAY_IMPORT}
    for module, path in MODULES.items():
        if here := room_of(module):
            found[here] |= {room_of(name) for name in ours(path)} - {here}
    return found


def test_every_module_lies_in_a_room_of_the_table():
    loose = {path.name for module, path in MODULES.items() if not room_of(module)}
    assert loose <= {"__init__.py", "__main__.py", "api.py"}
    assert {room_of(module) for module in MODULES} - {""} == set(MAY_IMPORT)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_the_table_allows(room):
    for module, path in MODULES.items():
        if room_of(module) == room:
            forbidden = {name for name in ours(path) if room_of(name) not in (room, *MAY_IMPORT[room].split())}
            assert not forbidden, f"{module} imports {forbidden}"


@pytest.mark.parametrize("room", DATA_MAY_IMPORT)
def test_within_data_the_imports_run_one_way(room):
    for module, path in MODULES.items():
        if room_of(module) == "data" and data_room_of(module) == room:
            inside = {name for name in ours(path) if room_of(name) == "data"}
            forbidden = {name for name in inside if data_room_of(name) not in (room, *DATA_MAY_IMPORT[room].split())}
            assert not forbidden, f"{module} imports {forbidden}"


@pytest.mark.parametrize("table", [MAY_IMPORT, DATA_MAY_IMPORT], ids=["rooms", "data"])
def test_no_arrow_of_a_table_points_upwards(table):
    floors = list(table)
    for room, below in table.items():
        assert all(floors.index(other) < floors.index(room) for other in below.split())


def test_files_import_each_other_in_no_circle():
    graphlib.TopologicalSorter({module: ours(path) for module, path in MODULES.items()}).prepare()


def test_the_page_about_the_architecture_has_this_table():
    rows = re.findall(r"^\| `(\w+)/` \|.*\| (.+) \|$", ARCHITECTURE.read_text(), re.MULTILINE)
    written = {"nothing of ours": [], "all": [room for room in MAY_IMPORT if room != "app"]}
    assert {room: sorted(written.get(below, below.split(", "))) for room, below in rows} == {
        room: sorted(below.split()) for room, below in MAY_IMPORT.items()
    }


def test_there_are_few_rooms_and_few_arrows_between_them():
    assert len(MAY_IMPORT) <= MAX_ROOMS
    assert sum(map(len, arrows().values())) <= MAX_ARROWS


def test_every_room_says_what_it_is_for_and_what_it_must_not_know():
    for room in MAY_IMPORT:
        described = ast.get_docstring(ast.parse((SRC / room / "__init__.py").read_text())) or ""
        assert 2 <= len(described.splitlines()) <= 6, room


def test_only_the_commands_and_the_sweeps_know_hydra():
    for module, path in MODULES.items():
        if room_of(module) not in KNOW_HYDRA:
            assert not any(name.split(".")[0] in ("hydra", "omegaconf") for name in imports_of(path)), module


def test_the_command_line_answers_without_torch():
    code = "import sys, instseg.app.command; sys.exit('torch' in sys.modules or 'pytorch_lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_entry_points_are_short():
    for name in ("train.py", "predict.py"):
        assert len((SRC.parents[1] / name).read_text().splitlines()) <= 30


def test_no_file_imports_many_others():
    counts = {module: len(ours(path)) for module, path in MODULES.items()}
    assert {module: count for module, count in counts.items() if count > MAX_IMPORTS} == {}


def test_no_chain_of_imports_is_long():
    @cache
    def chain(module: str) -> tuple[str, ...]:
        below = [chain(name) for name in loaded_by(MODULES[module])]
        return (module, *max(below, key=len, default=()))

    of_commands = {module for module in MODULES if room_of(module) in ("", "app")}
    for limit, modules in ((MAX_CHAIN, MODULES.keys() - of_commands), (MAX_CHAIN_OF_COMMANDS, of_commands)):
        longest = max(map(chain, modules), key=len)
        assert len(longest) <= limit, " -> ".join(longest)
