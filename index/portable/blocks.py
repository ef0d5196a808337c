"""Reading an export file: header, whole blocks one after the other, trailer.

Nothing of a block is given out before its checksum was right. Shapes: N templates, D size.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO, Final

import numpy as np
from pydantic import ValidationError

from contract.errors import GalleryError
from index.checks import (
    CONSENT_REF_MAX_CHARS,
    CROP_MAX_BYTES,
    EXTERNAL_ID_MAX_CHARS,
    NAME_MAX_CHARS,
    check_embeddings,
    check_subject_id,
    check_text,
    metadata_text,
)
from index.clock import check_time
from index.portable.frames import (
    FRAME_MAX_BYTES,
    BlockHead,
    Header,
    SubjectLine,
    Trailer,
    line_of,
    parsed,
    read_header,
    sha256_of,
    unsealed,
)
from index.records import Embeddings

_NUMBER: Final = np.dtype("<f4")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """A block as it was read, whole. jsonl, binary: its two parts. end: where it ends, bytes."""

    head: BlockHead
    jsonl: bytes
    binary: bytes
    end: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadSubject:
    """A subject of a block. embeddings: float32 (N, D). crops: N pictures, or none of them."""

    line: SubjectLine
    embeddings: Embeddings
    crops: list[bytes | None] = field(default_factory=list)


class BlockReader:
    """The blocks of an open file, from its beginning; its errors name the file `name`."""

    def __init__(self, file: BinaryIO, *, name: str) -> None:
        """Reads the header. Raises GalleryError: no export, damaged, another version."""
        self._file, self._name = file, name
        self.size_bytes = os.fstat(file.fileno()).st_size
        line = file.readline(FRAME_MAX_BYTES)
        self.header: Header = read_header(line, name=name)
        self.header_end = file.tell()
        # Of all frames so far, for the trailer.
        self.frames = hashlib.sha256(line)
        self.blocks = self.subjects = self.templates = 0
        self.trailer: Trailer | None = None

    def __iter__(self) -> Iterator[Block]:
        """Each block once, in order; ends after the trailer. Raises GalleryError where it is not
        whole."""
        while (block := self._next()) is not None:
            yield block

    def _next(self) -> Block | None:
        where = f"Block {self.blocks} of {self._name}"
        line = self._file.readline(FRAME_MAX_BYTES)
        if not line.endswith(b"\n"):
            raise self._broken_off()
        values = unsealed(line, where=where)
        if "block" not in values:
            self._end(parsed(Trailer, values, where=f"The last line of {self._name}"))
            return None
        head = parsed(BlockHead, values, where=where)
        if head.block != self.blocks:
            raise GalleryError(f"{where} is missing: take the file again from where it came.")
        if head.jsonl_bytes + head.binary_bytes > self.size_bytes - self._file.tell():
            raise self._broken_off()
        jsonl, binary = self._file.read(head.jsonl_bytes), self._file.read(head.binary_bytes)
        if len(jsonl) + len(binary) < head.jsonl_bytes + head.binary_bytes:
            raise self._broken_off()
        if sha256_of(jsonl, binary) != head.sha256:
            raise GalleryError(
                f"{where} is damaged, its checksum differs: nothing of it was taken. Take the "
                "file again from where it came; what came before it need not be taken twice."
            )
        self.frames.update(line)
        self.blocks += 1
        self.subjects += head.subjects
        return Block(head=head, jsonl=jsonl, binary=binary, end=self._file.tell())

    def read_subjects(self, block: Block) -> list[ReadSubject]:
        """What a block says, checked; its templates count in the file's total.

        Raises GalleryError: no export of ours can have written it.
        """
        where = f"Block {block.head.block} of {self._name}"
        try:
            lines = [SubjectLine.model_validate_json(text) for text in block.jsonl.splitlines()]
            for line in lines:
                _check(line)
            if len(lines) != block.head.subjects:
                raise ValueError("its number of subjects is another than it says")
            found = list(_cut(lines, block.binary, self.header.contract.size))
        except (ValidationError, ValueError) as error:
            raise GalleryError(f"{where} is not as this OneGlance writes it: {error}") from error
        self.templates += sum(len(line.templates) for line in lines)
        return found

    def _end(self, trailer: Trailer) -> None:
        counted = (self.blocks, self.subjects, self.templates, self.frames.hexdigest())
        if (trailer.blocks, trailer.subjects, trailer.templates, trailer.sha256) != counted:
            raise GalleryError(
                f"The last line of {self._name} does not fit what comes before it: "
                "take the file again from where it came."
            )
        if self._file.read(1):
            raise GalleryError(f"{self._name} goes on after its end: take the file again.")
        self.trailer = trailer

    def _broken_off(self) -> GalleryError:
        return GalleryError(
            f"{self._name} breaks off in or after block {self.blocks - 1}, whole blocks were "
            f"read: {self.blocks}. Take the whole file again from where it came; what was taken "
            "stays, and is not taken twice."
        )


def block_frame(number: int, *, subjects: int, jsonl: bytes, binary: bytes) -> bytes:
    """The line before a block."""
    return line_of(
        BlockHead(
            block=number,
            subjects=subjects,
            jsonl_bytes=len(jsonl),
            binary_bytes=len(binary),
            sha256=sha256_of(jsonl, binary),
        )
    )


def _cut(lines: list[SubjectLine], binary: bytes, size: int) -> Iterator[ReadSubject]:
    """Give each subject its part of the binary: embeddings first, then crops."""
    count = sum(len(line.templates) for line in lines)
    crop_lengths = [t.crop_bytes or 0 for line in lines for t in line.templates]
    at = count * size * _NUMBER.itemsize
    if len(binary) != at + sum(crop_lengths):
        raise ValueError("its binary part has another length than its lines say")
    numbers = np.frombuffer(binary, dtype=_NUMBER, count=count * size).reshape(count, size)
    embeddings = check_embeddings(numbers.astype(np.float32), size=size, what="Its embeddings")
    row = 0
    for line in lines:
        crops: list[bytes | None] = []
        for template in line.templates:
            length = template.crop_bytes or 0
            crops.append(binary[at : at + length] if length else None)
            at += length
        end = row + len(line.templates)
        yield ReadSubject(line=line, embeddings=embeddings[row:end], crops=crops)
        row = end


def _check(line: SubjectLine) -> None:
    """Raise ValueError for what the gallery would not take from anybody else either."""
    check_subject_id(line.id)
    for what, text, limit in (
        ("name", line.name, NAME_MAX_CHARS),
        ("external id", line.external_id, EXTERNAL_ID_MAX_CHARS),
        ("consent reference", line.consent_ref, CONSENT_REF_MAX_CHARS),
    ):
        if text is not None and not (
            0 < len(text) < limit and text.isascii() and text.isprintable()
        ):
            check_text(text, what=what, max_chars=limit)
    if line.metadata:
        metadata_text(line.metadata)
    for time in (line.created_at, line.expires_at, *(t.created_at for t in line.templates)):
        _check_canonical(time)
    for template in line.templates:
        check_subject_id(template.id)
        if (template.crop_bytes or 0) > CROP_MAX_BYTES:
            raise ValueError(f"a crop has more than {CROP_MAX_BYTES} bytes")


@lru_cache(maxsize=1_024)
def _check_canonical(time: str | None) -> None:
    """Many templates are of one moment."""
    if check_time(time, what="A time") != time:
        raise ValueError(f"the time {time!r} is not in UTC with milliseconds")
