"""The protections of one gallery, by their labels."""

import threading

from index.protection.label import Label
from index.protection.protection import PLAIN, Protection
from index.protection.rotation import rotation
from index.protection.secrets import GallerySecrets


class Protector:
    """Labels to protections, each matrix computed once. Any thread may call anything."""

    def __init__(self, secrets: GallerySecrets) -> None:
        self.secrets = secrets
        self._lock = threading.Lock()
        self._made: dict[tuple[str, int], Protection] = {}

    def of(self, label: str, *, size: int, collection_id: str) -> Protection:
        """The protection of a label, for embeddings of `size` numbers.

        Raises GallerySecretError (its secret is not there) or GalleryError (of a newer release).
        """
        if not label:
            return PLAIN
        with self._lock:
            made = self._made.get((label, size))
            if made is None:
                parts = Label.parsed(label)
                secret = self.secrets.get(parts.secret_id, of=f"The collection {collection_id!r}")
                made = Protection(label, rotation(secret, parts.salt, size))
                self._made[label, size] = made
            return made

    def new_label(self, *, anyway: bool = False) -> str:
        """For embeddings that are stored under a new contract. anyway: also where new collections
        are not protected. Raises GallerySecretError."""
        if not (anyway or self.secrets.protects_new):
            return ""
        return str(Label.new(self.secrets.current()))
