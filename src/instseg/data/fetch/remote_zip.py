"""Members of zip archives on a web server, read by HTTP range requests: only the wanted ones are transferred.

First the central directory at the end of each archive is read, then each wanted member separately, several in
parallel. The whole archive is downloaded and kept if that is faster (many members of a small archive), or if the server
does not support ranges.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Unpack

from instseg.core.errors import InstsegError
from instseg.core.files import clean_file_name
from instseg.data.fetch.archives import extract_zip_members
from instseg.data.fetch.download import download_files
from instseg.data.fetch.http_ranges import Get, RangeIgnoredError, RemoteFile, Retries, Task, run_tasks
from instseg.data.fetch.http_requests import TransientError
from instseg.data.fetch.http_resume import Part
from instseg.data.fetch.jobs import Download, DownloadFailure, DownloadReport

ABSENT = "not in the archive"
BYTES_PER_REQUEST = 1 << 17  # a request takes as long as transferring this many bytes
MAX_MEMBER_BYTES = 1 << 26  # a member is held in memory, by each thread
MAX_FIELD_BYTES = 1 << 16  # of a member's name, and of its extra field
LOCAL_HEADER = struct.Struct("<26xHH")  # fields also in the directory skipped; bytes of name and extra field
READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 1  # bit of the flags
DAMAGES = (zipfile.BadZipFile, RuntimeError, ValueError, OverflowError, EOFError, struct.error, zlib.error)
"""Errors of zipfile on archives that are damaged, not archives, or of an unsupported kind."""
LISTS_AT_ONCE = 4  # one of 170,000 members takes about 100 MB


@dataclass(frozen=True, slots=True)
class RemoteZip:
    """An archive on a server, and the wanted members.

    Attributes:
        url: of the archive.
        local: path of the whole archive, if it exists or has to be downloaded.
        target_dir: members are written to ``target_dir / name``.
        names: of the members.
    """

    url: str
    local: Path
    target_dir: Path
    names: Sequence[str]

    def path(self, name: str) -> Path:
        """Return the path of a member.

        Raises:
            InstsegError: its name leads out of the folder.
        """
        return self.target_dir / clean_file_name(name, self.local)


def fetch_zip_members(
    archives: Sequence[RemoteZip], *, title: str, num_threads: int, **retries: Unpack[Retries]
) -> DownloadReport:
    """Write every member that does not exist yet.

    A member with a wrong CRC is tried again. One that the archive lacks is a failure with the reason ``ABSENT``.

    Args:
        archives: with their wanted members.
        title: for the progress bar and the log.
        num_threads: parallel requests.
        retries: as for ``download_files``.

    Returns:
        A report with the paths of members, or of an archive that failed.

    Raises:
        InstsegError: a name leads out of its folder, an archive at ``local`` is damaged, or as ``download_files``.
        OSError: an archive cannot be unpacked (disk full).
    """
    report, plan = DownloadReport(), _Plan()
    archives = [_without_existing(archive, report) for archive in archives]
    lists = {_list_job(a): partial(plan.read_contents, a) for a in archives if a.names and not a.local.is_file()}
    listed = run_tasks(lists, f"{title}: contents of the archives", min(num_threads, LISTS_AT_ONCE), **retries)
    whole = download_files(plan.whole, title=f"{title}: whole archives", num_threads=num_threads, **retries)
    for archive in archives:
        if archive.names and archive.local.is_file():
            _extract(archive, report)
    fetched = run_tasks(plan.members, title, num_threads, **retries)
    report.downloaded += fetched.downloaded
    report.failures += listed.failures + whole.failures + plan.failures + fetched.failures
    report.num_bytes = listed.num_bytes + whole.num_bytes + fetched.num_bytes
    return report


def _without_existing(archive: RemoteZip, report: DownloadReport) -> RemoteZip:
    existing = {name for name in archive.names if archive.path(name).is_file()}
    report.skipped += [archive.path(name) for name in archive.names if name in existing]
    return replace(archive, names=[name for name in archive.names if name not in existing])


def _list_job(archive: RemoteZip) -> Download:
    return Download(archive.url, archive.local.with_name(f"{archive.local.name}.list"))  # no such file is written


def _extract(archive: RemoteZip, report: DownloadReport) -> None:
    there = _names_in(archive.local)
    report.failures += [_failure(archive, name, ABSENT) for name in archive.names if name not in there]
    names = [name for name in archive.names if name in there]
    try:
        report.downloaded += extract_zip_members(archive.local, names, archive.target_dir)
    except DAMAGES as error:
        raise InstsegError(f"{archive.local}: cannot be unpacked: {error}; delete it to fetch it again") from error


def _names_in(path: Path) -> set[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            if any(info.header_offset < 0 for info in archive.infolist()):
                raise InstsegError(f"{path}: expected a complete zip archive, its beginning is missing")
            return set(archive.namelist())
    except DAMAGES as error:
        raise InstsegError(f"{path}: expected a zip archive: {error}") from error


def _check_zip(path: Path) -> None:
    _names_in(path)


def _failure(archive: RemoteZip, name: str, reason: str) -> DownloadFailure:
    return DownloadFailure(archive.url, archive.path(name), reason)


@dataclass(slots=True)
class _Plan:
    """Plan of the download of each wanted member; filled as the archives' lists of contents come in."""

    whole: list[Download] = field(default_factory=list)
    members: dict[Download, Task] = field(default_factory=dict)
    failures: list[DownloadFailure] = field(default_factory=list)

    def read_contents(self, archive: RemoteZip, get: Get, part: Part) -> None:
        """Read the directory of one archive and plan its members; nothing is written.

        Args:
            archive: with its wanted members.
            get: reads ranges of the archive.
            part: unused, as a task has one.
        """
        try:
            file = RemoteFile(get)
            if file.size > len(archive.names) * BYTES_PER_REQUEST:
                with zipfile.ZipFile(file) as opened:
                    self._add(archive, opened.infolist(), file.size)
                return
        except DAMAGES as error:
            raise TransientError(f"received unexpected content: not a zip archive: {error}") from error
        except RangeIgnoredError:
            pass
        self.whole.append(Download(archive.url, archive.local, validate=_check_zip))

    def _add(self, archive: RemoteZip, infos: list[zipfile.ZipInfo], archive_bytes: int) -> None:
        """Add the wanted members in the order of the archive; each ends at the latest where the next one begins."""
        infos.sort(key=lambda info: info.header_offset)
        ends = [info.header_offset for info in infos[1:]] + [archive_bytes]
        wanted = set(archive.names)
        for info, end in zip(infos, ends, strict=True):
            if info.filename in wanted:
                wanted.remove(info.filename)
                if info.file_size > MAX_MEMBER_BYTES:
                    reason = f"takes {info.file_size / 1e6:,.0f} MB, expected at most {MAX_MEMBER_BYTES / 1e6:,.0f}"
                    self.failures.append(_failure(archive, info.filename, reason))
                elif info.compress_type in READABLE and not info.flag_bits & ENCRYPTED:
                    job = Download(archive.url, archive.path(info.filename))
                    self.members[job] = partial(_fetch, info, end)
                else:
                    self.failures.append(_failure(archive, info.filename, "has an unsupported compression"))
        self.failures += [_failure(archive, name, ABSENT) for name in sorted(wanted)]


def _fetch(info: zipfile.ZipInfo, end: int, get: Get, part: Part) -> None:
    most = LOCAL_HEADER.size + 2 * MAX_FIELD_BYTES + info.compress_size
    content, _ = get(info.header_offset, min(end, info.header_offset + most))
    part.path.write_bytes(_unpack(info, content))
    part.verify_and_rename(lambda path: None)


def _unpack(info: zipfile.ZipInfo, content: bytes) -> bytes:
    """Unpack the member whose local header starts ``content``; TransientError unless size and CRC are right."""
    header = content[: LOCAL_HEADER.size].ljust(LOCAL_HEADER.size)
    name_bytes, extra_bytes = LOCAL_HEADER.unpack(header)
    begin = LOCAL_HEADER.size + name_bytes + extra_bytes
    packed = content[begin : begin + info.compress_size]
    try:
        stored = info.compress_type == zipfile.ZIP_STORED
        member = packed if stored else zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, info.file_size + 1)
    except zlib.error as error:
        raise TransientError(f"received unexpected content: {error}") from error
    if len(member) != info.file_size or zlib.crc32(member) != info.CRC:
        raise TransientError("received unexpected content: the member's size or CRC is wrong")
    return member
