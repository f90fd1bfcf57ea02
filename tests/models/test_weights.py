"""Weights: fetched from a server of this test, read from files, transferred by category name; errors that help."""

from __future__ import annotations

import functools
import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from sampled import first
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights
from torchvision.models.detection import (
    MaskRCNN_ResNet50_FPN_V2_Weights,
    MaskRCNN_ResNet50_FPN_Weights,
    maskrcnn_resnet50_fpn,
)
from torchvision.models.detection._utils import overwrite_eps
from torchvision.ops import FrozenBatchNorm2d

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.models import weight_downloads
from instseg.models.mask_rcnn import MaskRCNN, build_mask_rcnn
from instseg.models.weight_downloads import cached_path, download
from instseg.models.weight_files import COCO_ROWS, coco_category_names, read_weights
from instseg.models.weight_names import COCO_URLS

TRUNCATED = (Path(__file__).parents[2] / "../shared/data/corrupt_weights/resnet18-f37072fd.pth").resolve()
SMALL: dict[str, Any] = {
    "backbone": "resnet18",
    "fpn_channels": 16,
    "box": {"head_channels": 16, "pool_size": 2},
    "mask": {"num_convs": 1, "channels": 16},
}
CLS, BOX, MASK = (
    "roi_heads.box_predictor.cls_score.weight",
    "roi_heads.box_predictor.bbox_pred.weight",
    "roi_heads.mask_predictor.mask_fcn_logits.weight",
)


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which it is served."""
    root = tmp_path / "served"
    root.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(root))) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield root, f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch.hub."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return tmp_path / "torch/hub/checkpoints"


def small_model(categories: Categories | list[str] | int = 3, **options: Any) -> MaskRCNN:
    return build_mask_rcnn(categories, **{**SMALL, **options})


@functools.cache
def coco_shaped_state(norm: str = "frozen_bn", old_names: bool = False) -> dict[str, Tensor]:
    """What a published file holds, on a small model: 91 rows; ``old_names`` as torchvision had them before 0.13."""
    torch.manual_seed(0)
    model = small_model(len(COCO_ROWS) - 1, weights="imagenet", load=False, norm=norm)
    state = {
        key: torch.randn_like(value) if "running" not in key and value.is_floating_point() else value
        for key, value in model.state_dict().items()
    }
    if old_names:
        state = {
            key.replace("conv.0.0.", "conv.").replace("mask_head.0.0.", "mask_head.mask_fcn1."): value
            for key, value in state.items()
        }
    return state


def save_hashed(state: Any, folder: Path, stem: str) -> Path:
    """Saved under a name that carries its digest, as published files are."""
    path = folder / "new.pth"
    torch.save(state, path)
    return path.rename(folder / f"{stem}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth")


@pytest.fixture(scope="module")
def coco_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("coco") / "r18.pth"
    torch.save(coco_shaped_state(), path)
    return path


@pytest.fixture(scope="module")
def published_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_hashed(coco_shaped_state(old_names=True), tmp_path_factory.mktemp("published"), "maskrcnn_coco")


@pytest.fixture
def published(server: tuple[Path, str], published_file: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """``weights=coco`` for the small model, with the state dict it leads to."""
    root, address = server
    path = root / published_file.name
    path.symlink_to(published_file)
    monkeypatch.setitem(COCO_URLS, ("resnet18", "v1"), f"{address}/{path.name}")
    return coco_shaped_state(old_names=True)


def test_the_addresses_of_published_weights_are_those_that_torchvision_knows() -> None:
    known = (MaskRCNN_ResNet50_FPN_Weights.COCO_V1.url, MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1.url)
    assert tuple(COCO_URLS.values()) == known


def test_coco_has_eighty_named_categories() -> None:
    names = coco_category_names()
    assert len(names) == 80 and names[0] == "person" and names[-1] == "toothbrush"
    assert "N/A" not in names and len(COCO_ROWS) == 91


def test_known_categories_keep_their_rows_and_the_others_stay_as_initialised(published: dict[str, Tensor]) -> None:
    torch.manual_seed(5)
    untouched = small_model(["Car", "sign board", "traffic_light"], weights="coco", load=False).state_dict()
    torch.manual_seed(5)
    model = small_model(["Car", "sign board", "traffic_light"], weights="coco")
    state = model.state_dict()
    car, light = COCO_ROWS.index("car"), COCO_ROWS.index("traffic light")
    for ours, theirs in ((0, 0), (1, car), (3, light)):
        assert torch.equal(state[CLS][ours], published[CLS][theirs])
        assert torch.equal(state[BOX][4 * ours : 4 * ours + 4], published[BOX][4 * theirs : 4 * theirs + 4])
        assert torch.equal(state[MASK][ours], published[MASK][theirs])
    assert torch.equal(state[CLS][2], untouched[CLS][2]) and torch.equal(state[BOX][8:12], untouched[BOX][8:12])
    assert torch.equal(state["rpn.head.conv.0.0.weight"], published["rpn.head.conv.weight"])
    assert torch.equal(state["roi_heads.mask_head.0.0.weight"], published["roi_heads.mask_head.mask_fcn1.weight"])


def test_the_report_tells_loaded_transferred_and_new(published: dict[str, Tensor]) -> None:
    report = small_model(["Car", "sign board"], weights="coco").weights_report
    assert report is not None
    assert set(report.transferred) == {
        name.replace("weight", end) for name in (CLS, BOX, MASK) for end in ("weight", "bias")
    }
    assert "backbone.body.conv1.weight" in report.loaded and report.new == ()
    assert report.categories == {"Car": "car"} and report.new_categories == ("sign board",)
    text = str(report)
    assert "Car (from car)" in text and "sign board" in text and "backbone.fpn" in text and "transferred" in text


def test_with_the_eighty_names_every_row_is_transferred_and_none_predicts_what_has_no_name(
    published: dict[str, Tensor],
) -> None:
    categories = Categories(coco_category_names())
    model = small_model(categories, weights="coco")
    assert model.roi_heads.box_predictor.cls_score.out_features == 81
    row = COCO_ROWS.index("toothbrush")
    assert torch.equal(model.state_dict()[CLS][categories.label("toothbrush")], published[CLS][row])
    assert model.weights_report is not None and model.weights_report.new_categories == ()
    assert model.weights_report.is_complete


def test_weights_are_complete_only_where_every_row_is_that_of_its_category(tmp_path: Path) -> None:
    coco, three = Categories(coco_category_names()), ["cat", "dog", "owl"]
    own = checkpoint_of(small_model(three), three, tmp_path / "own.ckpt")
    torch.save(small_model(80).state_dict(), tmp_path / "unnamed.pth")
    torch.save(get_model("resnet18", weights=None).state_dict(), tmp_path / "backbone.pth")

    def is_complete(categories: Categories | list[str], weights: str | Path) -> bool:
        report = small_model(categories, weights=weights).weights_report
        assert report is not None
        return report.is_complete

    assert is_complete(three, own)
    assert not is_complete(coco, own), "rows of cat and dog only"
    assert not is_complete(coco, tmp_path / "unnamed.pth"), "eighty rows, but of what?"
    assert not is_complete(coco, tmp_path / "backbone.pth")
    assert not is_complete(coco, "none")


@pytest.mark.slow
def test_the_published_v1_weights_were_trained_without_eps_and_act_so(
    server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, address = server
    torch.manual_seed(0)
    reference = maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=91, trainable_backbone_layers=None
    )
    state = {key: value for key, value in reference.state_dict().items() if "num_batches_tracked" not in key}
    for key in state:
        if key.endswith("running_var"):
            state[key] = torch.rand_like(state[key]) * 1e-4 + 1e-6  # so small that eps=1e-5 would show
    path = save_hashed(state, root, "maskrcnn_resnet50_fpn_coco")
    monkeypatch.setitem(COCO_URLS, ("resnet50", "v1"), f"{address}/{path.name}")
    model = build_mask_rcnn(90, weights="coco")
    frozen = FrozenBatchNorm2d(256)
    frozen.load_state_dict({key.rpartition(".")[2]: value for key, value in state.items() if "layer1.0.bn3" in key})
    overwrite_eps(nn.Sequential(frozen), 0.0)
    x = torch.randn(1, 256, 4, 4)
    torch.testing.assert_close(model.backbone.body.layer1[0].bn3(x), frozen(x), rtol=1e-5, atol=1e-5)


def test_imagenet_fills_the_backbone_only(server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    root, address = server
    resnet = get_model("resnet18", weights=None)
    path = save_hashed(resnet.state_dict(), root, "resnet18")
    enum = get_model_weights("resnet18")
    monkeypatch.setattr(type(enum.IMAGENET1K_V1), "url", f"{address}/{path.name}")
    model = small_model(weights="imagenet")
    assert torch.equal(model.backbone.body.layer4[1].conv2.weight, resnet.layer4[1].conv2.weight)
    assert isinstance(model.backbone.body.bn1, FrozenBatchNorm2d)
    assert model.weights_report is not None
    assert {name.split(".")[1] for name in model.weights_report.loaded} == {"body"}
    assert all(name in model.weights_report.new for name in (CLS, BOX, MASK, "backbone.fpn.inner_blocks.0.0.weight"))


def test_a_resnet_downloaded_by_hand_will_do_as_a_path(tmp_path: Path) -> None:
    resnet = get_model("resnet18", weights=None)
    torch.save(resnet.state_dict(), tmp_path / "mine.pth")
    model = small_model(weights=tmp_path / "mine.pth")
    assert torch.equal(model.backbone.body.conv1.weight, resnet.conv1.weight)


def checkpoint_of(model: MaskRCNN, names: list[str], path: Path) -> Path:
    state = {f"model.{key}": value for key, value in model.state_dict().items()}
    torch.save({"state_dict": state, "instseg": {"categories": names}, "epoch": 3}, path)
    return path


@pytest.mark.parametrize("norm", first(1, ["gn", "bn", "frozen_bn"]))
def test_a_checkpoint_of_this_package_brings_its_categories_and_its_norm(tmp_path: Path, norm: str) -> None:
    first = small_model(
        ["cat", "dog", "owl"],
        norm=norm,
        weights="none" if norm != "frozen_bn" else "imagenet",
        load=norm != "frozen_bn",
    )
    path = checkpoint_of(first, ["cat", "dog", "owl"], tmp_path / "best.ckpt")
    second = small_model(["owl", "cat"], weights=path)
    assert second.norm == norm
    assert torch.equal(second.state_dict()[CLS], first.state_dict()[CLS][[0, 3, 1]])
    same = small_model(["cat", "dog", "owl"], weights=path)
    assert same.weights_report is not None and same.weights_report.transferred == ()
    assert all(torch.equal(value, first.state_dict()[key]) for key, value in same.state_dict().items())


def test_a_url_is_fetched_once_into_the_cache(server: tuple[Path, str], cache: Path, coco_file: Path) -> None:
    root, address = server
    (root / "mine.pth").symlink_to(coco_file)
    small_model(["car"], weights=f"{address}/mine.pth")
    assert cached_path(f"{address}/mine.pth").is_file() and cached_path(f"{address}/mine.pth").is_relative_to(cache)
    (root / "mine.pth").unlink()
    small_model(["car"], weights=f"{address}/mine.pth")


def test_two_addresses_that_end_alike_are_two_files(server: tuple[Path, str]) -> None:
    root, address = server
    for name in ("one", "other"):
        (root / name).mkdir()
        torch.save({"name": name}, root / name / "model.pth")
    kept = [torch.load(download(f"{address}/{name}/model.pth"))["name"] for name in ("one", "other", "one")]
    queried = [torch.load(download(f"{address}/one/model.pth?version={number}"))["name"] for number in (1, 2)]
    assert kept == ["one", "other", "one"] and queried == ["one", "one"]
    assert cached_path(f"{address}/one/model.pth?version=1") != cached_path(f"{address}/one/model.pth?version=2")


def test_an_address_of_a_web_page_is_refused_and_its_page_is_not_kept(server: tuple[Path, str]) -> None:
    root, address = server
    (root / "model.pth").write_text("\n<!DOCTYPE html><html>Log in")
    with pytest.raises(InstsegError, match="expected weights, found a web page"):
        download(f"{address}/model.pth")
    assert not cached_path(f"{address}/model.pth").exists()


def test_a_bare_number_of_categories_takes_the_predictors_only_when_the_rows_agree(coco_file: Path) -> None:
    same, other = small_model(90, weights=coco_file), small_model(5, weights=coco_file)
    assert same.weights_report is not None and CLS in same.weights_report.loaded
    assert other.weights_report is not None and CLS in other.weights_report.new


def test_weights_of_another_backbone_are_refused_with_both_names(coco_file: Path) -> None:
    with pytest.raises(InstsegError, match=r"(?s)holds resnet18 v1.*model is resnet50 v1.*layer1\.0\..*and \d+ more"):
        small_model(["car"], backbone="resnet50", weights=coco_file)


def test_weights_of_another_width_are_refused_with_expected_and_found(coco_file: Path) -> None:
    with pytest.raises(
        InstsegError, match=r"mask_head\.0\.0\.weight: expected \(8, 16, 3, 3\), found \(16, 16, 3, 3\)"
    ):
        small_model(["car"], mask={"num_convs": 1, "channels": 8}, weights=coco_file)


def test_a_norm_that_the_weights_were_not_trained_with_is_refused(coco_file: Path) -> None:
    with pytest.raises(InstsegError, match=r"norm=gn does not go with model.weights=.*r18\.pth"):
        small_model(["car"], norm="gn", weights=coco_file)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "other.pth")
    with pytest.raises(InstsegError, match="expected a Mask R-CNN or ResNet state dict"):
        small_model(["car"], weights=tmp_path / "other.pth")


def test_names_that_do_not_count_up_to_the_rows_are_refused(tmp_path: Path) -> None:
    path = checkpoint_of(small_model(3), ["cat", "dog"], tmp_path / "odd.ckpt")
    with pytest.raises(InstsegError, match="2 category names for 3 predicted categories"):
        small_model(["cat"], weights=path)


class Payload:
    """Would run code on loading, were it allowed to."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("ran"),))


def test_a_file_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Payload()}, tmp_path / "evil.ckpt")
    with pytest.raises(InstsegError, match=r"evil\.ckpt: refused, as it holds code, getattr") as caught:
        read_weights(tmp_path / "evil.ckpt", "resnet18", "v1")
    assert not Path("ran").exists()
    assert "cut short" not in str(caught.value) and "weights_only" not in str(caught.value)


def test_safetensors_are_read_like_what_torch_saves(tmp_path: Path) -> None:
    state = coco_shaped_state()
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / "mine.safetensors")
    assert read_weights(tmp_path / "mine.safetensors", "resnet18", "v1").state_dict.keys() == state.keys()
    small_model(["car"], weights=tmp_path / "mine.safetensors")


WAYS_OUT = r"(?s)Ways out: .*; or name another file of weights$"


def test_a_truncated_file_is_named_with_the_ways_out(tmp_path: Path, coco_file: Path) -> None:
    path = tmp_path / "cut.pth"
    path.write_bytes(coco_file.read_bytes()[:50_000])
    with pytest.raises(InstsegError, match=WAYS_OUT) as caught:
        small_model(["car"], weights=path)
    assert str(path) in str(caught.value) and "50,000 bytes" in str(caught.value)


@pytest.mark.skipif(not TRUNCATED.exists(), reason="needs corrupt_weights")
def test_a_truncated_download_in_the_cache_is_named_with_its_url_and_to_be_deleted(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / TRUNCATED.name).write_bytes(TRUNCATED.read_bytes())
    with pytest.raises(InstsegError, match=WAYS_OUT) as caught:
        small_model(["car"], weights="imagenet")
    message = str(caught.value)
    assert f"delete {cache / TRUNCATED.name} and run again" in message
    assert "https://download.pytorch.org/models/resnet18-f37072fd.pth" in message


def test_a_file_that_differs_from_its_published_digest_is_refused(server: tuple[Path, str], cache: Path) -> None:
    root, address = server
    (root / "resnet18-f37072fd.pth").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(InstsegError, match=WAYS_OUT):
        download(f"{address}/resnet18-f37072fd.pth", is_published=True)


def test_a_missing_address_is_named_with_the_place_for_a_download_by_hand(
    server: tuple[Path, str], cache: Path
) -> None:
    url = f"{server[1]}/nothing-here.pth"
    with pytest.raises(InstsegError, match=WAYS_OUT) as caught:
        small_model(["car"], weights=url)
    message = str(caught.value)
    assert url in message and "404" in message and f"by hand to {cached_path(url)}" in message


def test_a_refused_connection_gives_the_same_one_error(cache: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/weights.pth"
    with pytest.raises(InstsegError, match=WAYS_OUT) as caught:
        small_model(["car"], weights=url)
    assert url in str(caught.value) and str(cached_path(url)) in str(caught.value)
    assert socket.getdefaulttimeout() is None


def test_a_download_cut_short_is_named_with_its_url_and_to_be_deleted(
    server: tuple[Path, str], cache: Path, coco_file: Path
) -> None:
    root, address = server
    (root / "mine.pth").write_bytes(coco_file.read_bytes()[:10_000])
    with pytest.raises(InstsegError, match=WAYS_OUT) as caught:
        small_model(["car"], weights=f"{address}/mine.pth")
    assert f"{cached_path(f'{address}/mine.pth')} (10,000 bytes)" in str(caught.value)
    assert f"delete it and run again to download {address}/mine.pth" in str(caught.value)


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_downloads, "DOWNLOAD_TIMEOUT_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(InstsegError, match="timed out"):
            download(f"http://127.0.0.1:{silent.getsockname()[1]}/weights.pth")


def test_the_half_wide_backbone_has_no_published_weights():
    for weights in ("imagenet", "coco"):
        with pytest.raises(InstsegError, match="resnet18_half"):
            build_mask_rcnn(3, backbone="resnet18_half", weights=weights)


@pytest.mark.parametrize("entry", [["car"], {"categories": "car"}, {"categories": [1]}, 7])
def test_a_checkpoint_with_odd_names_of_categories_is_refused(tmp_path, entry):
    torch.save({"state_dict": {"model.x": torch.zeros(1)}, "instseg": entry}, tmp_path / "odd.ckpt")
    with pytest.raises(InstsegError, match=r"model\.weights=.*odd\.ckpt.*expected .*, found .*; use another file"):
        read_weights(tmp_path / "odd.ckpt", "resnet18", "v1")
