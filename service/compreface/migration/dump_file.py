"""A file of pg_dump as plain SQL, whatever form it has: plain, plain and gzip, or an archive."""

import gzip
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

from service.compreface.migration.error import MigrationError

_GZIP: Final = b"\x1f\x8b"
# Custom format; and a tar, whose first file is the table of contents.
_ARCHIVES: Final = (b"PGDMP", b"toc.dat\0")
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
# So much of a file must look like text for it to be one.
_LOOKED_AT: Final = 4096


@contextmanager
def plain_dump(path: Path, tables: Collection[str]) -> Iterator[BinaryIO]:
    """The dump as plain SQL, of which at least these tables of the schema public are asked for.

    Raises MigrationError, on reading, too.
    """
    try:
        if path.is_dir() or _head(path).startswith(_ARCHIVES):
            with _restored(path, tables) as stream:
                yield stream
        elif _head(path).startswith(_GZIP):
            with gzip.open(path, "rb") as stream:
                _check(stream.peek(_LOOKED_AT), path)
                yield cast(BinaryIO, stream)
        else:
            _check(_head(path), path)
            with path.open("rb", buffering=1 << 20) as stream:
                yield stream
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise MigrationError(
            f"{path} cannot be unpacked ({error}): it is cut off or damaged. Make it anew."
        ) from error
    except OSError as error:
        raise MigrationError(
            f"{path} cannot be read: {error.strerror or error}. Name a file of pg_dump, or a "
            "running CompreFace with http:// before it."
        ) from error


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LOOKED_AT)


def _check(head: bytes, path: Path) -> None:
    if head.startswith(_UTF16):
        raise MigrationError(
            f"{path} is UTF-16: PowerShell's > has rewritten it. Make the dump with pg_dump's own "
            "option --file inside the container, and copy the file out."
        )
    if not head or b"\0" in head:
        raise MigrationError(
            f"{path} is not a dump of pg_dump: neither plain SQL, nor that in gzip, nor one of "
            "its archives."
        )


@contextmanager
def _restored(path: Path, tables: Collection[str]) -> Iterator[BinaryIO]:
    """What pg_restore makes of an archive. Raises MigrationError."""
    program = shutil.which("pg_restore")
    if program is None:
        raise MigrationError(
            f"{path} is an archive of pg_dump, and pg_restore is not on the PATH to unpack it: "
            f"pg_restore --file=compreface.sql {path} makes a plain dump, which is read here, and "
            "so does pg_dump with --format=plain."
        )
    wanted = [f"--table={table}" for table in tables]
    command = [program, "--data-only", "--schema=public", *wanted, "--file=-", str(path.resolve())]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
        )
        stream = cast(IO[bytes], process.stdout)
        try:
            yield cast(BinaryIO, stream)
        except MigrationError as error:
            if _failed(process, stream):
                # What cut the output off says more than that it is cut off.
                raise _refused(path, said) from error
            raise
        else:
            if _failed(process, stream):
                raise _refused(path, said)
        finally:
            stream.close()
            process.kill()
            process.wait()


def _failed(process: subprocess.Popen[bytes], stream: IO[bytes]) -> bool:
    """Whether it ended by an error of its own, and not because nobody reads on."""
    stream.close()
    return process.wait() > 0


def _refused(path: Path, said: IO[bytes]) -> MigrationError:
    said.seek(0)
    words = said.read(1000).decode(errors="replace").strip()
    return MigrationError(
        f"pg_restore cannot read {path}: {words} Its own version must not be older than that of "
        "the pg_dump; and the file may be cut off."
    )
