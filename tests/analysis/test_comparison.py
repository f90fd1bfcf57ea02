"""Runs on the same images: differences with intervals, and what one finds that the other does not."""

from __future__ import annotations

import numpy as np
import pytest
from analysed import compared_run, random_pairs, subject_of, subject_on_disk
from browser import FIND, browser, click, complaints, scroll_through, texts, visible, width_beyond_the_screen
from detections import CAR, DOG, LEFT, RIGHT, prediction, truth

from instseg.analysis.changes import find_changes
from instseg.analysis.comparison import build_comparison
from instseg.analysis.differences import measure_differences
from instseg.analysis.page.render import render, write_page
from instseg.evaluation.intervals import draw, interval, resamples_for

__all__ = ["browser"]


def runs_of(*of_runs):
    return [compared_run(letter, subject_of(pairs)) for letter, pairs in zip("ABC", of_runs, strict=False)]


def said(sights):
    return [sight.text for sight in sights]


def one_image(masks, *arguments):
    """A car on the left of an image."""
    return [(prediction(1, masks, *arguments), truth(1, [LEFT]))]


def test_an_object_that_only_one_run_finds_is_fixed_or_broken():
    changes = find_changes(runs_of(one_image([]), one_image([LEFT])), 1)
    assert said(changes.fixed) == ["A: missed car · B: car 0.90"]
    assert (changes.broken, changes.gone, changes.new) == ([], [], [])
    back = find_changes(runs_of(one_image([LEFT]), one_image([LEFT], [0.8], [DOG])), 1)
    assert said(back.broken) == ["B: car taken for dog 0.80 · A: car 0.90"]


def test_a_wrong_detection_that_both_runs_have_is_neither_gone_nor_new():
    both = one_image([LEFT, RIGHT]), one_image([LEFT, np.roll(RIGHT, 1, axis=0)], [0.9, 0.6])
    assert find_changes(runs_of(*both), 1).new == []
    other = find_changes(runs_of(both[0], one_image([LEFT, RIGHT], [0.9, 0.6], [CAR, DOG])), 1)
    assert said(other.gone) == ["A: car 0.90, where nothing is labelled"]
    assert said(other.new) == ["B: dog 0.60, where nothing is labelled"]


def test_what_both_find_or_miss_is_no_change_whatever_the_scores():
    changes = find_changes(runs_of(one_image([LEFT], [0.6]), one_image([LEFT])), 1)
    assert changes.fixed == changes.broken == []
    assert find_changes(runs_of(one_image([]), one_image([LEFT], [0.4])), 1).fixed == []


def test_a_difference_has_the_interval_of_the_difference_on_the_same_draws():
    """The fraction of objects found, of which the paired bootstrap is a few lines."""
    found = np.random.default_rng(0).random((2, 20)) < np.array([[0.4], [0.8]])
    pairs = [
        [(prediction(i, [LEFT] * int(is_found)), truth(i, [LEFT])) for i, is_found in enumerate(run)] for run in found
    ]
    recall = measure_differences(runs_of(*pairs)).recall
    drawn = draw(20, resamples_for(int(found.sum())))
    low, high = interval(drawn @ (found[1].astype(float) - found[0]) / 20, 20)
    (difference,) = recall.differences
    assert (difference.value, difference.low, difference.high) == pytest.approx(
        (found[1].mean() - found[0].mean(), low, high)
    )
    assert [one.value for one in recall.values] == pytest.approx(found.mean(axis=1).tolist())


def test_a_run_equals_itself_in_every_number():
    differences = measure_differences(runs_of(random_pairs(3), random_pairs(3)))
    numbers = [differences.ap, differences.ap50, differences.recall, differences.precision]
    numbers += [one.ap for one in (*differences.categories, *differences.parts)]
    assert {one.differences[0].value for one in numbers if not np.isnan(one.differences[0].value)} == {0.0}
    assert "B is exactly equal to A." in build_comparison(runs_of(random_pairs(3), random_pairs(3))).verdict


def test_images_without_an_object_cannot_be_compared_and_the_page_says_so():
    nothing = [(prediction(i, []), truth(i, [])) for i in range(4)]
    assert "nothing can be compared" in build_comparison(runs_of(nothing, nothing)).verdict


def test_the_path_of_a_report_is_a_link_whose_markup_is_escaped(tmp_path):
    runs = [
        compared_run(letter, subject_on_disk(tmp_path, random_pairs(1, 2)), report=f'{letter}"<.html')
        for letter in "AB"
    ]
    assert 'href="A&#34;&lt;.html"' in render(build_comparison(runs))


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    truths = [truth for _, truth in random_pairs(3, 12)]
    found = [
        [(one, truth) for (one, _), truth in zip(random_pairs(seed, 12), truths, strict=True)] for seed in (3, 4, 5)
    ]
    runs = [compared_run(letter, subject_on_disk(folder, pairs)) for letter, pairs in zip("ABC", found, strict=True)]
    write_page(build_comparison(runs, ["1 image left out"]), folder / "comparison.html")
    browser.get((folder / "comparison.html").as_uri())
    return browser


def test_every_change_shows_the_image_once_for_each_run(page):
    scroll_through(page)
    assert visible(page, ".case svg image") == 3 * visible(page, ".case") > 0
    assert set(texts(page, ".case figcaption")) == {"A", "B", "C"}


def test_layers_are_switched_off_in_all_runs_at_once(page):
    scroll_through(page)
    click(page, "input[name=truth]")
    assert visible(page, ".outline.truth") == 0 < visible(page, ".outline.right")
    click(page, "input[name=truth]")


def test_the_runs_are_zoomed_together(page):
    click(page, ".case")
    views = "return [...document.querySelectorAll('#whole svg')].map(one => one.getAttribute('viewBox'))"
    before = page.execute_script(views)
    page.execute_script(
        "document.getElementById('whole').dispatchEvent(new KeyboardEvent('keydown', {key: '+'}));"
        "document.getElementById('whole').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'}))"
    )
    after = page.execute_script(views)
    assert len(before) == 3 and len(set(before)) == len(set(after)) == 1 and before != after
    click(page, "#whole button")


def test_it_sorts_by_a_difference_and_says_what_was_left_out(page):
    column = "#categories ~ .scroll {}:nth-child(6)"
    click(page, column.format("th"))
    values = page.execute_script(f"{FIND}.map(one => Number(one.dataset.value))", column.format("td"))
    assert values == sorted(values, reverse=True)
    assert "1 image left out" in texts(page, "header .hint")


def test_the_console_has_no_error_and_a_phone_scrolls_only_down(page):
    assert complaints(page) == []
    assert width_beyond_the_screen(page, 500) <= 0
