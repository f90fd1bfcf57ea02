"""Data that lies elsewhere: an S3 store (a real server on this machine), zip archives here and over HTTP."""

from __future__ import annotations

import zipfile
from pathlib import Path

import boto3
import fsspec
import pytest
from factories import write_coco_folder
from moto.server import ThreadedMotoServer
from mutating import read_damaged_files

from instseg.core.errors import InstsegError
from instseg.core.records import RecordError, write_record
from instseg.data.fetch import dataset_root as remote
from instseg.data.fetch.dataset_root import Listing, local_root, read_listing
from instseg.data.formats.coco.reader import CocoReader
from instseg.data.sources import folder

BUCKET = "photos"


@pytest.fixture(scope="module")
def s3_server():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def bucket(s3_server, monkeypatch):
    """An empty bucket on the local server, and the environment that leads s3:// there."""
    host, port = s3_server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "no_proxy": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    yield client
    for entry in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=entry["Key"])
    client.delete_bucket(Bucket=BUCKET)


def upload(client, root: Path, prefix: str = "") -> None:
    for path in root.rglob("*"):
        if path.is_file():
            client.upload_file(str(path), BUCKET, prefix + path.relative_to(root).as_posix())


def forget_listings() -> None:
    """As a new process would."""
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def zipped(root: Path, archive: Path, top: str = "") -> Path:
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in contents(root).items():
            file.writestr(top + name, content)
    return archive


# ---- S3


def test_a_dataset_in_a_bucket_is_prepared_like_one_on_disk(bucket, tmp_path):
    upload(bucket, write_coco_folder(tmp_path / "here"), "sets/mine/")
    dataset = folder(name="x", reader=CocoReader, root=f"s3://{BUCKET}/sets/mine", cache_dir=str(tmp_path / "cache"))
    assert len(dataset.indices["train"]) == 4
    assert dataset.indices["train"].path(0).read_bytes() == (tmp_path / "here/train/train_0.png").read_bytes()


def test_only_what_changed_is_fetched_again_and_what_is_gone_goes(bucket, tmp_path, monkeypatch):
    upload(bucket, write_coco_folder(tmp_path / "here"))
    root = local_root(f"s3://{BUCKET}", tmp_path / "cache")
    assert contents(root) == contents(tmp_path / "here")
    bucket.put_object(Bucket=BUCKET, Key="train/train_0.png", Body=b"new")
    bucket.delete_object(Bucket=BUCKET, Key="train/train_1.png")
    forget_listings()
    fetched = []
    fetch = remote.fetch_files
    monkeypatch.setattr(remote, "fetch_files", lambda urls, *a, **k: fetched.extend(urls) or fetch(urls, *a, **k))
    assert local_root(f"s3://{BUCKET}", tmp_path / "cache") == root
    assert fetched == [f"s3://{BUCKET}/train/train_0.png"]
    assert (root / "train/train_0.png").read_bytes() == b"new"
    assert not (root / "train/train_1.png").exists()


@pytest.mark.parametrize("damage", ["listing", "cut short"])
def test_a_copy_that_was_damaged_is_fetched_again(bucket, tmp_path, caplog, damage):
    upload(bucket, write_coco_folder(tmp_path / "here"))
    root = local_root(f"s3://{BUCKET}", tmp_path / "cache")
    path = root / "train/train_0.png"
    path.write_bytes(b"cut")
    if damage == "listing":
        (root.parent / "listing.json").write_text("{")
    forget_listings()
    assert contents(local_root(f"s3://{BUCKET}", tmp_path / "cache")) == contents(tmp_path / "here")
    assert ("listing.json" in caplog.text) == (damage == "listing")


def test_a_damaged_listing_costs_nothing_while_there_is_no_connection(bucket, tmp_path, monkeypatch):
    upload(bucket, write_coco_folder(tmp_path / "here"))
    root = local_root(f"s3://{BUCKET}", tmp_path / "cache")
    (root.parent / "listing.json").write_text("{")
    forget_listings()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(InstsegError, match="cannot be listed"):
        local_root(f"s3://{BUCKET}", tmp_path / "cache")
    assert contents(root) == contents(tmp_path / "here")


def test_without_a_connection_the_copy_is_used_and_the_log_says_so(bucket, tmp_path, monkeypatch, caplog):
    upload(bucket, write_coco_folder(tmp_path / "here"))
    root = local_root(f"s3://{BUCKET}", tmp_path / "cache")
    forget_listings()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert local_root(f"s3://{BUCKET}", tmp_path / "cache") == root
    assert "cannot be listed" in caplog.text
    assert "as it is" in caplog.text


def test_a_bucket_that_is_not_there_is_an_error_with_its_name(bucket, tmp_path):
    with pytest.raises(InstsegError, match=r"s3://elsewhere/x: cannot be listed: .*bucket does not exist"):
        local_root("s3://elsewhere/x", tmp_path)


def test_an_archive_in_a_bucket_is_unpacked(bucket, tmp_path):
    bucket.upload_file(str(zipped(write_coco_folder(tmp_path / "here"), tmp_path / "x.zip")), BUCKET, "x.zip")
    assert contents(local_root(f"s3://{BUCKET}/x.zip", tmp_path / "cache")) == contents(tmp_path / "here")


# ---- archives


def test_a_folder_is_its_own_root(tmp_path):
    assert local_root(str(tmp_path), tmp_path / "cache") == tmp_path


@pytest.mark.parametrize("top", ["", "my_dataset/"])
def test_a_zip_is_unpacked_once_and_its_only_folder_is_the_root(tmp_path, top):
    archive = zipped(write_coco_folder(tmp_path / "here"), tmp_path / "x.zip", top)
    root = local_root(str(archive), tmp_path / "cache")
    assert contents(root) == contents(tmp_path / "here")
    before = root.stat().st_mtime_ns
    assert local_root(str(archive), tmp_path / "cache").stat().st_mtime_ns == before


@pytest.mark.parametrize("content", [None, b"", b"0123"], ids=["missing", "emptied", "of other bytes"])
def test_an_unpacked_file_that_was_damaged_is_unpacked_again_with_a_sentence(tmp_path, caplog, content):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("a.txt", "abcd")
    path = local_root(str(tmp_path / "x.zip"), tmp_path / "cache") / "a.txt"
    path.unlink() if content is None else path.write_bytes(content)
    assert contents(local_root(str(tmp_path / "x.zip"), tmp_path / "cache")) == {"a.txt": b"abcd"}
    (told,) = caplog.messages
    assert str(path) in told and told.endswith(f"; starting again to unpack {tmp_path / 'x.zip'}")


def test_what_macos_adds_to_archives_is_left_out(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        for name in ("set/a.txt", "__MACOSX/set/._a.txt", "set/.DS_Store"):
            file.writestr(name, "x")
    assert list(contents(local_root(str(tmp_path / "x.zip"), tmp_path / "cache"))) == ["a.txt"]


def test_a_changed_archive_is_unpacked_anew(tmp_path):
    archive = tmp_path / "x.zip"
    for text in ("one", "another"):
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("a.txt", text)
        assert (local_root(str(archive), tmp_path / "cache") / "a.txt").read_text() == text


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "C:\\evil.txt"])
def test_an_archive_whose_names_climb_out_is_refused_and_nothing_is_written(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("good.txt", "x")
        file.writestr(name, "x")
    with pytest.raises(InstsegError, match="stays inside the target folder"):
        local_root(str(tmp_path / "x.zip"), tmp_path / "cache")
    assert not list(tmp_path.rglob("*.txt"))


@pytest.mark.parametrize(
    ("content", "message"), [(b"no zip", "not a zip archive"), (None, "no such file"), ([], "holds no files")]
)
def test_what_is_no_archive_is_an_error_that_names_it(tmp_path, content, message):
    path = tmp_path / "x.zip"
    if content == []:
        zipfile.ZipFile(path, "w").close()
    elif content:
        path.write_bytes(content)
    with pytest.raises(InstsegError, match=rf"x\.zip.*{message}|{message}.*x\.zip"):
        local_root(str(path), tmp_path / "cache")


def test_a_folder_over_http_cannot_be_listed(tmp_path):
    with pytest.raises(InstsegError, match=r"only a \.zip can be read, because folders cannot"):
        local_root("https://example.invalid/folder", tmp_path)


# ---- the record of a copy


def test_a_damaged_listing_is_named_with_the_way_out(tmp_path):
    listing = tmp_path / "listing.json"
    assert read_listing(listing) == {}
    listing.write_text('{"train/a.png": "1"}')
    with pytest.raises(
        RecordError, match=r"listing\.json: field files: expected a value, found none; the dataset is f"
    ):
        read_listing(listing)


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", "a/../../b.png", "", "a\\b.png"])
def test_a_listing_that_names_a_file_elsewhere_is_refused(tmp_path, name):
    write_record(tmp_path / "listing.json", Listing(files={name: "1"}))
    with pytest.raises(RecordError, match=r"listing\.json: field files: expected paths in the folder"):
        read_listing(tmp_path / "listing.json")


def test_whatever_is_wrong_with_a_listing_is_one_kind_of_error(tmp_path, tries):
    listing = tmp_path / "listing.json"
    write_record(listing, Listing(files={"train/a.png": "1", "val/b.png": "2"}))
    tried, refused = read_damaged_files(listing, lambda: read_listing(listing), tries)
    assert tried > tries and refused > 0.5 * tried
