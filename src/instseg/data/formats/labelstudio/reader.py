"""Reader of Label Studio: its COCO export (result.json with the images), or its list of tasks (JSON, JSON-MIN)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from instseg.core.errors import InstsegError
from instseg.core.files import read_json
from instseg.core.text import list_names
from instseg.core.types import CocoDict
from instseg.data.formats.coco.annotations import read_coco
from instseg.data.formats.labelstudio.coco import fix_rotated_images, header_of, without_repeated
from instseg.data.formats.labelstudio.exports import any_coco, find_exports, folder_of_predictions, holds_tasks
from instseg.data.formats.labelstudio.images import LabelStudioImages
from instseg.data.formats.labelstudio.tasks import Task, add_task, read_tasks
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import check_folder, split_of
from instseg.data.reading.labels import UNSPLIT, Labels, LabelsBuilder, categories_of


def recognise(root: Path) -> str | None:
    """Describe the exports at ``root`` or one folder below; None when there are none."""
    files = find_exports(root)
    return f"{len(files)} Label Studio json ({list_names((file.name for file in files), 2)})" if files else None


@dataclass(frozen=True, slots=True)
class Export:
    """The content of an export: tasks with the files of their images, or COCO with the files of its images by id."""

    file: Path
    content: object
    tasks: list[tuple[Task, Path]]
    images: dict[int, Path]


@dataclass(frozen=True, slots=True)
class LabelStudioReader:
    """Reader of Label Studio exports.

    Attributes:
        root: the folder of an export, or its json; exports named train, val and test, or in such folders, are splits.
        images: the folder of the images (from the root), or its URL (s3://…, gs://…); None: below the root.
        image_key: the key of the image in a task's data, where there are several candidates.
        cache_dir: where fetched images are kept.
    """

    FORMAT: ClassVar[str] = "labelstudio"
    VERSION: ClassVar[int] = 2
    root: Path
    images: str | None = None
    image_key: str | None = None
    cache_dir: str | None = None

    def exports(self) -> list[Export]:
        """Read every export as it is, with the files of its images, for whoever writes a corrected copy of it."""
        files = self.label_files()
        images = LabelStudioImages(self._folder, self.images or folder_of_predictions(files), self.cache_dir)
        return [self._export(file, images) for file in files]

    def _export(self, file: Path, images: LabelStudioImages) -> Export:
        content, near, findings = read_json(file), file.parent.relative_to(self._folder).as_posix(), Findings()
        if holds_tasks(file):
            tasks = read_tasks(content, file, self.image_key, findings)
            paths = images.locate([task.image for task in tasks], near, findings)
            return Export(file, content, [(task, paths[task.image]) for task in tasks], {})
        listed = read_coco(file, findings)["images"]
        paths = images.locate([image["file_name"] for image in listed], near, findings)
        return Export(file, content, [], {image["id"]: paths[image["file_name"]] for image in listed})

    def label_files(self) -> list[Path]:
        """Return the json of each export."""
        return list(self._exports().values())

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Read every export and find its images."""
        exports = self._exports()
        folder = self.images or folder_of_predictions(exports.values())
        images = LabelStudioImages(self._folder, folder, self.cache_dir)
        read = {split: self._read(file, images, findings[split]) for split, file in exports.items()}
        _list_same_categories([coco for coco, _ in read.values()])
        _report_unlabelled(images, [path for _, paths in read.values() for path in paths], findings[next(iter(read))])
        return {split: _from_image_root(coco, paths, images) for split, (coco, paths) in read.items()}

    @property
    def _folder(self) -> Path:
        return self.root.parent if self.root.is_file() else self.root

    def _exports(self) -> dict[str, Path]:
        """Return the export of each split."""
        if self.root.is_file():
            return {UNSPLIT: self.root}
        check_folder(self.root)
        files = find_exports(self.root) or any_coco(self.root)
        if len(files) == 1:
            return {UNSPLIT: files[0]}
        found: dict[str, Path] = {}
        for file in files:
            split = split_of(file, self.root)
            if split is None or split in found:
                names = list_names(str(file.relative_to(self.root)) for file in files)
                raise InstsegError(
                    f"{self.root}: several exports, which are not one for each split: {names}. Name one as the "
                    "root (dataset.root=…/result.json), or read several together with dataset=multi"
                )
            found[split] = file
        return found

    def _read(self, file: Path, images: LabelStudioImages, findings: Findings) -> tuple[CocoDict, list[Path]]:
        """Read one export; also return the path of each of its images."""
        near = file.parent.relative_to(self._folder).as_posix()
        if holds_tasks(file):
            return self._read_tasks(file, near, images, findings)
        coco = read_coco(file, findings)
        paths = images.locate([image["file_name"] for image in coco["images"]], near, findings)
        coco = without_repeated(coco, paths, findings)
        fix_rotated_images(coco, paths, findings)
        return coco, [paths[image["file_name"]] for image in coco["images"]]

    def _read_tasks(
        self, file: Path, near: str, images: LabelStudioImages, findings: Findings
    ) -> tuple[CocoDict, list[Path]]:
        tasks = read_tasks(read_json(file), file, self.image_key, findings)
        paths = images.locate([task.image for task in tasks], near, findings)
        builder = LabelsBuilder()
        used: dict[Path, str] = {}
        for task in tasks:
            path = paths[task.image]
            if path in used:
                findings.add("image_labelled_twice", f"{path.name} ({task.name}, after {used[path]})")
                continue
            used[path] = task.name
            header = None if task.image_size else header_of(path)
            image_size = task.image_size or (header.displayed_size if header else None)
            add_task(builder, task, path.name, image_size, findings)
        return builder.coco(categories_of([builder])), list(used)


def _list_same_categories(cocos: Iterable[CocoDict]) -> None:
    """Add to every split the categories of the others."""
    splits = list(cocos)
    names = dict.fromkeys(category["name"] for coco in splits for category in coco["categories"])
    for coco in splits:
        categories = coco["categories"]
        missing = names.keys() - {category["name"] for category in categories}
        first = max((category["id"] for category in categories), default=0) + 1
        for category_id, name in enumerate((name for name in names if name in missing), start=first):
            categories.append({"id": category_id, "name": name})


def _report_unlabelled(images: LabelStudioImages, paths: Iterable[Path], findings: Findings) -> None:
    used = set(paths)
    if images.address is None:
        for name in images.names:
            if images.folder / name not in used:
                findings.add("image_unlabelled", name)


def _from_image_root(coco: CocoDict, paths: list[Path], images: LabelStudioImages) -> Labels:
    root, names = images.image_root(paths)
    for image, name in zip(coco["images"], names, strict=True):
        image["file_name"] = name
    return Labels(coco, root)
