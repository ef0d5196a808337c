r"""Rows of a plain dump of pg_dump: the blocks COPY … FROM stdin that it writes for tables.

A block has a row a line, its fields parted by tabs, \N for NULL, with backslashes before what
would be taken for another thing; \. ends it. Only a row at a time is in memory.
"""

import binascii
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from service.compreface.migration.error import MigrationError

# A photo of 64 MiB in hexadecimal digits, and some: nothing that a CompreFace takes comes near.
LINE_BYTES_MAX: Final = 129 << 20

_COPY: Final = re.compile(rb'COPY "?public"?\."?(\w+)"? \(([^)]*)\) FROM stdin;')
_INSERT: Final = re.compile(rb'INSERT INTO "?public"?\."?(\w+)"? ')
_ENCODING: Final = re.compile(rb"SET client_encoding = '([^']*)';")
_BACKSLASHED: Final = re.compile(rb"\\(.)", re.DOTALL)
_LETTERS: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_HEX: Final = rb"\\x"
_ESCAPED_BYTE: Final = re.compile(rb"\\(\\|[0-7]{3})")
_END: Final = rb"\."


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table; fields as they are in the dump, by column."""

    table: str
    line: int
    fields: dict[str, bytes]

    def text(self, column: str) -> str | None:
        """The text of a field, None for NULL. Raises MigrationError."""
        field = self._field(column)
        if field == rb"\N":
            return None
        try:
            return _plain(field).decode()
        except UnicodeDecodeError as error:
            raise self._damaged(column) from error

    def binary(self, column: str) -> bytes:
        """The bytes of a field that is not NULL. Raises MigrationError."""
        field = self._field(column)
        if not field.startswith(_HEX):
            return _ESCAPED_BYTE.sub(_byte, _plain(field))
        try:
            return binascii.unhexlify(field[len(_HEX) :])
        except binascii.Error as error:
            raise self._damaged(column) from error

    def _field(self, column: str) -> bytes:
        if column not in self.fields:
            raise MigrationError(
                f"The table public.{self.table} of the dump has no column {column}: it is not "
                "CompreFace's, or of a version that is not known here."
            )
        return self.fields[column]

    def _damaged(self, column: str) -> MigrationError:
        return MigrationError(
            f"Line {self.line} of the dump is damaged: {column} of public.{self.table} cannot be "
            "read. Make the dump anew."
        )


def copied_rows(
    dump: BinaryIO, tables: Collection[str], *, began: Callable[[str], None] = lambda table: None
) -> Iterator[Row]:
    """Rows of these tables of the schema public, in the dump's order. Raises MigrationError.

    began: is told the name of every table that the dump has rows for, these or not.
    """
    number = 0
    # Of the block that this line is in: the table, and its columns if it is one of `tables`.
    block: tuple[str, list[str] | None] | None = None
    while line := dump.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(line) > LINE_BYTES_MAX:
            raise MigrationError(
                f"Line {number} of the dump has more than {LINE_BYTES_MAX >> 20} MiB: it is not "
                "what pg_dump writes of a CompreFace."
            )
        whole = line.endswith(b"\n")
        line = line.rstrip(b"\r\n")
        if block is None:
            block = _begin(line, tables)
            if block is not None:
                began(block[0])
        elif line == _END:
            block = None
        elif not whole:
            break
        elif (columns := block[1]) is not None:
            yield _row(block[0], columns, line, number)
    if block is not None:
        raise MigrationError(
            f"The dump ends in the midst of the table public.{block[0]}: it was cut off. Make it "
            "anew, and see that the disk has room for it."
        )


def _begin(line: bytes, tables: Collection[str]) -> tuple[str, list[str] | None] | None:
    """The table that the rows after this line are of; None: no rows follow."""
    if copy := _COPY.match(line):
        table = copy[1].decode()
        columns = copy[2].decode(errors="replace").split(", ")
        return table, [name.strip('"') for name in columns] if table in tables else None
    if line.startswith(b"COPY ") and line.endswith(b" FROM stdin;"):
        # Of another schema.
        return line[5:].split(b" ")[0].decode(errors="replace"), None
    if (insert := _INSERT.match(line)) and insert[1].decode() in tables:
        raise MigrationError(
            "The dump was made with --inserts, which is not read: leave that option out."
        )
    encoding = _ENCODING.match(line)
    if encoding and encoding[1].upper() not in (b"UTF8", b"SQL_ASCII"):
        raise MigrationError(
            f"The dump is in {encoding[1].decode(errors='replace')}: make it with --encoding=UTF8."
        )
    return None


def _row(table: str, columns: list[str], line: bytes, number: int) -> Row:
    fields = line.split(b"\t")
    if len(fields) != len(columns):
        raise MigrationError(
            f"Line {number} of the dump is damaged: a row of public.{table} has {len(columns)} "
            f"fields, and it has {len(fields)}. Make the dump anew."
        )
    return Row(table=table, line=number, fields=dict(zip(columns, fields, strict=True)))


def _plain(field: bytes) -> bytes:
    return _BACKSLASHED.sub(lambda found: _LETTERS.get(found[1], found[1]), field)


def _byte(found: re.Match[bytes]) -> bytes:
    """Of PostgreSQL's older spelling of bytes, which a server can be set to."""
    return b"\\" if found[1] == b"\\" else bytes([int(found[1], 8) & 0xFF])
