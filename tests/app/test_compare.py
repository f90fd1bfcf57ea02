"""``instseg compare`` with its page: from run folders to one file that links to their reports."""

from __future__ import annotations

import re

import pytest
from analysed import cases_of, random_pairs, subject_on_disk

from instseg.app.compare import compare
from instseg.app.keep_masks import keep_masks
from instseg.core.errors import InstsegError
from instseg.evaluation.image_results import FILE_NAME, ImageResults, write_image_results
from instseg.evaluation.masks_file import FILE_NAME as MASKS


def write_run(folder, seed, num_images):
    """A run on the images of seed 3, which has found what another seed makes."""
    truths = [truth for _, truth in random_pairs(3, num_images)]
    pairs = [(found, truth) for (found, _), truth in zip(random_pairs(seed, num_images), truths, strict=True)]
    subject = subject_on_disk(folder.parents[1], pairs)
    measured = cases_of(subject)[1]
    records = [details.record for details in measured.pool.details]
    names = [f"{record.image_id}.png" for record in records]
    write_image_results(folder / FILE_NAME, ImageResults(records, names, subject.evaluated.categories))
    keep_masks(folder, subject, measured)
    (folder / "report.html").touch()


@pytest.fixture
def runs(tmp_path):
    folders = [tmp_path / "shapes_small" / name for name in ("a", "b c", "d")]
    for seed, (folder, num_images) in enumerate(zip(folders, (8, 8, 6), strict=True), start=3):
        write_run(folder, seed, num_images)
    return folders


def test_the_page_lies_in_the_first_run_and_links_to_the_reports_from_there(runs, capsys):
    compare([str(run) for run in runs[:2]])
    page = runs[0] / "comparison.html"
    assert f"page:            {page}" in capsys.readouterr().out
    assert re.findall(r'<a href="([^#][^"]*)"', page.read_text()) == ["report.html", "../b%20c/report.html"]


def test_runs_on_other_images_are_compared_on_the_common_ones_and_what_is_left_out_is_counted(runs, capsys):
    with pytest.raises(InstsegError, match="images=common compares them on those that all were tested on"):
        compare([str(run) for run in runs])
    compare([*(str(run) for run in runs), "images=common", f"page={runs[0].parents[1] / 'page.html'}"])
    said = f"{runs[0]}: 2 images left out: 6.png, 7.png"
    assert said in capsys.readouterr().out
    html = (runs[0].parents[1] / "page.html").read_text()
    assert said in html and "the same 6 test images" in html
    assert 'href="shapes_small/d/report.html"' in html


def test_masks_of_another_test_are_refused(runs):
    (runs[0] / MASKS).write_bytes((runs[2] / MASKS).read_bytes())
    with pytest.raises(InstsegError, match=r"expected the test of test_images\.npz, found another"):
        compare([str(run) for run in runs[:2]])
