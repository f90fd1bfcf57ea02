"""The images of a Label Studio export: found here by any of their names, or fetched from where they are kept."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
from factories import write_picture
from fault_server import serve
from labelstudio_exports import SIZE, polygon, read_all, task, write_export

from instseg.core.errors import InstsegError
from instseg.data.fetch import remote_files
from instseg.data.formats.labelstudio.images import original, spellings


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(remote_files, "BACKOFF_SECONDS", 0.001)
    with serve() as served:
        served.etag = None
        yield served


@pytest.fixture
def store():
    """The file system behind memory://, empty."""
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    yield memory
    memory.store.clear()


@pytest.fixture
def picture(tmp_path) -> bytes:
    path = write_picture(tmp_path / "elsewhere" / "x.png", SIZE)
    content = path.read_bytes()
    path.unlink()
    return content


def export(root: Path, *photos: str, files: tuple[str, ...] = ()) -> Path:
    """One task for each image, and the files that are there."""
    return write_export(root, [task(polygon(), task_id=i, photo=photo) for i, photo in enumerate(photos)], *files)


def found(root: Path, **options) -> list[str]:
    """Where each image is, from the root."""
    labels, _ = read_all(root, **options)
    paths = [labels.image_root / image["file_name"] for image in labels.coco["images"]]
    return [path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path) for path in paths]


# ---- names


@pytest.mark.parametrize(
    ("listed", "paths"),
    [
        ("images\\fb26c02b-a.jpg", ["images/fb26c02b-a.jpg"]),
        ("/data/upload/3/fb26c02b-a.jpg", ["/data/upload/3/fb26c02b-a.jpg"]),
        ("/data/local-files/?d=folder/x%20y.jpg", ["folder/x y.jpg"]),
        ("/data/local-files/?d=images%5Cx.jpg", ["images/x.jpg"]),
        ("/storage-data/uploaded/?filepath=upload/3/fb26c02b-a.jpg", ["upload/3/fb26c02b-a.jpg"]),
        ("s3://bucket/folder/x.jpg", ["bucket/folder/x.jpg"]),
        ("gs://bucket/100%25.jpg", ["bucket/100%25.jpg", "bucket/100%.jpg"]),
        ("https://host/a%20b.jpg?X-Signature=a/b.png", ["host/a%20b.jpg", "host/a b.jpg"]),
        ("what?.jpg", ["what?.jpg"]),
    ],
)
def test_what_labels_call_an_image_is_a_path(listed, paths):
    assert spellings(listed) == paths


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("images/fb26c02b-a.jpg", "images/a.jpg"),
        ("images/7d5a1e0c__fb26c02b-a.jpg", "images/a.jpg"),
        ("7d5a1e0c__a.jpg", "a.jpg"),
        ("x/my photo (1).jpg", "x/my_photo_1.jpg"),
        ("fb26c02-a.jpg", "fb26c02-a.jpg"),
        ("größe.jpg", "größe.jpg"),
    ],
)
def test_the_name_before_label_studio_is_told_from_what_it_added(path, name):
    assert original(path) == name


@pytest.mark.parametrize(
    "listed",
    [
        "images\\fb26c02b-my_photo_1.png",
        "/data/upload/3/fb26c02b-my_photo_1.png",
        "/data/local-files/?d=over/there/my%20photo%20%281%29.png",
        "https://host/my%20photo%20(1).png?token=5",
        "s3://bucket/deep/my photo (1).png",
        "../../../home/me/media/upload/3/fb26c02b-my_photo_1.png",
        "C:\\Users\\me\\my photo (1).png",
    ],
)
@pytest.mark.parametrize("file", ["fb26c02b-my_photo_1.png", "my photo (1).png", "7d5a1e0c__fb26c02b-my_photo_1.png"])
@pytest.mark.parametrize("place", [".", "images", "deep/er"])
def test_an_image_is_found_by_each_of_its_names_anywhere_below_the_root(tmp_path, listed, file, place):
    path = Path(place, file).as_posix()
    assert found(export(tmp_path, listed, files=(path,))) == [path]


def test_of_two_uploads_of_one_name_each_is_found(tmp_path):
    files = ("images/fb26c02b-a.png", "images/0a1b2c3d-a.png")
    assert found(export(tmp_path, *(f"/data/upload/1/{Path(file).name}" for file in files), files=files)) == list(files)


def test_a_name_that_two_files_may_have_had_is_not_guessed(tmp_path):
    export(tmp_path, "fb26c02b-a.png", "b.png", files=("x/a.png", "y/a.png", "b.png"))
    assert found(tmp_path) == ["fb26c02b-a.png", "b.png"]
    assert not (tmp_path / "fb26c02b-a.png").exists()


def test_images_may_be_in_a_folder_of_their_own(tmp_path):
    write_picture(tmp_path / "photos" / "a.png", SIZE)
    export(tmp_path / "export", "/data/upload/1/fb26c02b-a.png")
    assert found(tmp_path / "export", images="../photos") == found(tmp_path / "export", images=f"{tmp_path}/photos")
    labels, _ = read_all(tmp_path / "export", images="../photos")
    assert labels.coco["images"][0]["file_name"] == "a.png"
    with pytest.raises(InstsegError, match=r"dataset.images: no such folder: .*/export/nowhere"):
        read_all(tmp_path / "export", images="nowhere")


def test_when_no_image_is_found_it_is_told_where_they_were_sought(tmp_path):
    export(tmp_path, "/data/upload/1/fb26c02b-a.png", files=("other.png",))
    with pytest.raises(
        InstsegError,
        match=r"none of 1 image, such as '/data/upload/1/fb26c02b-a.png', is below .*dataset.images=FOLDER",
    ):
        read_all(tmp_path)


@pytest.mark.parametrize("listed", ["../../secret.png", "/etc/secret.png", "", "..", "a/../../secret.png", "n" * 999])
def test_an_image_that_is_missing_is_never_expected_outside_of_the_root(tmp_path, listed):
    labels, _ = read_all(export(tmp_path, "a.png", listed, files=("a.png",)), image_key="image")
    for image in labels.coco["images"]:
        path = labels.image_root / image["file_name"]
        assert ".." not in path.parts and path.is_relative_to(tmp_path) and not path.is_dir()


# ---- elsewhere


def test_images_with_an_address_are_fetched_once_into_the_cache(tmp_path, site, picture):
    site.files = {"/p/fb26c02b-a.png": picture, "/q/fb26c02b-a.png": picture}
    export(tmp_path / "root", *(site.base_url + path for path in site.files))
    for _ in range(2):
        labels, findings = read_all(tmp_path / "root", cache_dir=str(tmp_path / "cache"))
        names = [image["file_name"] for image in labels.coco["images"]]
        assert labels.image_root == tmp_path / "cache" / "labelstudio_photos" and len(set(names)) == 2
        assert all((labels.image_root / name).read_bytes() == picture for name in names) and not findings
    assert sorted(site.paths) == sorted(site.files)


def test_images_that_are_here_too_are_not_fetched(tmp_path, site):
    export(tmp_path, f"{site.base_url}/p/a.png", files=("a.png",))
    assert found(tmp_path, cache_dir=str(tmp_path / "cache")) == ["a.png"] and site.paths == []


def test_of_two_addresses_with_one_name_each_gets_its_own_image(tmp_path, site, picture):
    site.files["/2/a.png"] = picture
    export(tmp_path / "root", f"{site.base_url}/2/a.png", f"{site.base_url}/1/a.png", files=("1/a.png",))
    elsewhere, here = found(tmp_path / "root", cache_dir=str(tmp_path / "cache"))
    assert here == "1/a.png" and "labelstudio_photos" in elsewhere and site.paths == ["/2/a.png"]


def test_images_here_and_images_fetched_start_from_the_folder_that_holds_both(tmp_path, site, picture):
    site.files["/p/b.png"] = picture
    export(tmp_path / "root", "a.png", f"{site.base_url}/p/b.png", files=("a.png",))
    labels, _ = read_all(tmp_path / "root", cache_dir=str(tmp_path / "cache"))
    first, second = (image["file_name"] for image in labels.coco["images"])
    assert labels.image_root == tmp_path and first == "root/a.png"
    assert second.startswith("cache/labelstudio_photos/") and (tmp_path / second).is_file()


def test_a_cache_below_the_root_is_not_taken_for_images_without_labels(tmp_path, site, picture):
    site.files["/p/b.png"] = picture
    export(tmp_path, "a.png", f"{site.base_url}/p/b.png", files=("a.png",))
    for _ in range(2):
        _, findings = read_all(tmp_path, cache_dir=str(tmp_path / "cache"))
        assert not findings


def test_an_image_that_is_gone_is_told_and_stays_listed(tmp_path, site, picture):
    site.files["/p/a.png"] = picture
    export(tmp_path / "root", f"{site.base_url}/p/a.png", f"{site.base_url}/p/gone.png")
    labels, findings = read_all(tmp_path / "root", cache_dir=str(tmp_path / "cache"))
    assert len(labels.coco["images"]) == 2
    [reason] = findings["image_not_fetched"]
    assert reason.startswith(f"{site.base_url}/p/gone.png: FileNotFoundError")


def test_when_all_are_gone_the_first_reason_is_told(tmp_path, site):
    export(tmp_path / "root", f"{site.base_url}/p/gone.png")
    with pytest.raises(InstsegError, match=r"none of 1 image.*/p/gone.png: FileNotFoundError.*dataset.images=FOLDER"):
        read_all(tmp_path / "root", cache_dir=str(tmp_path / "cache"))


def test_a_fault_that_may_pass_stops_and_what_came_is_kept(tmp_path, site, picture):
    site.files = {"/p/a.png": picture, "/p/b.png": picture}
    site.faults["/p/b.png"] = ["503"] * remote_files.NUM_TRIES
    export(tmp_path / "root", *(site.base_url + path for path in site.files))
    with pytest.raises(InstsegError, match=r"1 of 2 images could not be fetched, such as .*/p/b.png: .*Start again"):
        read_all(tmp_path / "root", cache_dir=str(tmp_path / "cache"))
    assert len(found(tmp_path / "root", cache_dir=str(tmp_path / "cache"))) == 2
    assert site.paths.count("/p/a.png") == 1


@pytest.mark.parametrize(
    "address",
    [
        *("local://{}", "LOCAL://{}", "file://{}", "zip://x.png::local://{}", "reference://{}", "memory:/{}"),
        *("simplecache::file://{}", "http://127.0.0.1:9/x.png::local://{}", "s3://a/x.png::{}", "dir://x.png::{}"),
        *("\u017f3://{}", "fi\u200ble://{}", "\nlocal://{}", "/data/local-files/?d={}", "{}", "../../..{}"),
    ],
)
def test_labels_never_bring_a_file_of_this_machine_into_the_cache(tmp_path, store, address):
    secret = write_picture(tmp_path / "private/x.png", SIZE)
    store.pipe({str(secret): secret.read_bytes()})
    export(tmp_path / "root", "a.png", address.format(secret), files=("a.png",))
    labels, findings = read_all(tmp_path / "root", cache_dir=str(tmp_path / "cache"))
    assert not list((tmp_path / "cache").rglob("*.png"))
    assert not (labels.image_root / labels.coco["images"][1]["file_name"]).exists()
    assert ("address_refused" in findings) == ("://" in address.format(secret))


def test_without_a_cache_nothing_is_fetched(tmp_path, site):
    export(tmp_path, f"{site.base_url}/p/a.png")
    with pytest.raises(
        InstsegError, match=r"1 image to fetch from elsewhere, such as http://.*cache_dir.*dataset.images=FOLDER"
    ):
        read_all(tmp_path)
    assert site.paths == []


def test_of_a_folder_elsewhere_only_the_images_that_are_labelled_are_fetched(tmp_path, store, picture):
    store.pipe({"/bucket/all/my photo.png": picture, "/bucket/all/deep/b.png": picture, "/bucket/all/c.png": picture})
    export(tmp_path / "root", "/data/upload/1/fb26c02b-my_photo.png", "images\\b.png", "lost.png")
    labels, findings = read_all(tmp_path / "root", images="memory://bucket/all/", cache_dir=str(tmp_path / "cache"))
    names = [Path(image["file_name"]).name for image in labels.coco["images"]]
    assert names == ["my photo.png", "b.png", "lost.png"] and not findings
    assert labels.image_root == tmp_path / "cache" / "labelstudio_photos"
    assert sorted(path.name for path in (tmp_path / "cache").rglob("*.png")) == ["b.png", "my photo.png"]


def test_a_folder_elsewhere_without_images_is_told(tmp_path, store):
    store.pipe({"/bucket/readme.txt": b"text"})
    export(tmp_path, "a.png")
    with pytest.raises(InstsegError, match=r"dataset.images: no images in memory://bucket; found readme.txt"):
        read_all(tmp_path, images="memory://bucket", cache_dir=str(tmp_path / "cache"))
