"""From the index to batches: the same sample from any worker and rank, every image once, nothing lost on resuming."""

from __future__ import annotations

import math
import pickle
from types import SimpleNamespace

import albumentations as A
import numpy as np
import pytest
import torch
from factories import (
    coco_annotation,
    coco_dict,
    coco_image,
    make_target,
    rectangle,
    write_coco_folder,
    write_json,
    write_picture,
)
from hypothesis import given
from hypothesis import strategies as st
from sampled import first

from instseg.core.errors import InstsegError
from instseg.core.types import BOX_MASK_SIZE, Batch, GroundTruth, IgnoredRegions, Sample
from instseg.data import sources
from instseg.data.datamodule import InstanceDataModule, auto_workers
from instseg.data.dataset import InstanceDataset, _target, collate
from instseg.data.formats.coco.reader import CocoReader
from instseg.data.prepared import PreparedDataset
from instseg.data.samplers import EvalSampler, SampleKey, TrainSampler, repeat_factors
from instseg.data.transforms.augmentation import Augmentation

CAR, DOG, CAKE = 1, 2, 3


def augmentation() -> Augmentation:
    flip_crop = {
        "flip": A.HorizontalFlip(p=0.5),
        "crop": A.RandomCropFromBorders(crop_left=0.25, crop_right=0.25, crop_top=0.25, crop_bottom=0.25, p=0.5),
    }
    return Augmentation(48, 64, flip_crop)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> PreparedDataset:
    root = write_coco_folder(tmp_path_factory.mktemp("photos"), {"train": 12, "val": 5})
    return sources.folder(name="test", reader=CocoReader, root=str(root), cache_dir=str(root / "cache"))


def dataset(prepared: PreparedDataset, training: bool = True, seed: int = 0, split: str = "train") -> InstanceDataset:
    return InstanceDataset(prepared.indices[split], augmentation(), training, seed)


def equal(one: Sample, other: Sample) -> bool:
    pairs = [(one.image, other.image), *((getattr(one.target, n), getattr(other.target, n)) for n in FIELDS)]
    return all(torch.equal(a, b) for a, b in pairs) and one.ground_truth.image_id == other.ground_truth.image_id


FIELDS = ("boxes", "labels", "box_masks")


def samples_of(batch: Batch) -> dict[int, Sample]:
    """Image id -> the sample, cut out of the padding."""
    return {
        truth.image_id: Sample(image[:, : size[0], : size[1]], target, truth)
        for image, size, target, truth in zip(
            batch.images, batch.image_sizes, batch.targets, batch.ground_truth, strict=True
        )
    }


# ---- one sample


def test_a_training_sample_has_an_image_in_bytes_and_targets_but_no_ground_truth(prepared):
    sample = dataset(prepared)[SampleKey(0, 0)]
    assert sample.image.dtype == torch.uint8
    assert sample.image.shape[0] == 3
    assert sample.target.labels.tolist() == [CAR, DOG]
    assert sample.target.boxes.dtype == torch.float32
    assert sample.target.box_masks.shape == (2, BOX_MASK_SIZE, BOX_MASK_SIZE)
    assert len(sample.ground_truth) == 0
    assert sample.ground_truth.image_size == (48, 64)


def test_an_evaluation_sample_has_the_ground_truth_of_the_original_photo_and_targets_too(prepared):
    sample = dataset(prepared, training=False)[SampleKey(0, 0)]
    assert len(sample.ground_truth) == len(sample.target) == 2
    assert sample.ground_truth.rles[0]["size"] == [48, 64]
    assert sample.target.boxes[0].tolist() == [3, 4, 20, 18.5]


def test_a_crowd_region_is_no_instance_to_learn_but_a_region_to_ignore_that_moves_with_its_image(prepared):
    regions = []
    for training in (True, False):
        sample = dataset(prepared, training)[SampleKey(0, 2)]
        assert sample.target.labels.tolist() == [CAR]
        regions.append(sample.target.ignored)
        assert len(regions[-1].boxes) == len(regions[-1].box_masks) == 1
    turned = Augmentation(48, 64, {"flip": A.HorizontalFlip(p=1)})
    flipped = InstanceDataset(prepared.indices["train"], turned, True, 0)[SampleKey(0, 2)]
    assert flipped.target.ignored.boxes[0, 0] == flipped.image.shape[2] - regions[1].boxes[0, 2]
    assert torch.equal(flipped.target.ignored.box_masks, regions[1].box_masks.flip(2))
    assert sample.ground_truth.labels.tolist() == [CAR, DOG]
    assert sample.ground_truth.iscrowd.tolist() == [False, True]


def test_an_empty_image_keeps_the_full_schema(prepared):
    for training in (True, False):
        sample = dataset(prepared, training)[SampleKey(0, 3)]
        assert [tuple(getattr(sample.target, name).shape) for name in FIELDS] == [
            (0, 4),
            (0,),
            (0, BOX_MASK_SIZE, BOX_MASK_SIZE),
        ]
        assert sample.ground_truth.boxes.shape == (0, 4)


def test_seed_epoch_and_image_decide_the_augmentation_and_nothing_else(prepared):
    first, again = dataset(prepared), dataset(prepared)
    again[SampleKey(5, 3)]  # what was drawn before does not matter
    assert all(equal(first[SampleKey(1, i)], again[SampleKey(1, i)]) for i in range(12))


@pytest.mark.parametrize(("seed", "epoch"), [(0, 2), (1, 1)], ids=["another epoch", "another seed"])
def test_another_epoch_or_seed_augments_differently(prepared, seed, epoch):
    one, other = dataset(prepared), dataset(prepared, seed=seed)
    assert sum(equal(one[SampleKey(1, i)], other[SampleKey(epoch, i)]) for i in range(12)) < 6


def test_evaluation_is_the_same_in_every_epoch(prepared):
    evaluated = dataset(prepared, training=False)
    assert all(equal(evaluated[SampleKey(0, i)], evaluated[SampleKey(7, i)]) for i in range(4))


def test_a_number_alone_gives_the_sample_of_the_first_epoch(prepared):
    samples = dataset(prepared)
    assert equal(samples[2], samples[SampleKey(0, 2)]) and equal(samples[-1], samples[len(samples) - 1])
    with pytest.raises(IndexError):
        samples[len(samples)]
    assert sum(1 for _ in samples) == len(samples)


def test_a_trainer_on_the_cpu_gets_no_pinned_memory_even_beside_a_gpu(prepared, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    module = module_of(prepared)
    for device, is_pinned, batch_size in (("cpu", False, 1), ("cuda:0", True, 2)):
        module.trainer = SimpleNamespace(
            strategy=SimpleNamespace(root_device=torch.device(device)), global_rank=0, world_size=1
        )
        loader = module.val_dataloader()
        assert (loader.pin_memory, loader.batch_size) == (is_pinned, batch_size)


def test_a_dataset_is_pickled_without_its_data(prepared):
    assert len(pickle.dumps(dataset(prepared))) < 20_000
    again = pickle.loads(pickle.dumps(dataset(prepared)))
    assert equal(again[SampleKey(1, 0)], dataset(prepared)[SampleKey(1, 0)])


def test_a_photo_that_changed_its_size_since_it_was_indexed_is_told(tmp_path):
    root = write_coco_folder(tmp_path)
    changed = sources.folder(name="test", reader=CocoReader, root=str(root), cache_dir=str(root / "cache"))
    path = changed.indices["train"].path(0)
    path.write_bytes((write_coco_folder(tmp_path / "other", image_size=(10, 20)) / "train/train_0.png").read_bytes())
    with pytest.raises(InstsegError, match=r"train_0.png was 64x48 when it was indexed, is 20x10 now"):
        dataset(changed)[SampleKey(0, 0)]


def test_a_turned_photo_reaches_the_model_in_the_frame_of_its_labels(tmp_path):
    """Stored lying, shown standing, labelled standing: the box must lie on the same pixels."""
    write_picture(tmp_path / "train/a.jpg", (40, 60), orientation=6)
    labels = coco_dict([coco_image(1, "a.jpg", (60, 40))], [coco_annotation(1, 1, "car", rectangle(4, 10, 20, 55))])
    for split in ("train", "val"):
        write_json(tmp_path / f"annotations/instances_{split}.json", labels)
    write_picture(tmp_path / "val/a.jpg", (40, 60), orientation=6)
    turned = sources.folder(name="test", reader=CocoReader, root=str(tmp_path), cache_dir=str(tmp_path / "cache"))
    sample = InstanceDataset(turned.indices["train"], Augmentation(40, 60), False, 0)[SampleKey(0, 0)]
    assert sample.image.shape == (3, 60, 40)
    assert sample.target.boxes.tolist() == [[4, 10, 20, 55]]


# ---- batches


def sample(height: int, width: int, *boxes: tuple[float, ...], value: int = 7) -> Sample:
    nothing = np.zeros(0)
    truth = GroundTruth(1, (height, width), np.zeros((0, 4)), nothing.astype(int), nothing, nothing.astype(bool), [])
    return Sample(torch.full((3, height, width), value, dtype=torch.uint8), make_target(*boxes), truth)


def test_a_batch_is_padded_with_zeros_at_the_right_and_bottom_to_a_multiple_of_32():
    batch = collate([sample(33, 64), sample(20, 70)])
    assert batch.images.shape == (2, 3, 64, 96)
    assert batch.image_sizes == [(33, 64), (20, 70)]
    for image, (height, width) in zip(batch.images, batch.image_sizes, strict=True):
        assert (image[:, :height, :width] == 7).all()
        assert image.sum() == 7 * 3 * height * width


def test_a_size_that_fits_is_not_padded():
    assert collate([sample(64, 96)]).images.shape == (1, 3, 64, 96)


@pytest.mark.parametrize("num_images", [1, 3])
def test_images_of_a_batch_lie_in_memory_channel_last(num_images):
    images = collate([sample(32, 64) for _ in range(num_images)]).images
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert images.stride() == (32 * 64 * 3, 1, 64 * 3, 3)


def test_targets_come_through_whatever_their_number():
    counts = [2, 0, 1]
    boxes = [[(i, i, i + 5.0, i + 6.0) for i in range(count)] for count in counts]
    batch = collate([sample(32, 32, *some) for some in boxes])
    assert [len(target) for target in batch.targets] == counts
    assert [target.boxes.tolist() for target in batch.targets] == [[list(box) for box in some] for some in boxes]
    assert [target.labels.tolist() for target in batch.targets] == [[1, 2], [], [1]]
    assert all(target.box_masks.shape[1:] == (BOX_MASK_SIZE, BOX_MASK_SIZE) for target in batch.targets)


def test_regions_to_ignore_stay_with_their_images():
    samples = [sample(32, 32, (1, 1, 5, 5)) for _ in range(4)]
    for place, count in ((1, 2), (3, 1)):
        boxes = torch.arange(4.0 * count).view(count, 4) + place
        samples[place].target.ignored = IgnoredRegions(boxes, torch.ones(count, 4, 4, dtype=torch.uint8))
    batch = collate(samples).to("cpu")
    assert [target.ignored and target.ignored.boxes.tolist() for target in batch.targets] == [
        one.target.ignored and one.target.ignored.boxes.tolist() for one in samples
    ]
    kept = [target.ignored.box_masks.untyped_storage().data_ptr() for target in batch.targets if target.ignored]
    assert len({*kept}) == 1


def test_an_instance_of_a_negative_label_has_no_mask_and_stays_with_its_image():
    boxes, masks = np.zeros((3, 4), np.float32), np.zeros((3, BOX_MASK_SIZE, BOX_MASK_SIZE), np.uint8)
    mixed = _target(boxes, np.array([CAR, 0, -DOG]), masks)
    assert mixed.labels.tolist() == [CAR, DOG] and mixed.has_mask.tolist() == [True, False]
    assert len(mixed.ignored.boxes) == 1
    assert _target(boxes[:1], np.array([CAR]), masks[:1]).has_mask is None
    samples = [sample(32, 32, (1, 1, 5, 5)) for _ in range(3)]
    samples[1].target = mixed
    flags = [target.has_mask for target in collate(samples).to("cpu").targets]
    assert flags[0] is flags[2] is None and flags[1].tolist() == [True, False]


def test_a_batch_of_empty_images_keeps_the_full_schema():
    batch = collate([sample(32, 32), sample(32, 32)])
    assert [tuple(target.boxes.shape) for target in batch.targets] == [(0, 4), (0, 4)]


def test_a_batch_holds_few_open_files_when_it_comes_from_a_worker():
    """Each storage that a worker sends keeps a file open here: 16 images must not mean 48."""
    targets = collate([sample(32, 32, (1, 1, 5, 5)) for _ in range(16)]).targets
    storages = {getattr(target, name).untyped_storage().data_ptr() for target in targets for name in FIELDS}
    assert len(storages) == 3


# ---- samplers


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 4), st.integers(0, 3), st.integers(0, 3))
def test_an_epoch_covers_every_image_and_gives_every_rank_the_same_number_of_full_batches(
    num_images, batch_size, world_size, seed, epoch
):
    per_rank = []
    for rank in range(world_size):
        sampler = TrainSampler(num_images, batch_size, seed, rank, world_size)
        sampler.set_epoch(epoch)
        keys = list(sampler)
        assert {key.epoch for key in keys} == {epoch}
        assert len(keys) == len(sampler)
        assert len(keys) % batch_size == 0
        per_rank.append([key.image_index for key in keys])
    assert len({len(positions) for positions in per_rank}) == 1
    together = [position for positions in zip(*per_rank, strict=True) for position in positions]
    assert sorted(set(together)) == list(range(num_images))
    assert sorted(together[:num_images]) == list(range(num_images)), "ranks share nothing but the filling at the end"
    assert len(together) - num_images < batch_size * world_size


def test_epochs_and_seeds_have_orders_of_their_own():
    def order(seed: int, epoch: int) -> list[int]:
        sampler = TrainSampler(50, 2, seed)
        sampler.set_epoch(epoch)
        return [key.image_index for key in sampler]

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


@given(st.integers(1, 30), st.integers(1, 4), st.integers(1, 3), st.data())
def test_resuming_in_the_middle_gives_exactly_the_rest_of_the_epoch(num_images, batch_size, world_size, data):
    rank = data.draw(st.integers(0, world_size - 1))
    whole, resumed = (TrainSampler(num_images, batch_size, 0, rank, world_size) for _ in range(2))
    whole.set_epoch(4)
    done = data.draw(st.integers(0, len(whole)))
    resumed.resume(4, done)
    resumed.set_epoch(4)  # as the trainer does
    assert list(resumed) == list(whole)[done:]
    whole.set_epoch(5)
    resumed.set_epoch(5)
    assert list(resumed) == list(whole), "the next epoch is whole again"


def test_a_rare_category_brings_its_images_more_often():
    has_category = np.array([[1, 0], [1, 0], [1, 0], [1, 1], [0, 0]], dtype=bool)
    common, rare = 1.0, np.sqrt(0.5 / 0.2)  # of 5 images 4 have the first, 1 the second
    np.testing.assert_allclose(repeat_factors(has_category, 0.5), [common, common, common, rare, 1])


@given(st.lists(st.floats(1, 3.5), min_size=1, max_size=20), st.integers(0, 5), st.integers(1, 3))
def test_each_image_comes_as_often_as_its_factor_rounded_up_or_down(factors, epoch, world_size):
    samplers = [TrainSampler(len(factors), 1, 0, rank, world_size, np.array(factors)) for rank in range(world_size)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    keys = {key for sampler in samplers for key in sampler}
    assert {key.image_index for key in keys} == set(range(len(factors)))
    for image, factor in enumerate(factors):
        repeats = sorted(key.repeat for key in keys if key.image_index == image)
        assert repeats == list(range(len(repeats))), "each time with an augmentation of its own"
        assert len(repeats) in (math.floor(factor), math.ceil(factor))


def test_over_many_epochs_an_image_comes_as_often_as_its_factor():
    sampler = TrainSampler(4, 1, 0, factors=np.array([1, 1.25, 2.5, 1]))
    counts = np.zeros(4)
    for epoch in range(400):
        sampler.set_epoch(epoch)
        counts += np.bincount([key.image_index for key in set(sampler)], minlength=4)
    np.testing.assert_allclose(counts / 400, [1, 1.25, 2.5, 1], atol=0.08)


@given(st.integers(1, 30), st.integers(1, 4))
def test_evaluation_sees_each_image_once_over_all_ranks(num_images, world_size):
    samplers = [EvalSampler(num_images, rank, world_size) for rank in range(world_size)]
    seen = [key.image_index for sampler in samplers for key in sampler]
    assert sorted(seen) == list(range(num_images))
    assert sum(map(len, samplers)) == num_images


# ---- the data module


def module_of(prepared: PreparedDataset, num_workers: int | str = 0, **options) -> InstanceDataModule:
    return InstanceDataModule(prepared, augmentation(), batch_size=2, num_workers=num_workers, **options)


def an_epoch(prepared: PreparedDataset, num_workers: int, epoch: int = 1) -> dict[int, Sample]:
    loader = module_of(prepared, num_workers).train_dataloader()
    loader.sampler.set_epoch(epoch)
    return {image_id: sample for batch in loader for image_id, sample in samples_of(batch).items()}


def test_any_number_of_workers_makes_the_same_samples(prepared):
    alone = an_epoch(prepared, 0)
    assert len(alone) == 12
    for num_workers in (1, 2):
        helped = an_epoch(prepared, num_workers)
        assert list(helped) == list(alone), "in the same order"
        assert all(equal(helped[image_id], alone[image_id]) for image_id in alone)


def test_any_number_of_ranks_makes_the_same_samples(prepared):
    alone, data = an_epoch(prepared, 0), dataset(prepared)
    for rank in (0, 1):
        sampler = TrainSampler(len(data), 2, 0, rank, 2)
        sampler.set_epoch(1)
        for key in sampler:
            made = data[key]
            assert equal(made, alone[made.ground_truth.image_id])


def test_workers_that_stay_augment_every_epoch_differently(prepared):
    loader = module_of(prepared, 1).train_dataloader()
    epochs = []
    for epoch in (0, 1):
        loader.sampler.set_epoch(epoch)
        epochs.append({image_id: s for batch in loader for image_id, s in samples_of(batch).items()})
    assert list(epochs[0]) != list(epochs[1])
    assert sum(equal(epochs[0][image_id], epochs[1][image_id]) for image_id in epochs[0]) < 6


def test_evaluation_loaders_give_every_image_once_in_order(prepared):
    data = module_of(prepared)
    for loader, split in ((data.val_dataloader(), "val"), (data.test_dataloader(), "test")):
        index = prepared.indices[split]
        assert [i for batch in loader for i in batch.image_ids] == [index.image_id(i) for i in range(len(index))]


def test_learning_by_heart_trains_and_evaluates_on_the_same_images(prepared):
    data = module_of(prepared, overfit_images=3)
    trained = {i for batch in data.train_dataloader() for i in batch.image_ids}
    assert trained == {i for batch in data.val_dataloader() for i in batch.image_ids}
    assert len(trained) == 3


def test_the_automatic_number_of_workers_leaves_half_of_the_cores(prepared, monkeypatch):
    assert 0 <= auto_workers() <= 8
    for cores, expected in ((1, 0), (2, 1), (12, 6), (64, 8)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _pid, n=cores: set(range(n)), raising=False)
        assert auto_workers() == expected
    assert module_of(prepared, "auto").num_workers == 8


@pytest.mark.parametrize("num_workers", first(1, [1, 0]))
def test_a_loader_goes_on_with_exactly_the_images_that_were_still_to_come(prepared, num_workers):
    for epoch in (0, 1):
        whole = module_of(prepared).train_dataloader()
        whole.sampler.set_epoch(epoch)
        batches = [batch.image_ids for batch in whole]
        for done in range(len(batches)):
            data = module_of(prepared, num_workers)
            data.load_state_dict({"epoch": epoch, "samples": 2 * done})
            assert [batch.image_ids for batch in data.train_dataloader()] == batches[done:]
