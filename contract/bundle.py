"""A bundle on disk: a folder with manifest.json and the files that it pins."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from contract.errors import BundleFileError, ManifestError
from contract.manifest import Manifest, parse_manifest

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A folder whose manifest was read and whose files were checked against their hashes."""

    root: Path
    manifest: Manifest

    def read_model(self) -> bytes:
        """Bytes of the model, checked now: TorchScript is code, so only the pinned one is run."""
        return _read_pinned(self.root, self.manifest.model.file, self.manifest)

    @property
    def sha256(self) -> str:
        """Hash of the model file, the name by which answers tell which bundle made them."""
        return self.manifest.files[self.manifest.model.file]


def load_bundle(root: Path) -> Bundle:
    """Read and check the bundle in folder `root`.

    Raises ManifestError (missing or malformed manifest) or BundleFileError (missing file, other
    hash); both name the file.
    """
    path = root / MANIFEST_NAME
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ManifestError(
            f"There is no readable {path}: point to a folder made by `oneglance-train export`."
        ) from error
    manifest = parse_manifest(text, source=str(path))
    for name in manifest.files:
        _read_pinned(root, name, manifest)
    return Bundle(root, manifest)


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Write `manifest` into `root`, whole or not at all."""
    temporary = root / f".{MANIFEST_NAME}.tmp"
    temporary.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    temporary.replace(root / MANIFEST_NAME)


def sha256_of(data: bytes) -> str:
    """Hash as manifests write it: 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _read_pinned(root: Path, name: str, manifest: Manifest) -> bytes:
    path = root / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BundleFileError(f"{path} is named in the manifest but cannot be read.") from error
    found, pinned = sha256_of(data), manifest.files[name]
    if found != pinned:
        raise BundleFileError(
            f"{path} has sha256 {found}, the manifest pins {pinned}: the file was changed or "
            "damaged. Take the bundle again from where it came, or export it anew."
        )
    return data
