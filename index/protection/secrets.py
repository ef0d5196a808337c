"""The secrets of a gallery: a file outside the database, or text from the environment.

One secret a line, 64 hex digits; the first is for what is written from now on, the others are for
what was written before. Lines that begin with # are for people.
"""

import fcntl
import hashlib
import logging
import os
import secrets
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from contract.errors import GallerySecretError
from index.folders import sync_names
from index.protection.rotation import SECRET_BYTES

log = logging.getLogger(__name__)

_ID: Final = b"oneglance secret id 1"
_HEADER: Final = (
    "# Secrets of OneGlance's galleries, the newest first. Whoever has this file and the database\n"
    "# has the faces; without it nobody in there can be found again. Keep a copy, elsewhere.\n"
)


def secret_id(secret: bytes) -> str:
    """The name of a secret, 16 hex digits, from which it cannot be guessed: it has 256 bits."""
    return hashlib.sha256(_ID + secret).hexdigest()[:16]


class GallerySecrets:
    """Where the secrets are; nothing is read or made before it is asked for.

    Any thread may call anything.
    """

    def __init__(
        self,
        path: Path,
        *,
        text: str = "",
        protects_new: bool = True,
        setting: str = "gallery_secret",
    ) -> None:
        """path: of the file. text: secrets by spaces, commas or lines in place of the file.

        protects_new: whether collections that are made now are protected. setting: of the service
        where the text comes from; its name with _file is the file's.
        """
        self.path = path
        self._setting = setting
        self.protects_new = protects_new
        self._text = text
        self._lock = threading.Lock()

    @property
    def place(self) -> str:
        """Where they are, in words."""
        return f"the setting {self._setting}" if self._text else f"the file {self.path}"

    def get(self, wanted: str, *, of: str) -> bytes:
        """The secret of that id. of: what needs it, for the error.

        Raises GallerySecretError.
        """
        found = {secret_id(secret): secret for secret in self._read()}
        if wanted not in found:
            raise GallerySecretError(
                f"{of} was protected by the secret {wanted}, which is not in {self.place}: bring it"
                f" back from where you keep its copy ({self._setting}_file names another file)."
                " Without it nobody enrolled there can be found, and there is no other way back."
            )
        return found[wanted]

    def ids(self) -> list[str]:
        """Ids of all that are there, the newest first. Raises GallerySecretError."""
        return [secret_id(secret) for secret in self._read()]

    def current(self) -> str:
        """Id of the secret for what is written now; made where there is none yet.

        Raises GallerySecretError.
        """
        with self._lock:
            there = self._read()
            return secret_id(there[0] if there else self._add(first_only=True))

    def renew(self) -> str:
        """Put a new secret before the others; its id. Raises GallerySecretError."""
        if self._text:
            raise GallerySecretError(
                f"The secrets come from the setting {self._setting}, which this process cannot "
                "change: put a new one (openssl rand -hex 32) before the others there, start the "
                "service again, and re-key without a new secret."
            )
        with self._lock:
            return secret_id(self._add())

    def _read(self) -> list[bytes]:
        if self._text:
            lines = self._text.replace(",", " ").split()
        else:
            try:
                text = self.path.read_text(encoding="ascii", errors="replace")
            except FileNotFoundError:
                return []
            except OSError as error:
                raise self._refused("read", error) from error
            lines = [line.strip() for line in text.splitlines()]
        return [self._parsed(line) for line in lines if line and not line.startswith("#")]

    def _parsed(self, line: str) -> bytes:
        try:
            secret = bytes.fromhex(line)
        except ValueError:
            secret = b""
        if len(secret) != SECRET_BYTES or not line.isalnum():
            # Never the line itself: it may be a secret with a slip in it.
            raise GallerySecretError(
                f"{self.place[0].upper()}{self.place[1:]} has something else than secrets of "
                f"{2 * SECRET_BYTES} hex digits: bring back a copy of it."
            )
        return secret

    def _add(self, *, first_only: bool = False) -> bytes:
        """Durable before it is used: a database whose secret is lost is lost, too.

        first_only: none is made where another process has made one just now; that one counts.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with _alone_in(self.path.parent):
                there = self._read()
                if there and first_only:
                    return there[0]
                new = secrets.token_bytes(SECRET_BYTES)
                self._write([new, *there])
        except OSError as error:
            raise self._refused("written", error) from error
        log.info("a new secret, %s, is in %s: keep a copy apart", secret_id(new), self.path)
        return new

    def _write(self, lines: list[bytes]) -> None:
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=".oneglance-")
        part = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(_HEADER + "".join(f"{secret.hex()}\n" for secret in lines))
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)
        sync_names(self.path.parent)

    def _refused(self, what: str, error: OSError) -> GallerySecretError:
        return GallerySecretError(
            f"The file of secrets {self.path} cannot be {what} ({error.strerror}): name one that "
            f"this process may use by {self._setting}_file, or give the secret by "
            f"ONEGLANCE_{self._setting.upper()}."
        )

    def open_to_others(self) -> bool:
        """Whether others on this machine than its owner may read the file."""
        if self._text or not self.path.exists():
            return False
        return bool(self.path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """While this lasts no other process adds a secret there: none of two must be lost."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def secret_path_beside(gallery: Path) -> Path:
    """The file of secrets of a gallery file, unless another is named."""
    return gallery.with_name(f"{gallery.name}.secret")
