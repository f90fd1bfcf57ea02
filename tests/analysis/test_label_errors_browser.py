"""The page of label errors in a real browser: every suspicion is drawn with all that it is about."""

from __future__ import annotations

from browser import browser
from factories import write_picture
from judged import CASES, SIZE, judged

from instseg.analysis.label_errors.find import find_label_errors
from instseg.analysis.label_errors.found import LabelErrors
from instseg.analysis.label_errors.judged import Judged
from instseg.analysis.page.content import Advice
from instseg.analysis.subject import ImageFile

__all__ = ["browser"]


def test_suspicions_are_drawn_with_all_their_labels_and_detections(browser, tmp_path):
    one = judged(*(pair for pair in (CASES["two objects in one label"][:2],)))
    files = [ImageFile(file.name, write_picture(tmp_path / file.name, SIZE)) for file in one.files]
    errors = LabelErrors(Judged(one.images, files, one.judges, one.notes), find_label_errors(one.images), 0.5)
    errors.write_page(tmp_path / "page.html", "my run", [Advice("Take over", "They are copies.", ("cp -r a b",))])
    browser.get((tmp_path / "page.html").as_uri())
    drawn = browser.execute_script(
        "const card = document.querySelector('[data-gallery=merged] .case'); card.drawCase();"
        "return ['truth', 'wrong', 'right'].map(kind => card.querySelectorAll(`.subject.${kind}`).length)"
    )
    assert drawn == [1, 2, 0]
    browser.execute_script("document.querySelector('.case').click()")
    assert browser.execute_script("return document.getElementById('whole').open")
    assert [line for line in browser.get_log("browser") if line["level"] in ("SEVERE", "WARNING")] == []
