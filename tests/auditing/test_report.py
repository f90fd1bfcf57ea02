"""How an audit is shown: in the terminal, as a page that needs nothing else, as json, and when a training opens."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from auditing.made import audited_for, labelled, one_car_each
from factories import SHARED, rectangle
from rich.console import Console

from instseg.auditing import dataset as audit_module
from instseg.auditing.charts import category_bars, histogram
from instseg.auditing.dataset import audit_dataset
from instseg.auditing.gallery import labelled_gallery
from instseg.auditing.page import audit_page, write_audit_page
from instseg.auditing.report import MAX_SPOTS, Severity, report_to_dict, write_audit_json
from instseg.auditing.terminal import print_audit, print_short
from instseg.auditing.thumbnails import illustrate
from instseg.core.errors import InstsegError
from instseg.data import sources
from instseg.data.formats.coco.reader import CocoReader

SQUARE = rectangle(10, 10, 50, 40)
NASTY = {"[/x]": 1, "<b>&car": 2}


@pytest.fixture
def nasty(audited):
    """Names that mean something to a terminal or a browser."""
    images = {
        f"[red]<i>{i}.png": [("[/x]", rectangle(10, 10, 95, 50)), ("<b>&car", rectangle(5, 5, 50, 50))]
        for i in range(12)
    }
    splits = {split: labelled(images, NASTY) for split in ("train", "val")}
    return audited(splits, thorough=True)


def printed(show, report, width: int = 150) -> str:
    console = Console(file=io.StringIO(), width=width)
    show(report, console)
    return console.file.getvalue()


# ---- terminal


def test_the_table_has_what_every_split_holds_and_how_often_everything_was_found(nasty):
    rows = [
        re.split(r"\s*│\s*", line.strip("│ \n")) for line in printed(print_audit, nasty).splitlines() if "│" in line
    ]
    table = {row[0]: row[1:] for row in rows}
    assert table["[/x]"] == ["12", "12"] and table["instances"] == ["24", "24"] and table["images"] == ["12", "12"]
    assert table["instances per image"] == ["2"] * 2
    (outside,) = (counts for name, counts in table.items() if "reach out" in name)
    assert outside == ["12", "12"]


def test_every_finding_is_followed_by_names_advice_and_command(nasty):
    text = printed(print_audit, nasty, width=400)
    for finding in nasty.findings:
        assert f"{finding.title}: {finding.count}" in text and finding.advice in text
        assert all(f"→ {command}" in text for command in finding.commands)
    assert "[red]<i>0.png (15 px outside)" in text


def test_a_training_opens_with_what_is_to_be_decided_and_only_counts_the_rest(nasty):
    text = printed(print_short, nasty, width=400)
    for finding in nasty.findings:
        assert (finding.title in text) == (finding.severity != Severity.INFO)
    num_remarks = len(nasty.of(Severity.INFO))
    assert num_remarks and f"{num_remarks} remark" in text and "stage=audit" in text


def test_of_many_categories_the_most_frequent_are_listed_and_the_rest_counted(audited):
    categories = {f"c{i}": i + 1 for i in range(60)}
    images = {"a.png": [(f"c{i}", rectangle(5, 5, 30, 30)) for i in range(60) for _ in range(1 + (i >= 20))]}
    text = printed(print_short, audited({split: labelled(images, categories) for split in ("train", "val")}))
    assert "c20 " in text and "c19 " not in text
    assert re.search(r"… 20 more +│ +20 │ +20", text)


def test_a_test_split_that_only_repeats_val_is_not_counted_twice(audited):
    report = audited({})
    assert list(report.splits) == ["train", "val"]
    assert any("'test' is the val images" in note for note in report.notes)


def test_training_on_a_few_images_is_audited_as_the_one_split_that_it_is(prepared):
    splits = {split: labelled(one_car_each(split, 10)) for split in ("train", "val")}
    report = audit_dataset(prepared(splits).on_training_images(4), audited_for(60, 80), False)
    assert list(report.splits) == ["train"] and report.splits["train"].num_images == 4
    report.stop_if_fatal()


# ---- page


class Page(HTMLParser):
    """Which tags are open, and what a page would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.loads += [value for name, value in attributes if name in ("src", "href", "srcset", "action") and value]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_is_whole_and_loads_nothing_from_elsewhere(nasty):
    html = audit_page(nasty)
    page = Page(html)
    assert page.open == []
    assert all(link.startswith(("data:image/jpeg;base64,", "#")) for link in page.loads)
    assert "@import" not in html and "url(" not in html
    assert sum(link.startswith("data:") for link in page.loads) == sum(len(f.thumbnails) for f in nasty.findings) > 0


def test_the_page_shows_every_finding_and_names_as_they_are(nasty):
    page = Page(audit_page(nasty))
    for finding in nasty.findings:
        for text in (finding.kind, finding.title, finding.advice, *finding.commands, *finding.names[:3]):
            assert text in page.text
    assert "<b>&car" in page.text and "<b>&car" not in audit_page(nasty)


def test_page_and_json_are_written_beside_each_other(tmp_path, nasty):
    write_audit_page(nasty, tmp_path / "run/audit.html")
    write_audit_json(nasty, tmp_path / "run/audit.json")
    assert (tmp_path / "run/audit.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    content = json.loads((tmp_path / "run/audit.json").read_text())
    assert content == report_to_dict(nasty)
    assert content["splits"]["train"]["instances_per_category"] == {"[/x]": 12, "<b>&car": 12}
    (outside,) = (f for f in content["findings"] if f["kind"] == "shape_outside_image")
    assert outside["counts"] == {"train": 12, "val": 12} and outside["worst"][0]["detail"] == "15 px outside"


def test_the_page_names_a_few_and_the_json_many_but_both_count_all(audited, tmp_path):
    images = {f"{i}.png": [("car", rectangle(60, 20, 95, 50))] * 150 for i in range(8)}
    report = audited({"train": labelled(images)})
    (finding,) = (f for f in report.findings if f.kind == "shape_outside_image")
    assert finding.count == 1200 and len(finding.spots) == MAX_SPOTS
    assert "1,197 more" in audit_page(report)


def test_the_charts_have_a_bar_for_every_share_and_a_line_for_every_anchor():
    svg = histogram({"train": np.array([20.0, 40, 80]), "val": np.array([30.0])}, "px", marks=(32, 64))
    assert svg.count('class="mark"') == 2 and "train: 33%" in svg and "val: 100%" in svg
    assert histogram({"train": np.zeros(0)}, "px") == ""
    bars = category_bars(["car", "<dog>"], {"train": np.array([3, 1]), "val": np.array([0, 0])})
    assert "car, train: 3 (75.0%)" in bars and "&lt;dog&gt;" in bars


def test_the_bars_of_all_splits_are_to_one_scale_of_counts():
    svg = category_bars(["car"], {"train": np.array([300]), "val": np.array([30])})
    train, val = (float(width) for width in re.findall(r'<rect .*? width="([\d.]+)"', svg))
    assert train == pytest.approx(10 * val, rel=0.01)


def test_the_page_is_called_like_the_folder_and_shows_what_no_eye_sees(audited):
    names = {"car": 1, "truck\u200b ": 2}
    report = audited(
        {split: labelled({f"{split}.png": [("truck\u200b ", SQUARE)]}, names) for split in ("train", "val")}
    )
    html = audit_page(replace(report, name="my folder"))
    assert "<h1>my folder</h1>" in html and "<title>my folder – audit</title>" in html
    assert "truck⟨U+200B⟩␣" in html and "\u200b" not in Page(html).text


def test_no_command_on_the_terminal_holds_what_a_terminal_obeys(audited):
    names = {"car": 1, "evil\u202e\x1b[2J": 2}
    text = printed(print_audit, audited({"train": labelled({"a.png": [("car", SQUARE)]}, names)}), width=400)
    assert "dataset.drop=" in text and "evil⟨U+202E⟩⟨U+001B⟩[2J" in text
    assert "\u202e" not in text and "\x1b[2J" not in text


def test_the_gallery_shows_every_category_among_ordinary_images(prepared):
    images = {f"{i}.png": [("car", SQUARE)] for i in range(20)} | {"rare.png": [("dog", SQUARE)], "none.png": []}
    dataset = prepared({"train": labelled(images), "val": labelled({"val.png": [("car", SQUARE)]})})
    pictures = labelled_gallery(dataset)
    assert len(pictures) == 12 and not any("none.png" in picture.caption for picture in pictures)
    assert "1 × dog · rare.png" in [picture.caption for picture in pictures]


def test_whole_numbers_are_counted_each_and_none_is_lost():
    svg = histogram({"train": np.array([0, 0, 1, 3])}, "instances", whole=True)
    assert svg.count("<rect") == 4 and "train: 50%, 0 to 1 instances" in svg
    wide = histogram({"train": np.array([0, 1, 500])}, "instances", whole=True)
    assert wide.count("train: 33%") == 3


# ---- limits


def test_copies_are_not_sought_when_a_training_on_very_many_images_starts(tmp_path, audited, monkeypatch):
    audited({})
    (tmp_path / "val/val_0.png").write_bytes((tmp_path / "train/train_0.png").read_bytes())
    monkeypatch.setattr(audit_module, "MAX_QUICK_IMAGES", 5)
    assert not [f for f in audited({}).findings if f.kind.startswith("leak")]
    assert [f for f in audited({}, thorough=True).findings if f.kind.startswith("leak")]


@pytest.mark.skipif(not (SHARED / "coco_tiny").is_dir(), reason="needs the shared images")
def test_the_audit_of_real_labels_counts_what_pycocotools_counts(tmp_path):
    folder, cache = str(SHARED / "coco_tiny"), str(tmp_path)
    prepared = sources.folder(name="tiny", reader=CocoReader, root=folder, cache_dir=cache)
    report = illustrate(audit_dataset(prepared, audited_for(), True), prepared)
    facts = report.splits
    assert [facts[s].num_instances + facts[s].num_crowds for s in ("train", "val")] == [705, 815]
    assert [facts[s].num_crowds for s in ("train", "val")] == [6, 11]
    report.stop_if_fatal()
    write_audit_page(report, tmp_path / "audit.html")
    assert (tmp_path / "audit.html").stat().st_size < 3e6


def test_what_is_accepted_may_be_one_kind_or_several(audited):
    report = audited({"val": labelled({f"{i}.png": [] for i in range(3)})})
    report.stop_if_fatal("no_instances_val")
    report.stop_if_fatal(["images_lost", "no_instances_val"])
    with pytest.raises(InstsegError, match=r"audit\.accept=\[images_lost,no_instances_val\]"):
        report.stop_if_fatal("images_lost")
