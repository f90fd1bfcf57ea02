"""Curves are one page, whatever the history has."""

from __future__ import annotations

import math

from PIL import Image as PilImage

from instseg.visualization.curves import _third_panel, plot_curves


def test_curves_survive_single_points_gaps_and_nothing(tmp_path):
    row = {"epoch": 1.0, "train/loss": 2.0, "val/loss": math.inf, "lr": 0.01, "val/loss_mask": 1.0}
    many = {f"val/segm_map/{n}": 0.1 for n in range(30)}
    histories = {"one.png": [row], "all.png": [row, {**row, **many, "epoch": 2.0, "val/segm_map": math.nan}] * 40}
    for name, rows in {**histories, "none.png": []}.items():
        plot_curves(rows, tmp_path / "plots" / name)
        with PilImage.open(tmp_path / "plots" / name) as image:
            assert image.format == "PNG" and image.size == (1300, 800)
    assert len(list((tmp_path / "plots").iterdir())) == 3


def test_the_third_panel_tells_categories_apart_and_where_there_is_one_the_parts_of_the_loss():
    row = {"val/segm_map/car": 0.1, "val/loss_mask": 1.0}
    assert _third_panel([row]) == {"parts of the loss on val": {"val/loss_mask": "mask"}}
    assert list(*_third_panel([{**row, "val/segm_map/dog": 0.1}]).values()) == ["val/segm_map/car", "val/segm_map/dog"]
