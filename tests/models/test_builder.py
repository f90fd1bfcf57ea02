"""What a builder says about its options before anything is built."""

import pytest

from instseg.core.errors import InstsegError
from instseg.core.segmenter import Devices
from instseg.models.builder import builder_of
from instseg.models.mask_rcnn import build_mask_rcnn


@pytest.mark.parametrize(
    ("devices", "said"),
    [(Devices(on_gpu=False, is_single=False), "averages over GPUs"),
     (Devices(on_gpu=True, is_single=True), "averages over processes, and there is one")],
)  # fmt: skip
def test_a_norm_over_several_gpus_is_refused_where_there_are_none(devices, said):
    with pytest.raises(InstsegError, match=rf"model\.norm=sync_bn {said}"):
        build_mask_rcnn.check_devices({"norm": "sync_bn"}, devices)
    build_mask_rcnn.check_devices({"norm": "gn"}, devices)


def test_several_gpus_take_every_norm():
    build_mask_rcnn.check_devices({"norm": "sync_bn"}, Devices(on_gpu=True, is_single=False))


def test_a_builder_that_says_nothing_of_devices_and_limits_has_none():
    builder = builder_of(lambda categories: None)
    builder.check_devices({"norm": "sync_bn"}, Devices(on_gpu=False, is_single=True))
    assert (builder.limits({}).anchors, builder.limits({}).detections) == (None, None)


def test_the_limits_of_mask_rcnn_name_the_options_that_set_them():
    limits = build_mask_rcnn.limits({"box": {"detections_per_image": 7}})
    assert (limits.detections.per_image, limits.detections.option) == (7, "box.detections_per_image")
    assert limits.anchors.sizes_option == "anchors.sizes"
