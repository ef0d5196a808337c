"""Writing an export file, so that it can be begun again after an interruption.

It grows under the name `<file>.part`. A further run takes the whole blocks that are there, if each
of their subjects is still as they say, cuts off what is torn, and goes on after the last one.
"""

import errno
import fcntl
import hashlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

from contract.errors import GalleryError
from index.clock import now
from index.folders import sync_names
from index.gallery import Gallery
from index.portable.blocks import Block, BlockReader, block_frame
from index.portable.frames import Header, Trailer, header_of, line_of
from index.portable.reading import Page, described_subjects, jsonl_of, whole_pages

_BLOCK_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What is in the file so far, in whole blocks. kept: subjects of an earlier run."""

    blocks: int
    subjects: int
    templates: int
    kept: int


@dataclass(slots=True)
class _Kept:
    """What of a file stays: its end, the last subject's number, and totals."""

    end: int
    frames: "hashlib._Hash"
    after: int = 0
    blocks: int = 0
    subjects: int = 0
    templates: int = 0


def export_collection(gallery: Gallery, path: Path, *, crops: bool = True) -> Iterator[Exported]:
    """Write the searched templates of a collection into the file `path`, readable for its owner.

    Gives how far it is after each block, first what was kept of an interrupted run; the last one
    comes when the file is whole, on the disk and under its name. What is enrolled or removed
    meanwhile may be in it or not; who has expired is not. crops: take the stored pictures along.
    Raises GalleryError (the file is there already, or another export is writing it),
    GalleryUnavailableError or OSError.
    """
    if path.exists():
        raise GalleryError(f"There is a file {path} already: name another one, or remove it.")
    header = header_of(
        gallery.contract,
        collection_id=gallery.collection_id,
        created_at=now(),
        made_by=_release(),
        crops=crops,
    )
    part = path.with_name(path.name + ".part")
    with _Part(part) as file:
        kept = _keep(gallery, file, header) or _begin(file, header)
        file.seek(kept.end)
        file.truncate()
        before = kept.subjects
        yield _exported(kept, before)
        pages = whole_pages(gallery, after=kept.after, crops=crops, max_bytes=_BLOCK_BYTES)
        for _, page in pages:
            _append(file, kept, page)
            yield _exported(kept, before)
        file.write(
            line_of(
                Trailer(
                    blocks=kept.blocks,
                    subjects=kept.subjects,
                    templates=kept.templates,
                    sha256=kept.frames.hexdigest(),
                )
            )
        )
        file.flush()
        os.fsync(file.fileno())
        part.rename(path)
    sync_names(path.parent)
    yield _exported(kept, before)


class _Part:
    """The file that grows, held by this process alone while it does."""

    def __init__(self, path: Path) -> None:
        # No link is followed: the name could lead to a file that others read.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise GalleryError(f"{path} is a link: remove it.") from error
            raise
        self._file: BinaryIO = os.fdopen(descriptor, "r+b")
        try:
            os.fchmod(descriptor, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            if not isinstance(error, BlockingIOError):
                raise
            raise GalleryError(f"Another process is writing {path}: wait for it.") from error

    def __enter__(self) -> BinaryIO:
        return self._file

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()


def _begin(file: BinaryIO, header: Header) -> _Kept:
    file.seek(0)
    file.truncate()
    line = line_of(header)
    file.write(line)
    return _Kept(end=len(line), frames=hashlib.sha256(line))


def _keep(gallery: Gallery, file: BinaryIO, header: Header) -> _Kept | None:
    """What can stay of an interrupted run; None: begin anew.

    All of it or nothing: somebody who was removed since must not be in the file.
    """
    file.seek(0)
    try:
        reader = BlockReader(file, name="the interrupted export")
    except GalleryError:
        return None
    if reader.header.model_copy(update={"created_at": header.created_at}) != header:
        return None
    kept = _Kept(end=reader.header_end, frames=reader.frames.copy())
    there = described_subjects(gallery, crops=header.crops)
    blocks = iter(reader)
    while (block := _whole(blocks)) is not None:
        described = list(itertools.islice(there, block.head.subjects))
        if jsonl_of(subject.line for subject in described) != block.jsonl:
            return None
        kept.end, kept.after = block.end, described[-1].number
        kept.frames = reader.frames.copy()
        kept.blocks += 1
        kept.subjects += len(described)
        kept.templates += sum(len(subject.line.templates) for subject in described)
    return kept


def _whole(blocks: Iterator[Block]) -> Block | None:
    """The next block; None at the end, be it torn."""
    try:
        return next(blocks, None)
    except GalleryError:
        return None


def _append(file: BinaryIO, kept: _Kept, page: Page) -> None:
    jsonl = jsonl_of(subject.line for subject in page.described)
    line = block_frame(kept.blocks, subjects=len(page.described), jsonl=jsonl, binary=page.binary)
    for piece in (line, jsonl, page.binary):
        file.write(piece)
    kept.frames.update(line)
    kept.blocks += 1
    kept.subjects += len(page.described)
    kept.templates += page.template_count


def _exported(kept: _Kept, before: int) -> Exported:
    return Exported(
        blocks=kept.blocks, subjects=kept.subjects, templates=kept.templates, kept=before
    )


def _release() -> str:
    try:
        return version("oneglance")
    except PackageNotFoundError:
        return "unknown"
