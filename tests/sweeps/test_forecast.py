"""The gain of more images, read from the end of a learning curve."""

from pathlib import Path

import pytest
from sweeping import info, record

from instseg.core.errors import InstsegError
from instseg.sweeps.forecast import curve_end
from instseg.sweeps.sweep_folder import SweepFolder


def sweep(path: Path, strategy: str = "learning_curve", **metrics: float) -> SweepFolder:
    """A sweep whose jobs have trained on these percentages of the images, ``p50=0.3``, with three seeds each."""
    folder = SweepFolder(path)
    folder.write_info(info(strategy=strategy, options={}, values=["train_fraction", "seed"]))
    number = 0
    for percent, metric in metrics.items():
        for seed in range(3):
            values = {"train_fraction": f"{int(percent[1:]) / 100:g}", "seed": str(seed)}
            folder.write(record(number, values, metric + (seed - 1) / 100))
            number += 1
    return folder


def test_a_doubling_brings_again_what_the_last_doubling_has_brought(tmp_path):
    end = curve_end(sweep(tmp_path, p25=0.1, p50=0.3, p100=0.36))
    assert end.forecast(100, 100) == (
        "val/segm_map +0.060 (+0.060 to +0.060) from 50 to 100 labelled images; 100 more, chosen by chance, about "
        "+0.060 (+0.060 to +0.060) if each doubling brings as much"
    )


def test_fewer_images_bring_a_part_of_it(tmp_path):
    end = curve_end(sweep(tmp_path, p50=0.3, p100=0.36))
    assert "50 more, chosen by chance, about +0.035 (+0.035 to +0.035)" in end.forecast(100, 50)  # 0.06 log2(1.5)


def test_of_a_curve_that_has_one_point_nothing_is_said(tmp_path):
    with pytest.raises(InstsegError, match="expected two measured fractions or more; resume the sweep first"):
        curve_end(sweep(tmp_path, p100=0.3))


def test_another_sweep_is_no_learning_curve(tmp_path):
    with pytest.raises(InstsegError, match=r"expected the folder of a sweep=learning_curve, found another sweep"):
        curve_end(sweep(tmp_path, strategy="kfold", p50=0.3, p100=0.36))
