"""Images that are made before they are predicted: pages of TIFFs, and files of a web server."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from colour_finder import FindsColours, photo
from fault_server import serve
from PIL import Image as PilImage
from rich.console import Console

from instseg.core.errors import InstsegError
from instseg.data.reading.images import read_image
from instseg.data.reading.tiff_pages import write_page
from instseg.data.transforms.resize import Resize
from instseg.prediction import sources
from instseg.prediction.output import OutputOptions, write_predictions
from instseg.prediction.predictor import Predictor
from instseg.prediction.sources import Page, find_sources
from instseg.prediction.summary import PredictSummary
from instseg.prediction.torch_network import TorchNetwork
from instseg.prediction.writers.tables import CocoJson

PAGES = [photo(48, 64), photo(48, 64, red=(8, 8, 24, 24)), photo(40, 64, blue=(16, 8, 40, 32))]


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    first, *others = map(PilImage.fromarray, PAGES)
    first.save(tmp_path / "stack.tif", save_all=True, append_images=others)
    return tmp_path / "stack.tif"


def predicted(source: object, output: Path, page: Page = 0, overwrite: bool = False) -> PredictSummary:
    predictor = Predictor(TorchNetwork(FindsColours(), "cpu"), Resize(48, 64))
    options = OutputOptions(save="coco", page=page, overwrite=overwrite)
    writers = {"coco": CocoJson()}
    return write_predictions(predictor, source, output, writers, options, console=Console(file=io.StringIO()))


def names(output: Path) -> list[str]:
    images = json.loads((output / "predictions.json").read_text())["images"]
    return [image["file_name"] for image in images]


def test_each_page_is_an_image_with_its_number_in_its_name(stack, tmp_path):
    PilImage.fromarray(PAGES[1]).save(tmp_path / "single.png")
    summary = predicted([stack, tmp_path / "single.png"], tmp_path / "out", "all")
    assert names(tmp_path / "out") == [*(f"out/pages/stack_page_{number}.tif" for number in range(3)), "single.png"]
    assert summary.num_instances == {"red thing": 2, "blue thing": 1}
    assert summary.writes == ("predictions.json", "pages")
    np.testing.assert_array_equal(read_image(tmp_path / "out/pages/stack_page_2.tif"), PAGES[2])


def test_a_limit_counts_pages_and_pages_of_a_url_are_asked_for_by_number(stack, tmp_path):
    output = tmp_path / "out"
    found = find_sources([stack], output, "all", lambda path: False, limit=2)
    assert [path.name for path in found.paths] == ["stack_page_0.tif", "stack_page_1.tif"]
    url = "https://example.org/stack.tif"
    assert find_sources(url, output, 1, lambda path: False, None).paths == [output / "pages/stack_page_1.tif"]
    with pytest.raises(InstsegError, match=f"page=all: expected files, as the pages of {url} are not known yet"):
        find_sources(url, output, "all", lambda path: False, None)


def test_one_page_is_predicted_and_a_file_without_it_is_named(stack, tmp_path):
    PilImage.fromarray(PAGES[1]).save(tmp_path / "single.tif")
    summary = predicted([stack, tmp_path / "single.tif"], tmp_path / "out", 2)
    assert names(tmp_path / "out") == ["stack_page_2.tif"]
    ((path, reason),) = summary.unreadable
    assert path.name == "single_page_2.tif"
    assert reason.endswith("single.tif: expected page=2, found 1 page, which is 0")


def test_by_default_the_first_page_is_predicted_with_a_note(stack, tmp_path):
    summary = predicted(stack, tmp_path / "out")
    assert summary.num_instances == {} and summary.writes == ("predictions.json",)
    assert summary.notes == ("stack.tif has 3 pages: page 0 was predicted; page=all predicts each, page=1 the second",)


def test_what_an_earlier_run_made_is_replaced(stack, tmp_path):
    predicted(stack, tmp_path / "out", "all")
    predicted(stack, tmp_path / "out", 1, overwrite=True)
    assert [path.name for path in (tmp_path / "out/pages").iterdir()] == ["stack_page_1.tif"]


def test_a_folder_of_the_same_name_that_no_run_made_is_kept(stack, tmp_path):
    (tmp_path / "out/pages").mkdir(parents=True)
    with pytest.raises(InstsegError, match="has pages, which no run of this program wrote"):
        predicted(stack, tmp_path / "out", "all", overwrite=True)


def test_pages_of_16_bits_keep_them(tmp_path):
    deep = [PilImage.fromarray(np.full((8, 8), value, np.uint16)) for value in (100, 40_000)]
    deep[0].save(tmp_path / "deep.tif", save_all=True, append_images=deep[1:])
    write_page(tmp_path / "deep.tif", 1, tmp_path / "page.tif")
    with PilImage.open(tmp_path / "page.tif") as page:
        assert np.asarray(page).max() == 40_000


def test_urls_are_downloaded_and_what_is_refused_is_named_in_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_DOWNLOAD_BYTES", 2000)
    png = io.BytesIO()
    PilImage.fromarray(PAGES[1]).save(png, "PNG")
    with serve() as site:
        site.files |= {"/a/red.png": png.getvalue(), "/b/red.png": png.getvalue(), "/large.png": bytes(3000)}
        site.files["/page.html"] = b"<!DOCTYPE html>"
        asked = ["a/red.png", "b/red.png", "large.png", "page.html", "gone.png"]
        summary = predicted([f"{site.base_url}/{path}" for path in asked], tmp_path / "out")
    assert names(tmp_path / "out") == ["red.png", "red_2.png"]
    assert summary.num_instances == {"red thing": 2} and summary.exit_code == 2
    reasons = {path.name: reason.removeprefix(site.base_url) for path, reason in summary.unreadable}
    assert reasons["large.png"] == "/large.png: expected at most 0.002 MB, found 0.003"
    assert reasons["page.html"].startswith("not an image")
    assert reasons["gone.png"] == "/gone.png: status 404 Not Found"
    assert sorted(path.name for path in (tmp_path / "out/downloads").iterdir()) == ["page.html", "red.png", "red_2.png"]
