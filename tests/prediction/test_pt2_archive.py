"""Files of ``torch.export``: what might do more than compute on tensors is refused before PyTorch sees it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from instseg.core.errors import InstsegError
from instseg.prediction.pt2_archive import CONSTANTS, MODEL, SAMPLE, WEIGHTS, read_archive

TENSOR = {"path_name": "weight_0", "use_pickle": False, "tensor_meta": {"sizes": [{"as_int": 3}]}}
NODE = {
    "name": "add",
    "target": "torch.ops.aten.add.Tensor",
    "inputs": [{"name": "self", "arg": {"as_tensor": {"name": "x"}}}],
    "metadata": {},
}
SIZE = {"as_expr": {"expr_str": "Add(Symbol('s40', positive=True, integer=True), Integer(-1))"}}
TREE = [1, {"type": "builtins.tuple", "context": "null", "children_spec": [{"type": None, "context": None}]}]


def written(path: Path, node: object = None, tensor: object = None, **others: object) -> Path:
    """Write a small archive; what is given takes the place of what is harmless."""
    graph = {"nodes": [NODE if node is None else node], "size": SIZE, "in_spec": json.dumps(TREE), "guards_code": []}
    weights = {"config": {"backbone.weight": TENSOR if tensor is None else tensor}}
    entries = {MODEL: json.dumps({**graph, **others}), WEIGHTS: json.dumps(weights), CONSTANTS: "{}", SAMPLE: ""}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**entries, "extra/instseg": "{}"}.items():
            archive.writestr(f"model/{name}", content)
    return path


def test_tensors_operators_and_sizes_are_let_through(tmp_path):
    assert set(read_archive(written(tmp_path / "a.pt2"))) == {MODEL, WEIGHTS, CONSTANTS, SAMPLE, "extra/instseg"}


@pytest.mark.parametrize(
    "target",
    ["torch.serialization.os.system", "torch.hub.load", "_operator.call", "torch.ops.higher_order.cond",
     "torch.ops.load_library", "builtins.eval", "x\nimport os"],
)  # fmt: skip
def test_a_call_of_anything_but_an_operator_on_tensors_is_refused(tmp_path, target):
    with pytest.raises(InstsegError, match=r"a\.pt2 is not loaded: expected tensors and operators .*, found target"):
        read_archive(written(tmp_path / "a.pt2", {**NODE, "target": target}))


@pytest.mark.parametrize(
    "expression", ["__import__('os').system('ls')", "Lambda(x, x)", "S('1')", "Symbol('os')", "9**9", "a.b"]
)
def test_a_size_that_is_more_than_arithmetic_is_refused(tmp_path, expression):
    with pytest.raises(InstsegError, match="found expr_str"):
        read_archive(written(tmp_path / "a.pt2", size={"as_expr": {"expr_str": expression}}))


@pytest.mark.parametrize(
    "changed, found",
    [
        ({"tensor": {**TENSOR, "use_pickle": True}}, "use_pickle with content"),
        ({"tensor": {**TENSOR, "path_name": "custom_obj_0"}}, "path_name custom_obj_0"),
        ({"node": {**NODE, "name": "x = 1; import os"}}, "name x = 1"),
        ({"node": {**NODE, "inputs": [{"name": "f", "arg": {"as_string": "/etc/passwd"}}]}}, "as_string /etc/passwd"),
        ({"node": {**NODE, "inputs": [{"name": "f", "arg": {"as_graph": {"name": "g"}}}]}}, "as_graph with content"),
        ({"node": {**NODE, "metadata": {"custom": "1"}}}, "metadata with content"),
        ({"guards_code": ["print(1)"]}, "guards_code with content"),
        ({"in_spec": json.dumps([1, {"type": "collections.defaultdict", "context": "null"}])}, "type collections"),
        ({"range_constraints": {"s0); print(1": {}}}, "the key s0"),
    ],
)
def test_whatever_is_not_on_the_list_is_refused(tmp_path, changed, found):
    with pytest.raises(InstsegError, match=f"is not loaded: .*found {found}"):
        read_archive(written(tmp_path / "a.pt2", **changed))


@pytest.mark.parametrize(
    "name", ["data/aotinductor/model/a.so", "data/constants/opaque_obj_0", "data/weights/model.pt"]
)
def test_entries_that_hold_code_or_pickles_are_refused(tmp_path, name):
    with zipfile.ZipFile(written(tmp_path / "a.pt2"), "a") as archive:
        archive.writestr(f"model/{name}", b"\x80")
    with pytest.raises(InstsegError, match=f"found the entry {name}"):
        read_archive(tmp_path / "a.pt2")


def test_inputs_of_an_example_are_refused_as_they_are_pickled(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt2", "w") as archive:
        archive.writestr(f"model/{SAMPLE}", b"\x80")
    with pytest.raises(InstsegError, match="found pickled inputs"):
        read_archive(tmp_path / "a.pt2")


def test_a_damaged_file_and_another_zip_are_named(tmp_path):
    (tmp_path / "cut.pt2").write_bytes(written(tmp_path / "a.pt2").read_bytes()[:300])
    with pytest.raises(InstsegError, match=r"cut\.pt2 cannot be read as a \.pt2 file"):
        read_archive(tmp_path / "cut.pt2")
    zipfile.ZipFile(tmp_path / "empty.pt2", "w").close()
    with pytest.raises(InstsegError, match=r"empty\.pt2 cannot be read as a \.pt2 file"):
        read_archive(tmp_path / "empty.pt2")
