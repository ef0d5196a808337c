"""Image files in folders: the identity of an image is the folder that it lies in.

`pubfig/Lucy_Liu/3.webp` is of `pubfig/Lucy_Liu`, so every layout of one folder an identity works.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from training.data.pack import PAIRS_NAME, SPLITS, Split
from training.data.sources.base import Listing, Sample, SourceError, Task, Unused, stamp_of
from training.data.sources.files import Files, read_member

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
OTHER_IMAGE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".heic", ".jp2", ".pgm", ".ppm", ".tif", ".tiff"}
)


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """members: path in the pack -> name in the source, sorted by path. unused: what is no image."""

    members: dict[str, str]
    unused: tuple[Unused, ...]


@dataclass(frozen=True, slots=True)
class ImageSource:
    """A folder or zip of image files; `members` is the file of each sample of `listing`."""

    listing: Listing
    files: Path
    members: tuple[str, ...]

    def tasks(self, start: int) -> Iterator[Task]:
        return (Task(member=member) for member in self.members[start:])


def image_source(root: Path, files: Files, *, splits: bool) -> ImageSource:
    """The images of `root`, whose identities are their folders.

    splits: folders `train` and `test`, at one depth in all paths, are splits and no part of the
        identity's name.
    Raises SourceError if there is no image, or an image is in neither split.
    """
    found = find_images(files)
    if not found.members:
        raise SourceError(f"{root} holds no .jpg, .png or .webp image.")
    depth = split_depth(found.members) if splits else None
    if splits and depth is None:
        raise SourceError(
            f"{root}: with --splits every image lies in a folder train or test, at one depth."
        )
    samples: list[Sample] = []
    members: list[str] = []
    unused = list(found.unused)
    for path, member in found.members.items():
        identity = _identity(path, depth)
        if identity:
            samples.append(Sample(path, identity, _split(path, depth)))
            members.append(member)
        else:
            unused.append((path, "lies in no folder, whose name would be its identity"))
    if not samples:
        raise SourceError(f"{root}: its images lie in no folder, whose name would be an identity.")
    listing = Listing(
        name=root.name,
        samples=tuple(samples),
        stamp=stamp_of(zip(samples, (files.members[name] for name in members), strict=True)),
        unused=tuple(unused),
        pairs=_pairs(files),
    )
    return ImageSource(listing, root, tuple(members))


def find_images(files: Files) -> ImageFiles:
    """The image files, by paths in NFC; of two names that NFC makes one the first counts."""
    members: dict[str, str] = {}
    unused = [(_shown(name), reason) for name, reason in files.odd]
    for name in sorted(files.members):
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in OTHER_IMAGE_SUFFIXES:
            unused.append((_shown(name), "is not a JPEG, PNG or WebP image: convert it"))
        if suffix not in IMAGE_SUFFIXES:
            continue
        path = _path(name)
        if path is None:
            unused.append((_shown(name), "its name is not valid Unicode: rename it"))
        elif path in members:
            unused.append((path, "another file has this name, too, but for its Unicode form"))
        else:
            members[path] = name
    return ImageFiles(dict(sorted(members.items())), tuple(unused))


def split_depth(paths: dict[str, str]) -> int | None:
    """How many folders lie above `train` and `test` in every path; None if that is not so."""
    parts = [PurePosixPath(path).parts[:-1] for path in paths]
    least = min((len(folders) for folders in parts), default=0)
    depths = (d for d in range(least) if all(folders[d] in SPLITS for folders in parts))
    return next(depths, None)


def _path(name: str) -> str | None:
    """In NFC; None where the name is bytes that are no text. Some zips of Windows have `\\`."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return None
    if "/" not in name:
        name = name.replace("\\", "/")
    return unicodedata.normalize("NFC", name)


def _shown(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _identity(path: str, depth: int | None) -> str:
    folders = PurePosixPath(path).parts[:-1]
    return "/".join(folders if depth is None else folders[:depth] + folders[depth + 1 :])


def _split(path: str, depth: int | None) -> Split:
    test = depth is not None and PurePosixPath(path).parts[depth] == "test"
    return "test" if test else "train"


def _pairs(files: Files) -> bytes | None:
    found = [name for name in files.members if PurePosixPath(name).name == PAIRS_NAME]
    return read_member(files, min(found)) if found else None
