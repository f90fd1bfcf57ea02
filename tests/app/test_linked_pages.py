"""The audit and the reports on the same data link to each other, whichever was written first."""

from __future__ import annotations

import os
import re

import pytest

from instseg.app.linked_pages import AUDIT, REPORT, link_back, links_to
from instseg.runs.environment import record_start
from instseg.visualization.page.links import add_link, link_to, links_html


@pytest.fixture
def page(tmp_path):
    """Make a run with a page, newer than all before."""
    made = []

    def make(run, name, fingerprint="same data", links=()):
        path = tmp_path / "outputs" / run / name
        path.parent.mkdir(parents=True)
        record_start(path.parent, ["train.py"], 0, fingerprint, 1)
        path.write_text(f"<h1>{run}</h1>{links_html(links)}")
        made.append(path)
        os.utime(path, (len(made), len(made)))
        return path

    return make


def targets(path):
    """Files that the links of a page lead to."""
    return [(path.parent / href).resolve() for href in re.findall('href="([^"]*)"', path.read_text())]


def test_a_report_links_to_the_newest_audit_of_its_data_and_the_audit_back(page, tmp_path):
    outputs = str(tmp_path / "outputs")
    page("shapes_small/1", AUDIT)
    audit = page("shapes_small/2", AUDIT)
    page("other_small/3", AUDIT, "other data")
    folder = tmp_path / "outputs" / "shapes_r50fpn" / "4"
    report = page("shapes_r50fpn/4", REPORT, links=links_to(AUDIT, outputs, "same data", folder))
    link_back(AUDIT, outputs, "same data", report)
    assert (targets(report), targets(audit)) == ([audit], [report])
    link_back(AUDIT, outputs, "same data", report)
    assert targets(audit) == [report]


def test_an_audit_names_the_reports_on_its_data_the_newest_first_and_they_link_to_it(page, tmp_path):
    outputs = str(tmp_path / "outputs")
    reports = [page(f"shapes_small/{run}", REPORT) for run in "12"]
    links = links_to(REPORT, outputs, "same data", tmp_path / "outputs" / "shapes_small" / "3")
    assert [link.text for link in links] == ["Report of shapes_small · 2", "Report of shapes_small · 1"]
    audit = page("shapes_small/3", AUDIT, links=links)
    link_back(REPORT, outputs, "same data", audit)
    assert [targets(report) for report in reports] == [[audit], [audit]]
    (tmp_path / "outputs").rename(tmp_path / "moved")
    assert all(target.is_file() for target in targets(tmp_path / "moved" / "shapes_small" / "3" / AUDIT))


def test_a_run_whose_manifest_is_damaged_is_left_out(page, tmp_path):
    audit = page("shapes_small/1", AUDIT)
    (audit.parent / "manifest.json").write_text("{")
    assert links_to(AUDIT, str(tmp_path / "outputs"), "same data", tmp_path) == []


def test_names_in_a_link_are_escaped_and_a_page_without_a_place_for_links_stays(tmp_path):
    (tmp_path / 'a"<b').mkdir()
    link = link_to(tmp_path / 'a"<b' / REPORT, tmp_path, "<i>")
    assert link.href == "a%22%3Cb/report.html" and "&lt;i&gt;" in links_html([link])
    (tmp_path / AUDIT).write_text("of an earlier version")
    add_link(tmp_path / AUDIT, link)
    assert (tmp_path / AUDIT).read_text() == "of an earlier version"
