"""Copy-paste: what is pasted, where, at which size, what it hides, and whose photo it is taken from."""

from __future__ import annotations

import albumentations as A
import numpy as np
import pytest
import torch
from augmenting import SIZE, as_bitmaps, num_beyond_a_pixel, on_canvas, painted
from factories import make_instances, make_picture, rectangle, star, write_coco_folder

from instseg.core.errors import InstsegError
from instseg.core.types import Image
from instseg.data import sources
from instseg.data.datamodule import InstanceDataModule
from instseg.data.dataset import InstanceDataset
from instseg.data.formats.coco.reader import CocoReader
from instseg.data.index.columns import Index
from instseg.data.samplers import SampleKey
from instseg.data.transforms.augmentation import Augmentation
from instseg.data.transforms.copy_paste import MIN_SIDE_PX, CopyPaste, cut_out

PASTED = 200
CAR, DOG, CAKE = 1, 2, 3


def always(**options) -> CopyPaste:
    return CopyPaste(**{"probability": 1.0, "scale_range": (1.0, 1.0), "mirror_probability": 0.0} | options)


def pasting(transforms=None, min_visibility: float = 0.1, **options) -> Augmentation:
    return Augmentation(*SIZE, transforms, min_visibility=min_visibility, copy_paste=always(**options))


def plain(value: int, size=SIZE) -> Image:
    return np.full((*size, 3), value, dtype=np.uint8)


# ---- pixels and targets agree


@pytest.mark.parametrize("moved", [False, True], ids=["as pasted", "then moved"])
@pytest.mark.parametrize("below_is_bitmap", [False, True], ids=["polygon below", "bitmap below"])
@pytest.mark.parametrize("pasted_is_bitmap", [False, True], ids=["polygon pasted", "bitmap pasted"])
def test_each_mask_is_where_the_pixels_of_its_instance_can_be_seen(below_is_bitmap, pasted_is_bitmap, moved):
    size = (240, 320)
    below, other = make_instances(star(160, 120, 110), labels=[1]), make_instances(star(120, 140, 80), labels=[2])
    green = np.zeros((*size, 3), dtype=np.uint8)
    green[..., 1] = 255
    moves = {"turn": A.Affine(rotate=(-40, 40), p=1.0), "flip": A.HorizontalFlip(p=0.5)} if moved else None
    paste = always(scale_range=(0.6, 1.4), mirror_probability=0.5)
    augment = Augmentation(*size, moves, copy_paste=paste)
    donor = green, as_bitmaps(other, size) if pasted_is_bitmap else other
    instances = as_bitmaps(below, size) if below_is_bitmap else below
    for seed in range(12):
        image, boxes, labels, box_masks = augment(
            painted(below, size), instances, np.random.default_rng(seed), lambda _: donor
        )
        seen = dict(zip(labels.tolist(), on_canvas(boxes, box_masks, size), strict=True))
        assert num_beyond_a_pixel(seen[2], image[..., 1] >= 128) < 15  # of 76,800, in narrow corners
        assert 1 not in seen or num_beyond_a_pixel(seen[1], image[..., 0] >= 128) < 15  # painted red


def test_what_is_pasted_keeps_its_size_and_lies_within_the_image():
    other = make_instances(rectangle(5, 5, 25, 15), labels=[7])
    places = set()
    for seed in range(30):
        image, boxes, labels, box_masks = pasting(scale_range=(0.5, 0.5))(
            plain(0), make_instances(), np.random.default_rng(seed), lambda _: (plain(PASTED), other)
        )
        x1, y1, x2, y2 = boxes[0]
        assert labels.tolist() == [7]
        assert (x2 - x1, y2 - y1) == (10, 5)
        assert box_masks.all()
        assert [side.min() for side in (image[..., 0] > PASTED / 2).nonzero()] == [y1, x1]
        places.add((x1, y1))
    assert len(places) > 25


def test_the_size_is_relative_to_how_the_network_sees_the_other_photo():
    """A photo of twice the pixels is not pasted at twice the size."""
    other = make_instances(rectangle(10, 10, 50, 30))
    boxes = pasting()(
        plain(0), make_instances(), np.random.default_rng(0), lambda _: (plain(PASTED, (120, 160)), other)
    )[1]
    assert (boxes[0, 2:] - boxes[0, :2]).tolist() == [20, 10]


def test_what_is_larger_than_the_image_fills_it():
    other = make_instances(rectangle(2, 2, 78, 58))
    image, boxes, _, box_masks = pasting(scale_range=(2.0, 2.0))(
        plain(0), make_instances(rectangle(5, 5, 20, 20)), np.random.default_rng(0), lambda _: (plain(PASTED), other)
    )
    assert boxes.tolist() == [[0, 0, 80, 60]]
    assert box_masks.all()
    assert (image == PASTED).all()


def test_what_would_be_too_small_is_not_pasted_at_all():
    other = make_instances(rectangle(10, 10, 12 * MIN_SIDE_PX, 10 + MIN_SIDE_PX - 1))
    image, boxes, *_ = pasting()(plain(0), make_instances(), np.random.default_rng(0), lambda _: (plain(PASTED), other))
    assert len(boxes) == 0
    assert (image == 0).all()


@pytest.mark.parametrize("as_bitmap", [False, True], ids=["polygon", "bitmap"])
def test_a_mirrored_cutout_is_the_mirror_image(as_bitmap):
    shape = make_instances(star(30, 35, 20))
    cutout = cut_out(make_picture(SIZE), as_bitmaps(shape) if as_bitmap else shape, 0, (120, 160))
    mirrored = cutout.mirrored()
    assert np.array_equal(mirrored.pixels, cutout.pixels[:, ::-1])
    assert np.array_equal(mirrored.bitmask, cutout.bitmask[:, ::-1])
    width = cutout.bitmask.shape[1]
    expected = [[(width - x, y) for x, y in part] for part in cutout.parts]
    assert [[tuple(point) for point in part] for part in mirrored.parts] == expected
    assert len(mirrored.parts) == (0 if as_bitmap else 1)


def test_several_are_pasted_but_never_more_than_wanted():
    other = make_instances(*(rectangle(x, 10, x + 6, 16) for x in range(0, 70, 7)))
    counts = {
        len(pasting(max_pasted=4)(plain(0), make_instances(), np.random.default_rng(s), lambda _: (plain(9), other))[1])
        for s in range(40)
    }
    assert counts == {1, 2, 3, 4}


# ---- what is hidden


def test_an_instance_that_disappears_behind_what_is_pasted_is_no_target():
    other = make_instances(rectangle(0, 0, 80, 60), labels=[2])
    hidden = make_instances(rectangle(10, 10, 30, 30), star(50, 30, 10), labels=[1, 1])
    for instances in (hidden, as_bitmaps(hidden)):
        labels = pasting()(plain(0), instances, np.random.default_rng(0), lambda _: (plain(PASTED), other))[2]
        assert labels.tolist() == [2]


def test_the_wanted_visibility_counts_for_what_is_hidden_too():
    other = make_instances(rectangle(0, 0, 60, 60), labels=[2])  # hides three quarters of the width, at either end
    below = make_instances(rectangle(0, 20, 80, 40), labels=[1])
    for instances in (below, as_bitmaps(below)):
        for min_visibility, expected in ((0.2, [1, 2]), (0.3, [2])):
            labels = pasting(min_visibility=min_visibility)(
                plain(0), instances, np.random.default_rng(0), lambda _: (plain(PASTED), other)
            )[2]
            assert labels.tolist() == expected


# ---- when nothing is pasted


def test_without_another_photo_nothing_is_pasted():
    picture = make_picture(SIZE)
    for donor in (None, lambda _: None, lambda _: (plain(9), make_instances())):
        image, boxes, *_ = pasting()(picture, make_instances(star(40, 30, 20)), np.random.default_rng(0), donor)
        assert np.array_equal(image, picture)
        assert len(boxes) == 1


def test_the_probability_decides_how_often_another_photo_is_read():
    asked = []
    for seed in range(100):
        augment = pasting(probability=0.3)
        augment(plain(0), make_instances(), np.random.default_rng(seed), lambda _: asked.append(1))
    assert 15 < len(asked) < 45


def test_evaluation_never_pastes():
    image = pasting()(plain(0), make_instances(), None, lambda _: pytest.fail("asked for another photo"))[0]
    assert (image == 0).all()


def test_both_photos_are_left_as_they_were():
    picture, other = make_picture(SIZE), make_picture(SIZE, 1)
    before = picture.copy(), other.copy()
    shape, pasted = make_instances(star(40, 30, 20)), make_instances(star(40, 30, 25))
    points = pasted.polygons[0][0].copy()
    pasting(mirror_probability=1.0)(picture, shape, np.random.default_rng(0), lambda _: (other, pasted))
    assert np.array_equal(picture, before[0])
    assert np.array_equal(other, before[1])
    assert np.array_equal(pasted.polygons[0][0], points)
    assert len(shape) == len(pasted) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probability": 50}, "copy_paste.probability=50: expected a fraction"),
        ({"probability": "often"}, "copy_paste.probability=often"),
        ({"mirror_probability": -0.1}, "copy_paste.mirror_probability=-0.1: expected a fraction"),
        ({"max_pasted": 0}, "copy_paste.max_pasted=0: expected 1 or more"),
        ({"max_pasted": 2.5}, "copy_paste.max_pasted=2.5"),
        ({"scale_range": [2, 1]}, r"copy_paste.scale_range=\[2, 1\]: expected \[low, high\]"),
        ({"scale_range": [0, 1]}, "copy_paste.scale_range"),
        ({"scale_range": 1.0}, "copy_paste.scale_range=1.0"),
        ({"scale_range": ["a", "b"]}, "copy_paste.scale_range"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(InstsegError, match=f"^augmentation.{message}"):
        CopyPaste(**options)


# ---- from a dataset


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = write_coco_folder(tmp_path_factory.mktemp("photos"), {"train": 8, "val": 2})
    return sources.folder(name="test", reader=CocoReader, root=str(root), cache_dir=str(root / "cache"))


def dataset(index: Index, training: bool = True) -> InstanceDataset:
    return InstanceDataset(index, Augmentation(48, 64, copy_paste=always()), training, seed=0)


def labels_seen(data: InstanceDataset, position: int, num_epochs: int = 12) -> set[int]:
    return {label for epoch in range(num_epochs) for label in data[SampleKey(epoch, position)].target.labels.tolist()}


def test_an_empty_photo_gets_objects_of_the_others(prepared):
    assert labels_seen(dataset(prepared.indices["train"]), position=3) == {CAR, DOG, CAKE}


def test_a_crowd_is_never_pasted(prepared):
    index = prepared.indices["train"]
    ring_and_crowd = Index(index.folder, np.array([1, 2]))  # a cake; a car before a crowd of dogs
    assert labels_seen(dataset(ring_and_crowd), position=0) == {CAKE, CAR}


def test_a_photo_never_gets_its_own_objects_nor_those_of_a_photo_without_any(prepared):
    index = prepared.indices["train"]
    alone = dataset(Index(index.folder, np.array([0, 3])))  # a car and a dog; nothing
    for epoch in range(5):
        assert len(alone[SampleKey(epoch, 0)].target) == 2
        assert len(alone[SampleKey(epoch, 1)].target) > 0


def test_any_number_of_workers_pastes_the_same(prepared):
    def epoch(num_workers: int) -> list[torch.Tensor]:
        augmentation = Augmentation(48, 64, copy_paste=always())
        data = InstanceDataModule(prepared, augmentation, batch_size=2, num_workers=num_workers)
        return [tensor for b in data.train_dataloader() for t in b.targets for tensor in (b.images, t.boxes, t.labels)]

    alone = epoch(0)
    for num_workers in (1, 2):
        helped = epoch(num_workers)
        assert all(torch.equal(one, other) for one, other in zip(alone, helped, strict=True))


def test_evaluation_samples_stay_as_they_are(prepared):
    assert len(dataset(prepared.indices["train"], training=False)[SampleKey(0, 3)].target) == 0
