"""Which layout a source has, and the source in that layout."""

from pathlib import Path
from typing import Literal

from training.data.sources.base import Source, SourceError
from training.data.sources.cifar10 import cifar10_source, is_cifar10
from training.data.sources.files import Files, TarFiles, open_files
from training.data.sources.idx import idx_source, is_idx
from training.data.sources.images import image_source
from training.data.sources.vggface2 import is_vggface2, vggface2_source

Kind = Literal["faces", "images", "vggface2", "mnist", "cifar10"]
KINDS: tuple[Kind, ...] = ("faces", "images", "vggface2", "mnist", "cifar10")


def open_source(
    root: Path, *, kind: Kind | None, folders: Kind, splits: bool, variant: str | None
) -> tuple[Kind, Source]:
    """The source at `root` and its kind, which is looked up where `kind` is None.

    folders: the kind that folders of images are, if nothing marks them as one of the data sets.
    splits: of `faces` and `images`, folders train and test are splits. variant: of idx files.
    Raises SourceError.
    """
    files = open_files(root)
    kind = kind or _kind(files) or folders
    if isinstance(files, TarFiles) and kind != "cifar10":
        raise SourceError(f"{root} is a tar: unpack it, and name the folder.")
    if variant is not None and kind != "mnist":
        raise SourceError(f"--variant is for idx files, and {root} is of kind {kind}.")
    if splits and kind not in ("faces", "images"):
        raise SourceError(f"--splits is for faces and images: {kind} has splits of its own.")
    if kind == "vggface2":
        return kind, vggface2_source(root, files)
    if kind == "mnist":
        return kind, idx_source(root, files, variant=variant)
    if kind == "cifar10":
        return kind, cifar10_source(root, files)
    return kind, image_source(root, files, splits=splits)


def _kind(files: Files) -> Kind | None:
    if is_vggface2(files):
        return "vggface2"
    if is_idx(files):
        return "mnist"
    return "cifar10" if is_cifar10(files) else None
