"""Damaged folders through the whole preparation: our own error, or data of which every row can be used.

One case of each kind by default, a few in the slow set. Thousands, and one of them again (the seed stands in the name
of a failed test):

    FUZZ_CASES=3000 pytest tests/data/formats/test_fuzzed_folders.py -m ""
    FUZZ_CASES=1 FUZZ_SEED=1234 pytest tests/data/formats/test_fuzzed_folders.py -k labelme
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import SHARED, write_coco_folder
from fuzzing import JUNK_TEXTS, damage_folder
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from PIL import Image as PilImage
from reading import JUNK, mutated_bytes, mutated_json
from rich.console import Console
from sampled import first
from small_folders import copy_a_few, labelme_beside
from small_folders_of_tools import ALL_MAKERS

from instseg.auditing.audit_options import AuditOptions
from instseg.auditing.dataset import audit_dataset
from instseg.auditing.gallery import labelled_gallery
from instseg.auditing.page import write_audit_page
from instseg.auditing.report import write_audit_json
from instseg.auditing.terminal import print_audit
from instseg.auditing.thumbnails import illustrate
from instseg.core.errors import InstsegError
from instseg.core.masks import polygon_area, rle_area, rle_to_bitmask
from instseg.data.fetch.dataset_root import local_root
from instseg.data.formats.auto import FORMATS, AutoReader, recognise_format
from instseg.data.formats.coco.reader import CocoReader
from instseg.data.formats.labelme.reader import LabelmeReader
from instseg.data.formats.multi import MultiReader
from instseg.data.index.columns import Index
from instseg.data.prepared import PreparedDataset
from instseg.data.reading.findings import KINDS, Findings
from instseg.data.reading.findings_file import read_findings
from instseg.data.reading.images import read_image
from instseg.data.reading.label_rules import CHOICES
from instseg.data.sources import folder

NUM_CASES, FIRST_SEED = int(os.environ.get("FUZZ_CASES", "3")), int(os.environ.get("FUZZ_SEED", "0"))
SEEDS = range(FIRST_SEED, FIRST_SEED + NUM_CASES)
AUDITED = SEEDS[: 1 + NUM_CASES // 10]
REAL = {
    "coco": ("coco_tiny",),
    "labelme": ("labelme_v2_no_version", "labelme_official_example"),
    "labelstudio": ("labelstudio_cans_bbox_only",),
    "openimages": ("openimages_v6_tiny_fixture", "openimages_masks"),
    "voc": ("voc_instance_png",),
}
NOISE = re.compile(r"Traceback|<class |object at 0x|PosixPath\(|dict_keys|defaultdict|dtype=|np\.\w+\(|[a-z]Row\(")
LOST_IMAGE = ("image_missing", "image_unreadable", "image_size_differs")
LOST_SHAPE = ("shape_invalid", "shape_degenerate", "shape_fractions")


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Thousands of folders must not pile up as those of ``tmp_path`` do."""
    path = Path(tempfile.mkdtemp(prefix="fuzz")).resolve()
    yield path
    for place in [path, *path.rglob("*")]:
        if not place.is_symlink():
            place.chmod(0o700)
    shutil.rmtree(path)


def prepare(root: Path, reader: Callable[..., Any], **options: Any) -> PreparedDataset | None:
    """The dataset, checked; None where it is refused as it should be."""
    cache = str(root.parent / "cache")
    try:
        dataset = folder(name="fuzz", reader=reader, root=str(root), cache_dir=cache, **options)
    except InstsegError as error:
        check_message(str(error), root)
        return None
    check_dataset(dataset)
    assert folder(name="fuzz", reader=reader, root=str(root), cache_dir=cache, **options).folder == dataset.folder
    return dataset


def check_message(text: str, root: Path) -> None:
    assert str(root) in text or "dataset." in text, f"names neither the folder nor an option: {text}"
    assert not NOISE.search(text) and len(text) < 4000, text
    text.encode("utf-8", "surrogateescape")


def check_dataset(dataset: PreparedDataset) -> None:
    findings = read_findings(dataset.folder / "findings.json")
    for found in findings.values():
        assert found.names.keys() <= KINDS.keys()
        assert not any(NOISE.search(name) for names in found.names.values() for name in names), dict(found.names)
    for split in ("train", "val", "test"):
        if (dataset.folder / split).is_dir():
            index = dataset.indices[split]
            for position in range(len(index)):
                check_image(index, position)
            coco = json.loads((dataset.folder / f"{split}.json").read_text())
            check_conserved(coco, index, findings.get(split, Findings()))


def check_image(index: Index, position: int) -> None:
    height, width = index.image_size(position)
    try:
        image = read_image(index.path(position), rotate=index.rotate(position))
        assert image.shape == (height, width, 3)
    except InstsegError as error:
        assert str(index.path(position)) in str(error)
        assert only_decoding_tells(index.path(position))
    truth, instances = index.ground_truth(position), index.instances(position)
    assert np.isin(truth.labels, range(1, index.categories.num_classes)).all()
    assert (truth.boxes >= 0).all() and (truth.boxes <= (width, height, width, height)).all()
    assert (truth.boxes[:, :2] < truth.boxes[:, 2:]).all()
    assert (truth.areas > 0).all() and np.isfinite(truth.areas).all()
    assert all(rle_to_bitmask(rle).shape == (height, width) for rle in truth.rles)
    for parts, rle in zip(instances.polygons, instances.rles, strict=True):
        area = sum(map(polygon_area, parts)) if rle is None else rle_area(rle)
        assert 0 < area < np.inf


def only_decoding_tells(path: Path) -> bool:
    """Whether an image that cannot be decoded has all that can be checked in less time: checksums, or its end."""
    with PilImage.open(path) as image:
        image.verify()
    return image.format != "JPEG" or b"\xff\xd9" in path.read_bytes()[-1024:]


def check_conserved(coco: dict[str, Any], index: Index, findings: Findings) -> None:
    """Every image and every annotation of the json is in the index or in the findings."""
    in_index = set(index.column("image_ids").tolist())
    lost = [image for image in coco["images"] if image["id"] not in in_index]
    told = [name for kind in LOST_IMAGE for name in findings.names[kind]]
    assert len(lost) <= len(told)  # others were left out before the images were divided
    assert all(any(image["file_name"] in name for name in told) for image in lost)
    expected = Counter(a["id"] for a in coco["annotations"] if a["image_id"] in in_index)
    named = [name.split() for kind in LOST_SHAPE for name in findings.names[kind] if name.startswith("annotation ")]
    assert Counter(index.column("annotation_ids").tolist()) + Counter(int(words[1]) for words in named) == expected


# ---- folders


def test_every_format_has_a_small_folder():
    assert ALL_MAKERS.keys() == FORMATS.keys()


@pytest.mark.parametrize(("name", "make"), [(name, make) for name, makers in ALL_MAKERS.items() for make in makers])
def test_an_undamaged_folder_loses_nothing(name, make, scratch):
    num_instances = make(scratch / "root")
    assert recognise_format(scratch / "root")[0] == name
    dataset = prepare(scratch / "root", AutoReader)
    assert dataset is not None
    splits = {index.folder: index for index in dataset.indices.values()}.values()
    assert sum(len(index.column("labels")) for index in splits) == num_instances


def write_source(root: Path, name: str, rng: random.Random) -> None:
    """A folder of the format: one of those made for tests, or a few files of real ones."""
    real = [SHARED / source for source in REAL.get(name, ()) if (SHARED / source).is_dir()]
    if real and rng.random() < 0.15:
        copy_a_few(rng.choice(real), root, rng)
    else:
        rng.choice(ALL_MAKERS[name])(root)


def prepare_damaged(name: str, number: int, scratch: Path) -> PreparedDataset | None:
    rng = random.Random(f"{name} {number}")
    formats = {"auto": rng.sample(sorted(FORMATS), 1), "multi": rng.sample(sorted(FORMATS), 2)}.get(name, [name])
    root, options = scratch / "root", {}
    for number, source in enumerate(formats):
        write_source(root / str(number) if name == "multi" else root, source, rng)
    print("\n".join([*formats, *damage_folder(root, rng)]))
    if name == "multi":
        options["sources"] = {source: {"root": str(number)} for number, source in enumerate(formats)}
    return prepare(root, {"auto": AutoReader, "multi": MultiReader}.get(name) or FORMATS[name][1], **options)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", first(1, SEEDS))
@pytest.mark.parametrize("name", [*FORMATS, "auto", "multi"])
def test_a_damaged_folder_is_refused_by_our_error_or_every_row_of_it_can_be_used(name, number, scratch):
    prepare_damaged(name, number, scratch)


def audited(dataset: PreparedDataset, folder: Path) -> None:
    """The audit as ``stage=audit`` does it: on the screen, as a page and as json."""
    folder.mkdir()
    report = audit_dataset(dataset, AuditOptions(), True, folder, "fuzz")
    report = replace(illustrate(report, dataset), gallery=tuple(labelled_gallery(dataset)))
    screen = io.StringIO()
    print_audit(report, Console(file=screen))
    write_audit_page(report, folder / "audit.html")
    write_audit_json(report, folder / "audit.json")
    for text in (screen.getvalue(), (folder / "audit.html").read_text("utf-8")):
        assert text.encode() and "\x1b" not in text and "\u202e" not in text


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", AUDITED)
@pytest.mark.parametrize("name", [*FORMATS, "auto", "multi"])
def test_what_can_be_indexed_can_be_audited(name, number, scratch):
    dataset = prepare_damaged(name, number, scratch)
    if dataset is not None:
        audited(dataset, scratch / "audit")


# ---- options

NAME = st.sampled_from(["car", "dog", "cake", "Car ", "", "x", "1"]) | st.sampled_from([1, True, None, 1.5, "\ud800"])
NUMBER = st.sampled_from(
    [0, 1, 2, 3, 7, -1, 2**70, 0.5, 1e-300, 1e308, float("nan"), float("inf"), None, True, "1", "x", []]
)
PATTERN = st.sampled_from(["similar", ".", r"(.*)_\d", "(", "^", "(?P<x>.)(?P<y>b)?", "", "*", 3, None, ["a"]])
SPLIT = st.sampled_from(["train", "val", "test", "trian", 1])
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "categories": st.none() | NAME | st.lists(NAME, max_size=3),
        "rename": st.none() | st.dictionaries(NAME, NAME, max_size=2) | NAME,
        "drop": st.none() | NAME | st.lists(NAME, max_size=2),
        "max_images": st.none() | st.dictionaries(SPLIT, NUMBER, max_size=3) | NUMBER,
        "split_ratio": st.none() | st.dictionaries(SPLIT, NUMBER, max_size=3) | NUMBER,
        "empty_ratio": NUMBER,
        "group_by": PATTERN,
        "folds": st.sampled_from([None, 2, 3, 4]) | NUMBER,
        "fold": st.sampled_from([0, 1]) | NUMBER,
        "seed": NUMBER,
        "value_range": st.lists(NUMBER, max_size=3) | st.sampled_from([[0, 4095], None, "x", (1, 2)]) | NUMBER,
        "exif": st.sampled_from(["auto", "upright", "stored", "x", None, 1]),
        **{option: st.sampled_from([*choices, "x", None, 1, []]) for option, choices in CHOICES.items()},
        "splits_file": st.sampled_from([None, "good.json", "damaged.json", "gone.json", ".", "", 1, "a\0"]),
    },
)


@seed(FIRST_SEED)
@settings(max_examples=3 * NUM_CASES, deadline=None, database=None)
@given(options=OPTIONS, has_splits=st.booleans(), number=st.integers(0, 1000))
def test_options_of_any_value_are_refused_with_their_name_or_do_what_they_say(options, has_splits, number):
    with tempfile.TemporaryDirectory(prefix="fuzz") as path:
        root = Path(path).resolve() / "root"
        if has_splits:
            write_coco_folder(root)
        else:
            labelme_beside(root)
        reader = CocoReader if has_splits else LabelmeReader
        names = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*.png"))]
        listed = {"train": names[:2], "val": names[2:3], "unused": names[3:]}
        (root.parent / "good.json").write_text(json.dumps(listed))
        (root.parent / "damaged.json").write_text(json.dumps(mutated_json(listed, random.Random(number))))
        if isinstance(file := options.get("splits_file"), str) and file:
            options = {**options, "splits_file": f"{root.parent}/{file}"}
        dataset = prepare(root, reader, **options)
        if dataset is not None and options.get("drop"):
            assert not set(dataset.categories.names) & {str(options["drop"])}


OWN_OPTIONS = {
    "labelme": ("unlabelled",),
    "labelstudio": ("images", "image_key"),
    "openimages": ("boxes",),
    "voc": ("difficult",),
    "mask_folder": ("category", "names", "components", "pattern", "image_folder"),
    "via": ("attribute",),
    "coco": ("splits",),
    "multi": ("sources",),
}


@pytest.mark.parametrize("number", SEEDS)
@pytest.mark.parametrize("name", OWN_OPTIONS)
def test_a_readers_own_options_of_any_value_are_refused_with_their_name_or_used(name, number, scratch):
    rng = random.Random(f"own options {name} {number}")
    own = {
        "sources": {
            "a": {"root": ".", "rename": {"car": "x"}, "drop": ["dog"], "format": "coco"},
            "b": {"root": "gone"},
        },
        "splits": {"train": {"annotations": "labels.json", "images": "data"}},
        "names": {1: "car", "#ff0000": None},
        "pattern": r".*/(?P<stem>\w)\.png",
    }
    chosen = rng.choice(OWN_OPTIONS[name])
    value = mutated_json(own.get(chosen, rng.choice([*JUNK, *JUNK_TEXTS])), rng)
    print(chosen, repr(value))
    write_source(scratch / "root", "coco" if name == "multi" else name, rng)
    prepare(scratch / "root", MultiReader if name == "multi" else FORMATS[name][1], **{chosen: value})


# ---- archives

MEMBERS = (
    "a.json",
    "a/b.txt",
    "a",
    "../x",
    "/etc/x",
    "C:\\x",
    "a\\b",
    "a/../b",
    "a/./b",
    "./c",
    "a//b",
    "\0",
    " ",
    "..",
)


@pytest.mark.parametrize("number", [number for start in SEEDS for number in (2 * start, 2 * start + 1)])
def test_an_archive_of_any_names_is_unpacked_into_the_cache_or_refused(number, scratch):
    rng = random.Random(f"archive {number}")
    archive = scratch / "x.zip"
    with zipfile.ZipFile(archive, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as opened:
        for _ in range(rng.randint(0, 5)):
            name = rng.choice([*MEMBERS, *JUNK_TEXTS, "x" * 300, "d/" * 2000 + "x"])
            info = zipfile.ZipInfo("x")
            info.filename = name.encode("utf-8", "replace").decode() + rng.choice(["", "", "", "/"])
            info.external_attr = rng.choice([0o644, 0o755, 0o120777, 0]) << 16
            opened.writestr(info, rng.choice([b"", b"{}", b"../../x", bytes(100)]))
    if rng.random() < 0.6:
        archive.write_bytes(mutated_bytes(archive.read_bytes(), rng))
    before = {path for path in scratch.rglob("*") if path.name != "cache"}
    try:
        unpacked = local_root(str(archive), scratch / "cache")
    except InstsegError as error:
        check_message(str(error), archive)
    else:
        assert unpacked.is_dir() and unpacked.is_relative_to(scratch / "cache")
        assert not any(path.is_symlink() for path in unpacked.rglob("*"))
    assert {path for path in scratch.rglob("*") if not path.is_relative_to(scratch / "cache")} == before
