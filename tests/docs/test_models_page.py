"""The page about models has the figures of benchmarks/results/models.txt, of every model there is."""

from __future__ import annotations

import re

import pytest
from documented import CONF, ROOT

ROWS = {
    model: row.split("|")
    for model, row in re.findall(r"^\| `(\w+)` \|(.*)\|$", (ROOT / "docs" / "models.md").read_text(), re.MULTILINE)
}
RESULTS = (ROOT / "benchmarks" / "results" / "models.txt").read_text()
MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))


def figure(model: str, what: str) -> float:
    """The first number of a row of the results."""
    return float(re.search(rf"^\| {model}: {what} +\| ([\d.e+]+) ", RESULTS, re.MULTILINE)[1])


@pytest.mark.parametrize("model", MODELS)
def test_the_row_of_a_model_has_its_measured_figures(model):
    shown = [float(re.match(r"[\d.,]+", cell.strip())[0].replace(",", "")) for cell in ROWS[model][2:5]]
    measured = [figure(model, what) for what in ("parameters", "training step", "peak memory of a training step")]
    assert shown == pytest.approx(measured, rel=0.03)  # of three digits


def test_the_page_has_every_model_and_no_other():
    assert sorted(ROWS) == MODELS
