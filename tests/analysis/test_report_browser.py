"""The report in a real browser: what a person clicks works, and nothing is complained about."""

from __future__ import annotations

import numpy as np
import pytest
from analysed import random_pairs, subject_on_disk
from browser import browser, click, complaints, press, scroll_through, texts, visible, width_beyond_the_screen

from instseg.analysis.advice import Situation
from instseg.analysis.measured import measure
from instseg.analysis.page.render import write_page
from instseg.analysis.report import Heading, build_report

__all__ = ["browser"]


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    subject = subject_on_disk(folder, random_pairs(3, 12))
    situation = Situation(128, 160, np.full(3, 100))
    write_page(
        build_report(subject, measure(subject), Heading("shapes", "12 images"), situation), folder / "report.html"
    )
    browser.get((folder / "report.html").as_uri())
    return browser


def test_the_first_gallery_is_drawn_before_anyone_scrolls_and_the_others_before_the_page_is_printed(page):
    gallery = ".cases[data-gallery]"
    assert page.execute_script(
        f"return [...document.querySelector('{gallery}').children].every(one => one.querySelector('image'))"
    )
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert visible(page, ".case") == visible(page, ".case svg image") > 0


def test_every_case_is_drawn_with_its_image_and_polygons(page):
    scroll_through(page)
    assert visible(page, ".case") == visible(page, ".case svg image") > 0
    assert visible(page, ".case .outline.subject") >= visible(page, ".case")


def test_layers_are_switched_off_and_on(page):
    scroll_through(page)
    before = visible(page, ".outline.truth")
    click(page, "input[name=truth]")
    assert visible(page, ".outline.truth") == 0 < before
    click(page, "input[name=truth]")
    assert visible(page, ".outline.truth") == before
    click(page, "input[name=others]")
    assert visible(page, ".outline") == visible(page, ".outline.subject")
    click(page, "input[name=others]")


def test_the_table_is_sorted_by_a_click(page):
    head = "table.sortable th:nth-child(2)"
    click(page, head)
    down = [int(text) for text in texts(page, "table.sortable td:nth-child(2)")]
    click(page, head)
    up = [int(text) for text in texts(page, "table.sortable td:nth-child(2)")]
    assert down == sorted(down, reverse=True) == up[::-1]


@pytest.mark.parametrize("key", ["Enter", " "])
def test_the_keyboard_sorts_as_a_click_does(page, key):
    head = "table.sortable th:nth-child(2)"
    before = page.execute_script(f"return document.querySelector('{head}').ariaSort")
    press(page, head, key)
    assert page.execute_script(f"return document.querySelector('{head}').ariaSort") != before


def test_a_command_is_copied_or_where_that_is_forbidden_selected(page):
    for answer, said in (("resolve", "copied"), ("reject", "selected: copy it")):
        clipboard = f"{{configurable: true, value: {{writeText: () => Promise.{answer}()}}}}"
        page.execute_script(f"Object.defineProperty(navigator, 'clipboard', {clipboard})")
        click(page, "pre button")
        page.execute_async_script("setTimeout(arguments[0], 50)")
        assert texts(page, "pre button")[0] == said
    assert page.execute_script("return getSelection().toString()") == texts(page, "pre code")[0]


def test_a_cell_of_the_matrix_opens_its_cases(page):
    click(page, ".matrix td.cell")
    count = int(texts(page, ".matrix td.cell")[0].replace(",", ""))
    assert visible(page, "#cell-cases .case") == min(count, 12)


def test_a_case_opens_the_whole_image_which_zooms_and_closes(page):
    click(page, ".case")
    assert page.execute_script("return document.getElementById('whole').open")
    view = "return document.querySelector('#whole svg').viewBox.baseVal.width"
    before = page.execute_script(view)
    page.execute_script(
        "document.querySelector('#whole svg').dispatchEvent(new MouseEvent('dblclick', {clientX: 600, clientY: 400}))"
    )
    assert page.execute_script(view) == pytest.approx(before / 2)
    click(page, "#whole button")
    assert not page.execute_script("return document.getElementById('whole').open")


def test_the_console_has_no_error(page):
    assert complaints(page) == []


def test_a_phone_scrolls_only_down(page):
    assert width_beyond_the_screen(page, 500) <= 0
