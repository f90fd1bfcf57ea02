"""``instseg init``: a small project to start from."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

import yaml
from rich.console import Console

from instseg.app.conf_folder import CONFIG_DIR
from instseg.app.plain_arguments import parse_plain, plain_parser
from instseg.app.text_arguments import reference_in
from instseg.core.command_line import typed_command
from instseg.core.errors import InstsegError
from instseg.core.files import absolute_path

DESCRIPTION = """\
Write a small project into a new folder: conf/ with a data set and an
experiment, a README with the commands, and a .gitignore."""
TEMPLATES = Path(__file__).with_name("new_project")
FORMATS = (
    *("auto", "coco", "labelme", "labelstudio", "mask_folder", "openimages", "via", "voc", "yolo"),
    *("cvat", "darwin", "datumaro", "imagefolder", "panoptic", "supervisely"),
)
"""``auto``, and the names in ``formats.auto.FORMATS``: written out, so that ``--help`` need not load the readers."""
NO_ROOT = "???               # the folder with the labels: to be filled in"


def init(arguments: Sequence[str]) -> None:
    """Write the project that the arguments describe.

    Raises:
        InstsegError: the folder is not empty, or the root does not exist.
    """
    parser = plain_parser("init", DESCRIPTION)
    parser.add_argument("folder", metavar="DIR", type=Path, help="a new or an empty folder")
    parser.add_argument("--root", metavar="DIR", help="the folder with your labels; default: to be filled in later")
    parser.add_argument(
        "--format", metavar="FORMAT", choices=FORMATS, default="auto", help=f"of the labels: {', '.join(FORMATS)}"
    )
    given = parse_plain(parser, arguments)
    write_project(given.folder.expanduser(), given.root, given.format)
    edit = "" if given.root else "\n  write the folder of your labels into conf/dataset/my_data.yaml"
    Console(soft_wrap=True, highlight=False).print(
        f"{given.folder}: a project with conf/, README.md and .gitignore. Next:\n\n"
        f"  cd {shlex.quote(str(given.folder))}{edit}\n"
        f"  {typed_command('audit')} --config-dir conf dataset=my_data\n"
        f"  {typed_command('train')} --config-dir conf experiment=first",
        markup=False,
    )


def write_project(folder: Path, root: str | None, label_format: str) -> None:
    """Write the files of a project.

    Args:
        folder: new or empty.
        root: of the labels, a folder, a zip or a URL; None: to be filled in.
        label_format: an option of the group ``dataset``.

    Raises:
        InstsegError: the folder is not empty or cannot be written, or the root does not exist.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InstsegError(f"{folder}: expected a new or an empty folder")
    values = {
        "name": folder.absolute().name,
        "root": NO_ROOT if root is None else _quoted(_found(root)),
        "format": label_format,
        "conf": str(CONFIG_DIR),
    }
    try:
        _fill_templates(folder, values)
    except OSError as error:
        raise InstsegError(f"{folder}: the project cannot be written there: {error.strerror}") from error


def _fill_templates(folder: Path, values: Mapping[str, str]) -> None:
    for template in (path for path in sorted(TEMPLATES.rglob("*")) if path.is_file()):
        place = template.relative_to(TEMPLATES)
        file = folder / (".gitignore" if place.name == "gitignore" else place)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(Template(template.read_text(encoding="utf-8")).substitute(values), encoding="utf-8")


def _found(root: str) -> str:
    """Return the absolute path of a root that exists here; a URL as it is."""
    if "://" in root:
        return root
    path = absolute_path(root)
    if "${" in str(path):
        raise reference_in(f"root={root}")
    if not path.exists():
        raise InstsegError(f"root={root}: no such folder: {path}")
    return str(path)


def _quoted(text: str) -> str:
    """Quote for YAML, on one line."""
    return yaml.safe_dump(text, default_style='"', width=10_000, allow_unicode=True).strip()
