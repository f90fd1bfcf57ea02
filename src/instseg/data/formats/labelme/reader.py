"""Reader of LabelMe's format, also written by AnyLabeling and others: one json for each image.

A json lies beside its image or in a separate folder. It describes the image that has its own name, else the image
embedded in it, else the image it names: a copied or renamed json still names the image it was made for, so that name
is the weakest evidence. Shapes with the same label and group_id are one instance. A json without shapes declares its
image empty; an image without json is left out unless ``unlabelled`` is ``empty``. A json whose shapes are still those
that ``predict.py`` wrote is a prediction, unless its box ``checked`` is ticked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from instseg.core.decoding import EncodingDoubt
from instseg.core.errors import InstsegError
from instseg.core.files import read_json
from instseg.core.text import list_names
from instseg.core.types import CocoImage, ImageSize
from instseg.data.formats.groups import Groups, check_groups, plain_group, tell_groups
from instseg.data.formats.labelme.contents import declared_size, is_labelme, is_prediction, read_by_labels
from instseg.data.formats.labelme.images import LabelmeImages
from instseg.data.formats.labelme.parts import add_instance, has_mask
from instseg.data.formats.labelme.shapes import Instance, read_instances
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import ImageFinder, check_all_split, check_folder, common_root, split_of_folders, walk
from instseg.data.reading.images import read_image_header
from instseg.data.reading.labels import UNSPLIT, Labels, LabelsBuilder, categories_of

UNLABELLED = ("leave_out", "empty")
NUM_PROBED = 5
MAX_PROBED_BYTES = 50_000_000


def recognise(root: Path) -> str | None:
    """Describe the LabelMe json below ``root``; None unless they are most of a sample of all json."""
    if not root.is_dir():
        return None
    files = list(_json_files(root))
    sample = files[:: max(1, len(files) // NUM_PROBED)][:NUM_PROBED]
    num_labelme = sum(map(_looks_like_labelme, sample))
    return f"{len(files)} LabelMe json" if num_labelme * 2 > len(sample) else None


def _looks_like_labelme(file: Path) -> bool:
    try:
        return file.stat().st_size <= MAX_PROBED_BYTES and is_labelme(read_json(file))
    except (InstsegError, OSError):
        return False


def _json_files(root: Path) -> Iterator[Path]:
    return (path for path in walk(root) if path.suffix.lower() == ".json")


@dataclass(frozen=True, slots=True)
class LabelmeReader:
    """Reader of LabelMe json.

    Attributes:
        root: a folder with json at any depth; folders named train, val and test are splits.
        unlabelled: ``leave_out`` skips images without json, ``empty`` reads them as images without instances.
        groups: ``join`` takes shapes of one label and group_id for parts of one instance, ``ignore`` reads each as one.
        cache_dir: where to write images that exist only inside their json; None: they are left out.
    """

    FORMAT: ClassVar[str] = "labelme"
    VERSION: ClassVar[int] = 4
    root: Path
    unlabelled: str = "leave_out"
    groups: str = "join"
    cache_dir: str | None = None

    def __post_init__(self) -> None:
        """Raise InstsegError for an unknown value of an option."""
        check_groups(self.groups)
        if self.unlabelled not in UNLABELLED:
            raise InstsegError(f"dataset.unlabelled={self.unlabelled}: expected one of {', '.join(UNLABELLED)}")

    def label_files(self) -> Iterable[Path]:
        """Return the json, and the folders of the images if those without json count: a new one changes the folder."""
        check_folder(self.root)
        files = list(_json_files(self.root))
        if self.unlabelled == "empty":
            files += {self.root / PurePosixPath(name).parent for name in ImageFinder(self.root).names}
        return files

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Read all json below the root.

        Raises:
            InstsegError: no json is LabelMe's, or none has an instance.
        """
        check_folder(self.root)
        collected = _Collector(self.root, LabelmeImages(self.root, self.cache_dir), findings, self.groups == "join")
        files = [PurePosixPath(file.relative_to(self.root).as_posix()) for file in _json_files(self.root)]
        # A json without an image of its own name may name that of another json: json with their own image go first.
        for file in sorted(files, key=lambda file: collected.images.own(file) is None):
            collected.add(file)
        collected.add_ambiguous()
        if not collected.num_files:
            raise InstsegError(
                f"{self.root}: expected LabelMe json (with a list named shapes), found {list_names(files)} "
                "among its json"
            )
        collected.add_unlabelled(as_empty=self.unlabelled == "empty")
        return collected.labels()


class _Collector:
    """The labels read so far, by split."""

    def __init__(self, root: Path, images: LabelmeImages, findings: Mapping[str, Findings], joins_groups: bool) -> None:
        self.root, self.images, self._findings, self._joins_groups = root, images, findings, joins_groups
        self._groups = Groups()
        self._ambiguous: list[PurePosixPath] = []  # text in two encodings
        self.num_files = 0
        self._builders: defaultdict[str, LabelsBuilder] = defaultdict(LabelsBuilder)
        self._label_files: dict[str, PurePosixPath] = {}  # of each image

    def add(self, file: PurePosixPath) -> None:
        """Read one json, given as its path from the root; one in two encodings waits for ``add_ambiguous``."""
        doubts: list[EncodingDoubt] = []
        try:
            content = read_json(self.root / file, doubts.append)
        except InstsegError as error:
            self._findings[self._split(file)].add("label_invalid", str(error))
            return
        if any(doubt.chinese for doubt in doubts):
            self._ambiguous.append(file)
        else:
            self._add_content(file, content, doubts)

    def add_ambiguous(self) -> None:
        """Read the json that wait, in the encoding whose labels the others have."""
        labels = categories_of(self._builders.values())
        for file in self._ambiguous:
            self._add_content(file, *read_by_labels(self.root / file, labels))

    def _add_content(self, file: PurePosixPath, content: object, doubts: Iterable[EncodingDoubt]) -> None:
        split = self._split(file)
        findings = self._findings[split]
        for doubt in doubts:
            findings.add("encoding_guessed", f"{file} ({doubt})")
        if not is_labelme(content):
            findings.add("label_file_foreign", str(file))
        elif not isinstance(shapes := content["shapes"], list):
            findings.add("label_invalid", f"{file}: shapes is not a list")
        else:
            self.num_files += 1
            image = self.images.image_of(file, content, findings)
            if image is not None and self._is_first(image, file, findings):
                self._groups.add(_groups_in(shapes), str(file))
                self._add_image(image, content, read_instances(shapes, str(file), findings, self._joins_groups), split)

    def _is_first(self, image: str, file: PurePosixPath, findings: Findings) -> bool:
        first = self._label_files.setdefault(image, file)
        if first is not file:
            findings.add("image_labelled_twice", f"{image} ({first} is used, {file} is not)")
        return first is file

    def _add_image(self, image: str, content: Mapping[str, object], instances: list[Instance], split: str) -> None:
        builder, file = self._builders[split], self._label_files[image]
        size = declared_size(content)
        if size is None and any(has_mask(instance.parts) for instance in instances):
            size = _displayed_size(self.root / image)
        image_id = builder.add_image(image, size, is_prediction(content))
        for instance in instances:
            try:
                add_instance(builder, image_id, instance.label, instance.parts, size)
            except InstsegError as error:
                self._findings[split].add("shape_invalid", f"{file}: {instance.label}: {error}")

    def add_unlabelled(self, as_empty: bool) -> None:
        """Add the images without json, or report them."""
        for image in self.images.finder.names:
            if image not in self._label_files:
                split = self._split(PurePosixPath(image))
                if as_empty:
                    self._builders[split].add_image(image)
                else:
                    self._findings[split].add("image_unlabelled", image)

    def _split(self, file: PurePosixPath) -> str:
        """Return the split of a label file or image by its folders, else by those of the image with the same name."""
        places = (file, self.images.own(file) or "")
        return next((s for place in places if (s := split_of_folders(self.root / place, self.root))), UNSPLIT)

    def labels(self) -> dict[str, Labels]:
        """Build the labels of every split."""
        builders = {split: builder for split, builder in self._builders.items() if builder.images}
        if self._joins_groups:
            tell_groups(self._groups, LabelmeReader.FORMAT, self._findings[next(iter(builders), UNSPLIT)])
        if not builders:
            raise InstsegError(f"{self.root}: its images exist only inside the json; set cache_dir to write them there")
        unsplit = [image["file_name"] for image in self._builders[UNSPLIT].images]
        check_all_split(unsplit, builders.keys() - {UNSPLIT}, self.root)
        categories = categories_of(builders.values())
        if not categories:
            left_out = (f"{len(n)} {kind}" for found in self._findings.values() for kind, n in found.names.items())
            raise InstsegError(
                f"{self.root}: none of {self.num_files} LabelMe json has a shape that is an instance; "
                f"left out: {list_names(left_out)}"
            )
        image_root = _start_from_one_folder([image for b in builders.values() for image in b.images], self.root)
        return {split: Labels(builder.coco(categories), image_root) for split, builder in builders.items()}


def _groups_in(shapes: Sequence[object]) -> Iterator[tuple[str, object]]:
    entries = (shape for shape in shapes if isinstance(shape, Mapping))
    yield from ((str(shape.get("label")), plain_group(shape.get("group_id"))) for shape in entries)


def _displayed_size(image: Path) -> ImageSize | None:
    """Return the size of an image as displayed, which is how LabelMe shows it; None if it cannot be read."""
    try:
        return read_image_header(image).displayed_size
    except InstsegError:
        return None


def _start_from_one_folder(images: list[CocoImage], root: Path) -> Path:
    """Make all file names relative to one folder, which is returned; images outside the root have absolute names."""
    if not any(PurePosixPath(image["file_name"]).is_absolute() for image in images):
        return root
    paths = [root.resolve() / image["file_name"] for image in images]
    folder = common_root({path.parent for path in paths}, root.resolve())
    for image, path in zip(images, paths, strict=True):
        image["file_name"] = path.relative_to(folder).as_posix()
    return folder
