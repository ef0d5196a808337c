"""The packs of the five columns, made of what lies on this machine."""

import hashlib
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from training.data.pack import INDEX_NAME
from training.data.prepare import PrepareConfig, prepare
from training.paper_table.columns import COLUMNS

# Where Debian's package dataset-fashion-mnist puts the four files.
FASHION = Path("/usr/share/datasets/fashion-mnist")
TESTED_SHARE = 0.1


class MissingDataError(ValueError):
    """A column's data are not on this machine."""


def pack_of(column: str, packs: Path, *, data_root: Path, cifar: Path | None) -> Path:
    """The pack of `column` below `packs`, made there if it is not.

    data_root: folder of the zips. cifar: folder of train/ and test/, or git directory of the
    repository that has them. Raises MissingDataError that says what to install or to name.
    """
    pack = packs / column
    if (pack / INDEX_NAME).exists():
        return pack
    with tempfile.TemporaryDirectory() as folder:
        source, config = _source(column, Path(folder), data_root, cifar)
        if not source.exists():
            raise MissingDataError(f"{column}: {source} is not there: install or name it.")
        prepare(source, pack, config, workers=1)
    return pack


def _source(
    column: str, scratch: Path, data_root: Path, cifar: Path | None
) -> tuple[Path, PrepareConfig]:
    if column == "faces":
        return _split_faces(data_root / "faces-train.zip", scratch / "faces-train")
    if column == "fashion-mnist":
        return FASHION, PrepareConfig()
    if column == "cifar10-jpeg":
        if cifar is None:
            raise MissingDataError("cifar10-jpeg: name its folder or git directory by --cifar.")
        config = PrepareConfig(side_px=COLUMNS[column].prepared_side_px)
        return _cifar_files(cifar, scratch / "cifar10"), config
    return data_root / f"{column}.zip", PrepareConfig()


def _cifar_files(cifar: Path, folder: Path) -> Path:
    """The images as files; a git directory is unpacked into `folder`."""
    if not (cifar / "HEAD").exists():
        return cifar
    folder.mkdir()
    archive = folder.with_suffix(".tar")
    git = ["git", f"--git-dir={cifar}", "archive", "-o", str(archive), "HEAD", "train", "test"]
    subprocess.run(git, check=True)
    shutil.unpack_archive(archive, folder, filter="data")
    archive.unlink()
    return folder


def _split_faces(source: Path, folder: Path) -> tuple[Path, PrepareConfig]:
    """The crops in folders train and test, a tenth of the identities in test, by their names: no
    part of them ever chooses an epoch.
    """
    if not source.exists():
        return source, PrepareConfig()
    with zipfile.ZipFile(source) as archive:
        for name in archive.namelist():
            path = PurePosixPath(name)
            if path.suffix:
                split = "test" if is_tested(str(path.parent)) else "train"
                target = folder / split / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))
    return folder, PrepareConfig(aligned=True, splits=True)


def is_tested(identity: str) -> bool:
    """Whether an identity is held out, the same ones on every machine."""
    digest = hashlib.sha256(identity.encode()).digest()
    return int.from_bytes(digest[:8], "big") < TESTED_SHARE * 2**64
