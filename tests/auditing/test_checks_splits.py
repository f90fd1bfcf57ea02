"""Whether every split has enough of every category."""

from __future__ import annotations

import shlex
import time

import pytest
from auditing.made import IMAGE_SIZE, audited_for, labelled, one_car_each
from factories import rectangle, write_json, write_picture
from hydra.core.override_parser.overrides_parser import OverridesParser

from instseg.auditing.dataset import audit_dataset
from instseg.auditing.report import Severity
from instseg.core.errors import InstsegError
from instseg.data.formats.multi import MultiReader
from instseg.data.sources import folder

CAR = ("car", rectangle(10, 10, 50, 40))
DOG = ("dog", rectangle(10, 10, 50, 40))


def value_of(command: str):
    return OverridesParser.create().parse_override(shlex.split(command)[0]).value()


def with_categories(split: str, counts: dict[str, int]):
    """One image of one instance for each."""
    names = [name for name, count in counts.items() for _ in range(count)]
    images = {f"{split}_{i}.png": [(name, CAR[1])] for i, name in enumerate(names)}
    return labelled(images, {name: number for number, name in enumerate(counts, start=1)})


def test_a_val_split_without_any_instance_is_fatal_and_says_how_to_go_on(audited):
    report = audited({"val": labelled({"a.png": [], "b.png": []})})
    (fatal,) = report.of(Severity.FATAL)
    assert fatal.kind == "no_instances_val" and fatal.count == 2
    with pytest.raises(
        InstsegError, match=r"no_instances_val: .*a\.png, b\.png(.|\n)*audit\.accept=\[no_instances_val\]"
    ):
        report.stop_if_fatal()
    report.stop_if_fatal(["no_instances_val"])


def test_a_test_split_without_any_instance_does_not_keep_from_training(audited):
    report = audited({"test": labelled({"a.png": []})})
    report.stop_if_fatal()
    assert "no_instances_test" in [finding.kind for finding in report.of(Severity.WARNING)]


def test_a_category_that_train_lacks_can_be_dropped_by_a_command(found):
    counts = {"car": 20, "Sign Board": 0}
    finding = found("category_absent_train", {s: with_categories(s, counts) for s in ("train", "val")})
    assert finding.severity == Severity.WARNING and finding.names == ["Sign Board"]
    assert value_of(finding.commands[0]) == ["Sign Board"]


def test_ordinary_objects_marked_as_crowd_are_told_by_category_and_kept_by_an_option(found, audited):
    labels = with_categories("train", {"car": 20, "dog": 12})
    for annotation in labels["annotations"][16:]:
        annotation["iscrowd"] = 1
    finding = found("crowd_ignored", {"train": labels, "val": with_categories("val", {"car": 5, "dog": 5})})
    assert finding.severity == Severity.WARNING and finding.commands == ("dataset.crowd=keep",)
    assert "dog 12, car 4" in finding.title
    assert [spot.detail for spot in finding.spots] == ["12 of 17 are marked", "4 of 25 are marked"]
    absent = found("category_absent_train", {"train": labels, "val": with_categories("val", {"car": 5, "dog": 5})})
    assert absent.commands == ("dataset.crowd=keep",), "nobody is advised to drop the category"


def test_a_category_that_one_of_two_sources_never_has_is_told_with_the_declaration(tmp_path):
    for source, counts in (("phone", {"car": 20, "dog": 0}), ("drone", {"car": 12, "dog": 8})):
        labels = with_categories(source, counts)
        write_json(tmp_path / source / "labels.json", labels)
        for i, image in enumerate(labels["images"]):
            write_picture(tmp_path / source / image["file_name"], IMAGE_SIZE, seed=i)
    sources = {name: {"root": name} for name in ("phone", "drone")}

    def finding():
        made = {"name": "made", "reader": MultiReader, "root": str(tmp_path), "cache_dir": str(tmp_path / "cache")}
        dataset = folder(**made, sources=sources, group_by=None)
        found = audit_dataset(dataset, audited_for(min_size=60, max_size=80), thorough=False).findings
        return next((one for one in found if one.kind == "category_never_labelled"), None)

    told = finding()
    assert told.severity == Severity.WARNING and told.title.endswith("dog in phone")
    (command,) = told.commands
    assert shlex.split(command) == ["+dataset.sources.phone.labels=[car]"]
    sources["phone"]["labels"] = value_of(command)
    assert finding() is None


def test_a_crowd_among_many_instances_is_a_remark(found):
    labels = with_categories("train", {"car": 20, "dog": 12})
    labels["annotations"][0]["iscrowd"] = 1
    assert found("crowd_ignored", {"train": labels}).severity == Severity.INFO


def test_a_category_that_only_val_lacks_is_shown_by_an_instance_of_train(found):
    splits = {
        "train": with_categories("train", {"car": 20, "dog": 12}),
        "val": with_categories("val", {"car": 5, "dog": 0}),
    }
    finding = found("category_absent_val", splits)
    assert finding.names == ["dog"] and finding.spots[0].split == "train"
    assert finding.spots[0].instance is not None


def test_nothing_is_said_of_categories_where_all_are_everywhere(audited):
    splits = {split: with_categories(split, {"car": 12, "dog": 12}) for split in ("train", "val")}
    assert not [finding for finding in audited(splits).findings if finding.kind.startswith("category")]


def test_categories_of_a_handful_of_instances_are_told_the_rarest_first(found):
    counts = {"car": 20, "dog": 9, "cake": 2}
    finding = found("category_rare", {"train": with_categories("train", counts), "val": with_categories("val", counts)})
    assert finding.names == ["cake", "dog"] and finding.spots[0].detail == "2 instances"
    assert value_of(finding.commands[0]) == ["car"], "to name the one that stays is shorter"


def test_names_that_differ_in_case_spaces_or_hyphens_get_the_name_of_most(found):
    counts = {"sign-board": 2, "Sign Board": 9, "car": 20, " car": 1, "cart": 5}
    finding = found("category_names_similar", {s: with_categories(s, counts) for s in ("train", "val")})
    assert finding.count == 4 and "cart" not in finding.names
    assert value_of(finding.commands[0]) == {"sign-board": "Sign Board", " car": "car"}


def test_a_misspelt_name_is_to_be_renamed_before_anything_is_dropped(found, audited):
    counts = {"bicycle": 20, "bicycl": 2, "truck\u200b": 1, "truck": 12}
    splits = {s: with_categories(s, counts) for s in ("train", "val")}
    finding = found("category_rare", splits)
    assert finding.names == ["bicycl"]
    assert [command.partition("=")[0].strip("'") for command in finding.commands] == ["dataset.rename", "dataset.drop"]
    assert value_of(finding.commands[0]) == {"bicycl": "bicycle"}
    kinds = [finding.kind for finding in audited(splits).findings]
    assert kinds.index("category_names_similar") < kinds.index("category_rare")


def test_names_that_cannot_be_typed_are_told_how_to_be_written_into_a_file(found):
    counts = {"café": 1, "Café": 5, "car": 9}
    finding = found("category_names_similar", {s: with_categories(s, counts) for s in ("train", "val")})
    assert finding.commands == () and "rename: {'café': 'Café'}" in finding.advice


def test_few_images_to_measure_on_come_with_an_error_bar(found):
    finding = found("few_images", {})
    assert finding.severity == Severity.WARNING and finding.counts == {"val": 10}
    assert "AP on 10 images may be off by up to 0.31" in finding.advice


def test_a_train_split_that_is_mostly_empty_can_be_thinned_out(found):
    images = one_car_each("train", 3) | {f"empty_{i}.png": [] for i in range(4)}
    finding = found("images_empty", {"train": labelled(images)})
    assert finding.count == 4 and finding.commands == ("dataset.empty_ratio=1.0",)
    assert found("images_empty", {"train": labelled(one_car_each("train", 4) | {"empty.png": []})}) is None


def test_too_few_images_to_fold_are_not_told_to_be_folded(found):
    assert found("few_images", {}).commands == ("sweep=kfold",)
    few = {split: labelled(one_car_each(split, 2)) for split in ("train", "val")}
    assert found("few_images", few).commands == ()


def test_thousands_of_categories_without_an_instance_are_counted_in_a_moment(found):
    names = {f"species {'abcdefghij'[i % 10]}{i}": i for i in range(1, 4001)}
    images = {f"{i}.png": [(name, CAR[1])] for i, name in enumerate([*names][:3])}
    began = time.process_time()
    assert found("category_absent_train", {"train": labelled(images, names)}).count == 3999  # 2 are of val
    assert time.process_time() - began < 10  # each compared with each would be minutes


def test_labels_that_count_the_objects_of_an_image_are_told_with_the_renaming(found):
    names = {"cow-1": 1, "cow-2": 2, "dog": 3}
    images = {f"train_{i}.png": [(name, CAR[1]) for name in names] for i in range(12)}
    finding = found("category_names_numbered", {"train": labelled(images, names)})
    assert finding.severity == Severity.WARNING
    assert value_of(finding.commands[0]) == {"cow-1": "cow", "cow-2": "cow"}


@pytest.mark.parametrize(
    ("names", "shapes"),
    [
        (["class_1", "class_2"], 1),
        (["bolt 8", "bolt 10"], 3),
        (["cow", "cow-1"], 1),
    ],
)
def test_numbers_that_are_names_are_none_of_that(audited, names, shapes):
    categories = {name: n for n, name in enumerate(names, start=1)}
    images = {f"train_{i}.png": [(name, CAR[1]) for name in names for _ in range(shapes)] for i in range(12)}
    kinds = [finding.kind for finding in audited({"train": labelled(images, categories)}).findings]
    assert "category_names_numbered" not in kinds
