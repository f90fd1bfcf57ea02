"""Damage to folders of labels and photos, of the kinds that disks, tools and people do; everything from one seed."""

from __future__ import annotations

import csv
import glob
import io
import json
import os
import random
import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml
from PIL import Image as PilImage
from reading import JUNK_BYTES, mutated_bytes, mutated_json

JUNK_TEXTS = (
    *("", " ", "nan", "-inf", "1e999", "-1e308", "-1", "0", "9" * 400, "9" * 5000, "0x1f", "1_0", "１２", "²", "٣"),
    *("../../x.png", "/etc/passwd", "..", ".", "a/b", "C:\\x.jpg", "~", "$HOME", "%s", "{0}", "a\0b", "a\nb", "a,b"),
    *(
        "é" * 300,
        "e\u0301",
        "\u202e",
        "\ufeff",
        "\ud800",
        "\N{PILE OF POO}",
        "/m/0bt9lr",
        "images/train",
        "*",
        "[",
        "#",
    ),
)
ODD_NAMES = (
    *(
        "with space{}",
        " {}",
        "{} ",
        "-r{}",
        "%2e%2e{}",
        "na\nme{}",
        "e\u0301{}",
        "\N{PILE OF POO}{}",
        "a;b&c{}",
        "'\"{}",
    ),
    *("[bold]{}", "*{}", "$HOME{}", "back\\slash{}", "..{}", "train{}", "val{}", "masks{}", "a_mask{}", "fb26c02b-a{}"),
    *("x" * 250 + "{}", "UPPER{}", os.fsdecode(b"\xff\xfe") + "{}", ".hidden{}", "{}.bak", "con{}", "two.dots{}"),
)
TAKEN_NAMES = (
    *("a.json", "a.jpg", "x.png", "data.yaml", "labels.json", "masks.json", "result.json", "train.txt", "classes.txt"),
    *("train", "val", "test", "images", "masks", "labels", "annotations", "ImageSets/Main/train.txt", "export.csv"),
    *("x-annotations-bbox.csv", "x-class-descriptions.csv", "a.xml", "__MACOSX/a.jpg", ".DS_Store", "CACHEDIR.TAG"),
)
BOMB = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaa'>{}]><annotation><filename>&j;</filename></annotation>".format(
    "".join(f"<!ENTITY {new} '{f'&{old};' * 10}'>" for old, new in zip("abcdefghi", "bcdefghij", strict=True))
)
YAML_BOMB = "a: &a [x]\n" + "".join(
    f"{n}: &{n} [{', '.join([f'*{o}'] * 9)}]\n" for o, n in zip("abcdefgh", "bcdefghi", strict=True)
)


def damage_folder(root: Path, rng: random.Random) -> list[str]:
    """One to three things are done to the folder; what was done to which file."""
    done = []
    for _ in range(rng.randint(1, 3)):
        files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
        if not files:
            break
        labels = [file for file in files if file.suffix.lower() in EDITORS]
        pictures = [file for file in files if file.suffix.lower() in (".jpg", ".png")]
        damage, chosen = rng.choice(
            [(edit_text, labels)] * 4 + [(d, files) for d in DAMAGES] + [(repaint, pictures)] * 2
        )
        if chosen:
            file = rng.choice(chosen)
            done.append(f"{damage.__name__}: {file.relative_to(root)}")
            damage(file, root, rng)
    return done


# ---- what is written in label files


def edit_text(file: Path, root: Path, rng: random.Random) -> None:
    """A few places of what the file says are changed; it stays a whole json, csv, xml, yaml or text, if it was one."""
    try:
        text = EDITORS[file.suffix.lower()](file.read_text("utf-8-sig"), rng)
    except (ValueError, IndexError, yaml.YAMLError, ElementTree.ParseError):  # damaged before
        text = rng.choice([*JUNK_TEXTS, BOMB, "[" * 20_000, '{"a":' * 20_000])
    encoding = rng.choice(["utf-8"] * 12 + ["utf-8-sig", "utf-16", "latin-1"])
    file.write_bytes(text.encode(encoding, "surrogatepass" if encoding != "latin-1" else "replace"))


def _edit_json(text: str, rng: random.Random) -> str:
    changed = json.dumps(mutated_json(json.loads(text), rng), ensure_ascii=rng.random() < 0.5)
    keys = list(re.finditer(r'"[^"\\]{1,30}": (?=["\d])', changed))
    if keys and rng.random() < 0.1:  # the same key twice
        key = rng.choice(keys)
        return changed[: key.start()] + key[0] + '"x", ' + changed[key.start() :]
    if rng.random() < 0.1:
        return re.sub(
            r"\d+(\.\d+)?", rng.choice(["9" * 400, "1e400", "-0", "1E5", "9" * 5000]), changed, count=rng.randint(1, 40)
        )
    return changed


def _edit_csv(text: str, rng: random.Random) -> str:
    rows = list(csv.reader(io.StringIO(text)))
    for _ in range(rng.randint(1, 3)):
        row = rng.choice([row for row in rows if row])
        column, what = rng.randrange(len(row)), rng.randrange(6)
        if what < 2:
            row[column] = rng.choice(JUNK_TEXTS)
        elif what == 2:
            rows.insert(rng.randrange(len(rows) + 1), list(row))
        elif what == 3:
            del row[column:]
        elif what == 4:
            other = rng.choice(rows)
            row[column] = rng.choice(other or [""])
        else:
            for one in rows:
                one[column : column + 1] = []
    written = io.StringIO()
    csv.writer(written, delimiter=rng.choice(",,,;")).writerows(rows)
    return written.getvalue()


def _edit_xml(text: str, rng: random.Random) -> str:
    tree = ElementTree.fromstring(text)
    if rng.random() < 0.05:
        return BOMB
    for _ in range(rng.randint(1, 3)):
        parent = rng.choice([element for element in tree.iter() if len(element)] or [tree])
        if not len(parent):
            break
        child, what = rng.choice(list(parent)), rng.randrange(5)
        if what == 0:
            parent.remove(child)
        elif what == 1:
            parent.append(child)
        elif what == 2:
            child.tag = rng.choice([element.tag for element in tree.iter()])
        elif what == 3:
            child.append(ElementTree.Element("x"))
            return ElementTree.tostring(child, "unicode")
        else:
            child.text = rng.choice([junk for junk in JUNK_TEXTS if "\0" not in junk])
    return ElementTree.tostring(tree, "unicode")


def _edit_yaml(text: str, rng: random.Random) -> str:
    changed = mutated_json(yaml.safe_load(text), rng)
    bomb = YAML_BOMB + rng.choice(["names: *i\n", "train: *i\n", "nc: *i\n"]) if rng.random() < 0.05 else ""
    return bomb + yaml.safe_dump(changed, allow_unicode=True)


def _edit_lines(text: str, rng: random.Random) -> str:
    lines = [line.split(" ") for line in text.splitlines()] or [[""]]
    for _ in range(rng.randint(1, 4)):
        line, what = rng.choice(lines), rng.randrange(5)
        if what == 0:
            lines.append(list(line))
        elif what == 1:
            line.append(rng.choice(line or ["0"]))
        elif what == 2:
            del line[rng.randrange(len(line) + 1) :]
        elif line:
            line[rng.randrange(len(line))] = rng.choice(JUNK_TEXTS)
    return rng.choice(["\n", "\r\n", "\r", "\x85"]).join(map(" ".join, lines))


def _edit_json_lines(text: str, rng: random.Random) -> str:
    lines = text.splitlines()
    number = rng.randrange(len(lines))
    return "\n".join([*lines[:number], _edit_json(lines[number], rng), *lines[number + 1 :]])


EDITORS: dict[str, Callable[[str, random.Random], str]] = {
    ".json": _edit_json,
    ".jsonl": _edit_json_lines,
    ".csv": _edit_csv,
    ".xml": _edit_xml,
    ".yaml": _edit_yaml,
    ".txt": _edit_lines,
}


# ---- what the disk, a copy or a person does to any file


def change_bytes(file: Path, root: Path, rng: random.Random) -> None:
    file.write_bytes(mutated_bytes(file.read_bytes(), rng))


def cut_short(file: Path, root: Path, rng: random.Random) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: rng.choice([0, 1, rng.randrange(len(data) + 1), max(0, len(data) - rng.randint(1, 30))])])


def zero_block(file: Path, root: Path, rng: random.Random) -> None:
    """What a download that was cut off leaves of a file that was given its size at once."""
    data = file.read_bytes()
    start = rng.randrange(len(data) + 1)
    file.write_bytes(data[:start] + bytes(len(data) - start))


def swap_contents(file: Path, root: Path, rng: random.Random) -> None:
    other = rng.choice(sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink()))
    first, second = file.read_bytes(), other.read_bytes()
    file.write_bytes(second)
    other.write_bytes(first)


def remove(file: Path, root: Path, rng: random.Random) -> None:
    file.unlink()


def rename_alike(file: Path, root: Path, rng: random.Random) -> None:
    """A photo with all that is named after it."""
    new = rng.choice(ODD_NAMES).format("")
    for path in sorted(path for path in root.rglob(f"{glob.escape(file.stem)}.*") if path.is_file()):
        name = os.fsdecode(os.fsencode(new)[: 255 - len(path.suffix)]) + path.suffix
        if not (path.parent / name).is_dir():
            path.rename(path.parent / name)


def rename_oddly(file: Path, root: Path, rng: random.Random) -> None:
    suffix = rng.choice([file.suffix] * 3 + [file.suffix.upper(), "", ".txt", ".jpeg", ".png", ".json"])
    name = os.fsencode(rng.choice([*ODD_NAMES, file.stem + "{}"]).format(suffix))[-255:]
    target = file.parent / os.fsdecode(name)
    if not target.is_dir():
        file.rename(target)


def copy_elsewhere(file: Path, root: Path, rng: random.Random) -> None:
    folders = [path for path in root.rglob("*") if path.is_dir()]
    folder = rng.choice([root, file.parent, root / "copy", root / "test", *sorted(folders)])
    folder.mkdir(exist_ok=True)
    target = folder / rng.choice([file.name, f"Copy of {file.name}", f"{file.stem}{file.suffix.upper()}"])
    if not target.exists():
        shutil.copy(file, target)


def become_folder(file: Path, root: Path, rng: random.Random) -> None:
    file.unlink()
    file.mkdir()


def become_link(file: Path, root: Path, rng: random.Random) -> None:
    """To itself, to nothing, to a folder above, or to another file."""
    file.unlink()
    others = sorted(path for path in root.rglob("*") if path.is_file())
    file.symlink_to(rng.choice([file, root / "gone", file.parent, root.parent, Path("/dev/null"), *others[:2]]))


def forbid(file: Path, root: Path, rng: random.Random) -> None:
    """Nobody may read it (root may all the same)."""
    rng.choice([file, file, file.parent if file.parent != root else file]).chmod(0)


def nest_everything(file: Path, root: Path, rng: random.Random) -> None:
    folder = root / rng.choice(["nested", "train", "val2017", "images", "masks", "odd [name]"])
    if not folder.exists():
        entries = list(root.iterdir())
        folder.mkdir()
        for entry in entries:
            entry.rename(folder / entry.name)


def add_loop(file: Path, root: Path, rng: random.Random) -> None:
    link = file.parent / rng.choice(["loop", "train", "images", "labels", "x.json", "x.jpg"])
    if not link.exists() and not link.is_symlink():
        link.symlink_to(rng.choice([root, file.parent, link]))


def take_name(file: Path, root: Path, rng: random.Random) -> None:
    """A folder, or a file of another kind, of a name that readers look for."""
    place = rng.choice([root, file.parent]) / rng.choice(TAKEN_NAMES)
    if place.exists() or place.is_symlink() or any(path.is_file() for path in place.parents):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    content = rng.choice(
        [None, b"", b"\xff\xd8", b"{}", b"[]", b"train: .\nnames: {}\n", *JUNK_BYTES, file.read_bytes()]
    )
    if content is None:
        place.mkdir()
    else:
        place.write_bytes(content)


DAMAGES = (
    *(change_bytes, change_bytes, cut_short, zero_block, swap_contents, remove, rename_oddly, rename_alike),
    *(copy_elsewhere, become_folder, become_link, forbid, nest_everything, add_loop, take_name, take_name),
)


# ---- what a photo or a mask is


def repaint(file: Path, root: Path, rng: random.Random) -> None:
    """The file becomes a picture of another mode, size, format or orientation, or of one that cannot be."""
    rng.choice([_convert, _convert, _resize, _turn, _lie_about_size, _without_pixels])(file, rng)


CONVERSIONS = (
    *(("CMYK", "JPEG"), ("L", "JPEG"), ("L", "PNG"), ("1", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("LA", "PNG")),
    *(("I;16", "PNG"), ("I", "TIFF"), ("F", "TIFF"), ("RGB", "BMP"), ("P", "GIF"), ("RGB", "WEBP"), ("RGB", "PPM")),
)


def _convert(file: Path, rng: random.Random) -> None:
    mode, kind = rng.choice(CONVERSIONS)
    _save(file, lambda image: (image.convert("I") if mode == "I;16" else image).convert(mode), kind)


def _resize(file: Path, rng: random.Random) -> None:
    sizes = [(1, 1), (1, 40), (7, 5), (16, 12), (12, 16), (200, 150), (15, 11), (33, 25)]
    size = rng.choice(sizes)
    _save(file, lambda image: image.resize(size))


def _turn(file: Path, rng: random.Random) -> None:
    exif = PilImage.Exif()
    exif[0x0112] = rng.choice([1, 3, 5, 6, 8, 0, 9, 65535])
    data = exif.tobytes() if rng.random() < 0.8 else mutated_bytes(exif.tobytes(), rng)
    _save(file, lambda image: image.transpose(PilImage.Transpose.ROTATE_90) if rng.random() < 0.5 else image, exif=data)


def _save(
    file: Path, change: Callable[[PilImage.Image], PilImage.Image], kind: str | None = None, **options: Any
) -> None:
    try:
        with PilImage.open(file) as image:
            image.load()
            changed = change(image)
        changed.save(file, kind or image.format, **options)
    except Exception:  # damaged before, or not to be had in this format
        file.write_bytes(b"")


def _lie_about_size(file: Path, rng: random.Random) -> None:
    """A PNG whose header says that it has another size, with a checksum that fits: up to terabytes of pixels."""
    width, height = rng.choice(
        [(0, 5), (5, 0), (30_000, 30_000), (2**31 - 1, 2**31 - 1), (13, 16), (16, 24), (500, 400)]
    )
    chunk = (
        b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, rng.choice([0, 2, 3, 6]), 0, 0, 0])
    )
    pixels = zlib.compress(bytes(64))
    chunks = [chunk, b"IDAT" + pixels, b"IEND"]
    body = b"".join((len(c) - 4).to_bytes(4, "big") + c + zlib.crc32(c).to_bytes(4, "big") for c in chunks)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def _without_pixels(file: Path, rng: random.Random) -> None:
    file.write_bytes(
        rng.choice([b"P6 0 0 255 ", b"P5\n1 1\n255\n", b"GIF89a" + bytes(7), b"BM" + bytes(60), b"<svg/>", b""])
    )
