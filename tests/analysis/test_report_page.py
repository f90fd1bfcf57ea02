"""The report as a file: whole in itself, safe with any name, within its budget."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from analysed import cases_of, random_pairs, subject_of, subject_on_disk
from detections import CAR, LEFT, RIGHT, prediction, truth

from instseg.analysis.advice import Situation
from instseg.analysis.line_chart import BOTTOM, HEIGHT, TOP
from instseg.analysis.measured import measure
from instseg.analysis.page.render import render, write_page
from instseg.analysis.report import Heading, build_report
from instseg.analysis.section_curves import curve_section
from instseg.analysis.section_galleries import gallery_section
from instseg.analysis.section_matrix import cases_of_cells
from instseg.analysis.shown import Showcase
from instseg.analysis.svg_paths import mask_path
from instseg.checkpoints.operating_points import OperatingPoints, StoredRecalibration, recalibrated_by
from instseg.core.categories import Categories
from instseg.core.masks import bitmask_to_rle
from instseg.core.recalibration import Isotonic

SITUATION = Situation(128, 160, np.full(3, 100))
HALVED = StoredRecalibration(Isotonic((0.0, 1.0), (0.0, 0.5)), 0.3, 0.1)
HEADING = Heading("shapes_small", "6 test images")
HOSTILE = '</script><img src=x onerror=alert(1)> "&\u202e'


def html_of(subject):
    return render(build_report(subject, measure(subject), HEADING, SITUATION))


def shown_in(html):
    return json.loads(re.search(r'<script id="shown" type="application/json">(.*?)</script>', html, re.DOTALL)[1])


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    return html_of(subject_on_disk(tmp_path_factory.mktemp("images"), random_pairs(3)))


def test_it_loads_nothing_from_elsewhere(html):
    assert not re.search(r'(?:src|href)="(?!data:|#)', html)
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "")


def test_every_case_shown_has_its_image_with_polygons(html):
    shown = shown_in(html)
    assert shown["cases"]
    for case in shown["cases"]:
        image = shown["images"][case["image"]]
        assert image["source"].startswith("data:image/jpeg;base64,")
        rows = [image["truths"][row] for row in case["truths"]]
        rows += [image["found"][0][row] for row in case["detections"][0]]
        assert all(shape["path"].startswith("M") for shape in rows)


def test_a_hostile_name_stays_text(tmp_path):
    categories = Categories((HOSTILE, "dog", "cake"))
    pairs = [(prediction(1, []), truth(1, [LEFT]))]
    html = html_of(subject_on_disk(tmp_path, pairs, categories, name=f"{HOSTILE}{{}}.png"))
    assert "<img src=x" not in html
    assert shown_in(html)["images"][0]["name"].startswith("</script><img")
    assert "\u202e" not in html


def test_beyond_its_budget_it_shows_fewer_images_and_counts_all(tmp_path):
    subject = subject_on_disk(tmp_path, random_pairs(3))
    cases, _ = cases_of(subject)
    showcase = Showcase([subject], [{}], max_bytes=1)
    section = gallery_section(cases, cases_of_cells(cases, subject), showcase)
    assert len(showcase.shown.images) == 1
    assert any("shown)" in gallery.title for gallery in section.content.galleries)


def test_an_image_that_is_gone_is_named_and_not_shown(tmp_path):
    subject = subject_on_disk(tmp_path, [(prediction(1, []), truth(1, [LEFT]))])
    (tmp_path / "1.png").unlink()
    html = html_of(subject)
    assert shown_in(html)["images"] == []
    assert "1 image could not be read, and what is in them is not shown: 1.png" in html


def test_without_a_labelled_object_it_says_so(tmp_path):
    html = html_of(subject_on_disk(tmp_path, [(prediction(1, []), truth(1, []))]))
    assert "no labelled object" in html


def test_without_a_mistake_it_has_one_toolbar_and_says_that_nothing_stands_out(tmp_path):
    html = html_of(subject_on_disk(tmp_path, [(prediction(1, [LEFT]), truth(1, [LEFT]))]))
    assert html.count('name="truth"') == 1
    assert "ask for nothing in particular" in html


def test_without_a_detection_nothing_is_said_about_scores(tmp_path):
    html = html_of(subject_on_disk(tmp_path, [(prediction(1, []), truth(1, [LEFT]))]))
    assert "There is no detection." in html
    assert "calibration error" not in html


def test_a_category_that_only_a_crowd_has_is_measured(tmp_path):
    pair = (prediction(1, [LEFT]), truth(1, [LEFT, RIGHT], [CAR, 3], iscrowd=[False, True]))
    assert "1 of the 1 object (100 %)" in html_of(subject_on_disk(tmp_path, [pair]))


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.6, 0.95])
def test_the_dot_on_the_curve_of_f1_is_at_the_f1_of_the_table(threshold):
    pairs = [(prediction(i, [LEFT], [score]), truth(i, [LEFT])) for i, score in enumerate((0.9, 0.5, 0.2))]
    subject = subject_of(pairs, threshold=threshold)
    _, measured = cases_of(subject)
    section = curve_section(measured.curves, measured.calibration, subject.evaluated.categories, subject.thresholds)
    dot = re.search(r'<circle cx="[^"]*" cy="([^"]*)"', section.content.charts[1].svg)[1]
    assert (HEIGHT - BOTTOM - float(dot)) / (HEIGHT - BOTTOM - TOP) == pytest.approx(measured.at[0][2].value, abs=1e-3)


def test_an_outline_follows_the_edges_of_the_pixels():
    mask = np.zeros((8, 8), np.uint8)
    mask[2:6, 1:5] = 1
    corners = set(re.findall(r"[ML]([\d.]+ [\d.]+)", mask_path(bitmask_to_rle(mask), 1.0)))
    assert corners == {"1 2", "5 2", "5 6", "1 6"}


def test_of_many_categories_it_holds_the_cases_of_the_cells_that_can_be_clicked(tmp_path):
    categories = Categories(tuple(f"category {number}" for number in range(1, 41)))
    pairs = [(prediction(i, [LEFT], labels=[i]), truth(i, [LEFT], [i % 40 + 1])) for i in range(1, 41)]
    subject = subject_on_disk(tmp_path, pairs, categories)
    html = render(build_report(subject, measure(subject), HEADING, Situation(128, 160, np.full(40, 100))))
    assert set(shown_in(html)["cells"]) == set(re.findall(r'data-cell="([^"]*)"', html)) != set()


def test_a_folder_whose_name_is_no_text_is_written_out(tmp_path):
    subject = subject_on_disk(tmp_path, [(prediction(1, [LEFT]), truth(1, [LEFT]))])
    write_page(build_report(subject, measure(subject), Heading("caf\udce9", ""), SITUATION), tmp_path / "report.html")
    assert "caf⟨U+DCE9⟩" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_it_is_written_as_one_file(tmp_path):
    subject = subject_on_disk(tmp_path, random_pairs(1, 2))
    page = build_report(subject, measure(subject), HEADING, SITUATION)
    write_page(page, tmp_path / "report.html")
    assert [path.name for path in tmp_path.glob("report*")] == ["report.html"]


def test_boundary_ap_stands_in_the_headline_unless_the_images_are_too_many(tmp_path, monkeypatch):
    subject = subject_on_disk(tmp_path, random_pairs(1, 4))
    assert "boundary AP" in html_of(subject)
    monkeypatch.setattr("instseg.analysis.measured.MAX_BOUNDARY_IMAGES", 3)
    assert "boundary AP" not in html_of(subject)


def test_recalibrated_scores_are_shown_beside_those_before(tmp_path):
    subject = subject_on_disk(tmp_path, random_pairs(3))
    before = [one.scores for one in subject.evaluated.predictions]
    after = recalibrated_by(OperatingPoints("f1", 1, [], HALVED), subject.evaluated.predictions)
    halved = replace(subject, evaluated=replace(subject.evaluated, predictions=after), scores_before=before)
    assert "Before the recalibration it was 0." in html_of(halved)
    errors = measure(halved).calibration_before.expected_error, measure(subject).calibration.expected_error
    assert errors[0] == errors[1]
    assert "Before the recalibration" not in html_of(subject)
