"""Export: the file finds what the network in PyTorch finds, or there is no file."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import onnx
import pytest
import torch
from colour_finder import FindsColours
from deploy_factories import CATEGORIES, trained_model
from sampled import first

import instseg
from instseg.app.export_place import room_for
from instseg.core.errors import InstsegError
from instseg.data.transforms.resize import Resize
from instseg.deploy import formats
from instseg.deploy.agreement import compare
from instseg.deploy.card import card
from instseg.deploy.early_check import check_export
from instseg.deploy.export import Comparison, Exported, export
from instseg.deploy.formats import FORMATS
from instseg.deploy.measured import ApComparison
from instseg.deploy.openvino_writer import convert_onnx
from instseg.deploy.trial_images import made_images, trial_images
from instseg.prediction.exported import RUNTIMES, Candidates, ExportRecord, open_exported
from instseg.prediction.predictor import Predictor
from instseg.prediction.torch_network import TorchNetwork
from instseg.visualization.sheets import write_image

IMAGES = made_images(2)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    torch.manual_seed(0)
    trained = trained_model()
    images = list(trial_images(IMAGES, trained.min_size, trained.max_size))
    return export(trained, "onnx", tmp_path_factory.mktemp("export") / "model.onnx", Comparison(images))


@pytest.fixture(scope="module")
def openvino_file(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("openvino") / "model.xml"
    convert_onnx(exported.path, msgspec.structs.replace(exported.record, format="openvino"), path)
    return path


@pytest.fixture
def copying(exported: Exported, openvino_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an export take the time of a copy."""

    files = {".onnx": [exported.path], ".xml": [openvino_file, openvino_file.with_suffix(".bin")]}

    def copy(network: object, record: ExportRecord, path: Path) -> None:
        for file in files[path.suffix]:
            shutil.copy(file, path.with_suffix(file.suffix))

    monkeypatch.setattr(formats.Lazy, "load", lambda self: copy)


def test_an_exported_network_finds_the_same_on_images_of_all_sizes(exported):
    assert [agreement.problem for agreement in exported.agreements] == [""] * 7
    assert sum(agreement.num_instances for agreement in exported.agreements) > 50
    assert {path.name for path in exported.path.parent.iterdir()} == {"model.onnx"}


def test_the_file_knows_its_categories_sizes_and_thresholds(exported):
    network, record = open_exported(exported.path, "cpu")
    assert network.categories == CATEGORIES
    assert (record.min_size, record.max_size) == (96, 128)
    assert record.operating_points is not None
    assert record.operating_points.thresholds == {"ring": 0.21}


def test_its_card_says_what_was_compared_and_how_it_is_used(exported):
    text = card(exported, "made images")
    assert "| 3 | ring | 0.210 |" in text
    assert "| empty, 96 x 96 px |" in text
    assert "instseg predict checkpoint=model.onnx" in text
    assert "candidates" not in text


def test_the_card_of_a_file_that_leaves_candidates_says_what_remains_to_be_done(exported):
    record = msgspec.structs.replace(exported.record, candidates=Candidates(0.5, 20))
    text = card(replace(exported, record=record), "made images")
    assert "whose boxes have an IoU above 0.5 drop the worse, and keep the best 20" in text


def test_in_python_it_is_a_model_like_any_other(exported, openvino_file):
    torch.manual_seed(0)
    predictor = Predictor(TorchNetwork(trained_model().model, "cpu", "32-true"), Resize(96, 128))
    reference = [predictor.predict_images([image])[0] for image in IMAGES]
    for path in (exported.path, openvino_file):
        model = instseg.load(path)
        assert model.thresholds == {"disc": 0.5, "triangle": 0.5, "ring": 0.21}
        results = model.predict(IMAGES, score_threshold=0.0)
        assert [len(result) for result in results] == [len(found) for found in reference] != [0, 0]
        for result, found in zip(results, reference, strict=True):
            assert compare("image", found, result.prediction).problem == ""


def test_it_predicts_where_nothing_imports_torch(exported, openvino_file, tmp_path):
    write_image(tmp_path / "a.png", IMAGES[0])
    code = (
        "import sys, instseg\n"
        "for number, path in enumerate(sys.argv[3:]):\n"
        "    result = instseg.load(path).predict(sys.argv[1], score_threshold=0)\n"
        "    result.save(f'{sys.argv[2]}{number}', ['overlays', 'csv']); assert len(result) == 20\n"
        "sys.exit('torch' in sys.modules)"
    )
    arguments = [tmp_path / "a.png", tmp_path / "out", exported.path, openvino_file]
    assert subprocess.run([sys.executable, "-c", code, *arguments], check=False).returncode == 0


def test_options_of_the_network_belong_to_the_export(exported):
    with pytest.raises(InstsegError, match=r"model\.box\.nms_threshold: model\.onnx holds the network as it was"):
        instseg.load(exported.path, "model.box.nms_threshold=0.3")


@pytest.mark.usefixtures("copying")
@pytest.mark.parametrize("name, file", first(1, [("openvino", "model.xml"), ("onnx", "model.onnx")]))
def test_a_file_that_finds_something_else_is_not_written(tmp_path, name, file):
    torch.manual_seed(1)
    trained = trained_model()
    images = list(trial_images(IMAGES, 96, 128))[:1]
    with pytest.raises(InstsegError, match=f"{file} is not written, it finds something else than PyTorch; real"):
        export(trained, name, tmp_path / file, Comparison(images))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("copying")
def test_the_weights_of_an_openvino_file_lie_beside_it(tmp_path):
    written = export(trained_model(), "openvino", tmp_path / "model.xml", Comparison([]))
    assert {path.name for path in tmp_path.iterdir()} == {"model.xml", "model.bin"}
    assert written.num_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())


@pytest.mark.usefixtures("copying")
@pytest.mark.parametrize("found, is_close", [(0.4009, True), (0.4011, False), (float("nan"), False)])
def test_average_precision_must_agree_too(tmp_path, found, is_close):
    comparison = Comparison([], lambda *_: ApComparison(0.4, found, 10))
    if is_close:
        assert export(trained_model(), "onnx", tmp_path / "model.onnx", comparison).path.is_file()
    else:
        with pytest.raises(InstsegError, match=r"test AP 0\.4000 in PyTorch"):
            export(trained_model(), "onnx", tmp_path / "model.onnx", comparison)
        assert list(tmp_path.iterdir()) == []


def test_an_onnx_file_of_another_program_is_named_as_such(tmp_path):
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [value], [onnx.helper.make_tensor_value_info("y", 1, [1])])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(InstsegError, match="expected a model that instseg export has written"):
        open_exported(tmp_path / "other.onnx", "cpu")


def test_a_damaged_file_is_named_with_what_to_do(exported, tmp_path):
    (tmp_path / "cut.onnx").write_bytes(exported.path.read_bytes()[:5000])
    with pytest.raises(InstsegError, match=r"cut\.onnx cannot be read by onnxruntime: .*instseg export"):
        open_exported(tmp_path / "cut.onnx", "cpu")


@pytest.mark.parametrize("damage", ["cut .xml", "cut .bin", "no .bin"])
def test_a_damaged_openvino_file_is_named_with_what_to_do(openvino_file, tmp_path, damage):
    for file in openvino_file.parent.iterdir():
        content = file.read_bytes()
        if damage != f"no {file.suffix}":
            (tmp_path / file.name).write_bytes(content[:1000] if damage == f"cut {file.suffix}" else content)
    with pytest.raises(InstsegError, match=r"model\.xml cannot be read by OpenVINO: .*instseg export"):
        open_exported(tmp_path / "model.xml", "cpu")


def test_an_xml_file_of_another_program_is_named_as_such(tmp_path):
    (tmp_path / "model.xml").write_text("<annotations/>")
    with pytest.raises(InstsegError, match=r"model\.xml cannot be read by OpenVINO"):
        open_exported(tmp_path / "model.xml", "cpu")


def test_a_device_or_precision_that_a_runtime_has_not_is_said(exported, openvino_file):
    with pytest.raises(InstsegError, match="device=npu: OpenVINO here has cpu"):
        open_exported(openvino_file, "npu")
    with pytest.raises(
        InstsegError, match=r"precision=bf16-mixed: onnxruntime computes model\.onnx as it was exported"
    ):
        open_exported(exported.path, "cpu", "bf16-mixed")


@pytest.mark.parametrize("package, extra", [("onnxruntime", "onnx"), ("openvino", "openvino")])
def test_a_missing_package_is_named_with_its_extra(exported, openvino_file, monkeypatch, package, extra):
    path = {"onnx": exported.path, "openvino": openvino_file}[extra]
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, RUNTIMES[path.suffix].module, raising=False)
    with pytest.raises(InstsegError, match=rf'{package} is not installed: pip install "instseg\[{extra}\]"'):
        open_exported(path, "cpu")


def test_an_export_says_which_package_it_lacks():
    missing = replace(FORMATS["onnx"].write, packages=("onnx", "no_such_package"))
    with pytest.raises(
        InstsegError, match=r'format=onnx: no_such_package not installed: pip install "instseg\[onnx\]"'
    ):
        missing.check_installed("format=onnx")


@pytest.mark.usefixtures("copying")
def test_before_a_training_its_network_is_exported_and_left_as_it_was(exported):
    torch.manual_seed(0)
    model = trained_model().model.train()
    check_export(model, "onnx", 96, 128)
    assert model.training
    with pytest.raises(InstsegError, match="FindsColours cannot be exported: expected a method as_graph"):
        check_export(FindsColours(), "onnx", 96, 128)


def test_a_format_without_int8_says_which_has_it():
    with pytest.raises(InstsegError, match="quantize=int8: format=onnx has none; use format=openvino"):
        FORMATS["onnx"].check_installed("onnx", in_int8=True)


def test_a_full_disk_is_one_line_with_the_file():
    with pytest.raises(InstsegError, match=r"^out/model\.onnx: the disk is full\."), room_for(Path("out/model.onnx")):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(FileNotFoundError), room_for(Path("out/model.onnx")):
        raise FileNotFoundError(errno.ENOENT, "an image of the data")
