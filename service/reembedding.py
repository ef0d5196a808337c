"""Re-embedding a gallery for another bundle: from stored crops, or from a folder of originals.

The gallery's side, staging and switching, is index/reembedding.py.
"""

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from contract.errors import GalleryError, ImageError
from contract.images import ImageLimits
from contract.manifest import InputSpec
from index.comparison import staged_ids
from index.gallery import Gallery
from index.records import Embeddings
from index.reembedding import Embed, PendingTemplate, Reembedding
from service.crops import OtherCropError, Pixels, decode_crop
from service.embedder import Embedder
from service.options import FacePolicy
from service.quality.policy import OFF
from service.recognizer import Recognizer, Timing
from service.usable_face import UnusableFace, usable_face

Outcome = Literal[
    "embedded",
    "already_embedded",
    "no_crop",
    "other_crop",
    "damaged_crop",
    "unknown_subject",
    "ambiguous_subject",
    "unreadable",
    "no_face",
    "face_too_small",
    "multiple_faces",
    "not_an_image",
    "image_too_large",
]
# A photo's template is named by subject and content: embedded again, it is the same template.
_NAMESPACE: Final = uuid.UUID("6f6e6567-6c61-4e63-a572-65656d626564")
_BATCH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What became of a template's crop, or of a file. detail: in words, where it failed."""

    subject_id: str | None
    template_id: str | None
    file: str | None
    outcome: Outcome
    detail: str | None = None


def embed_crops(job: Reembedding, embedder: Embedder, pixels: InputSpec) -> Iterator[list[Item]]:
    """Stage all templates that are missing and have a crop; some at a time, durable when given.

    Raises OtherCropError where the first crops are all of a kind that the bundle does not take.
    """
    first = True
    for page in job.pending():
        for start in range(0, len(page), _BATCH):
            items, ready = _decoded(page[start : start + _BATCH], pixels)
            others = [item for item in items if item.outcome == "other_crop"]
            if first and others and not ready:
                raise OtherCropError(others[0].detail or "")
            first = first and not ready and not others
            if ready:
                embeddings = embedder.embed(np.stack([crop for _, crop in ready]))
                ids = [template.id for template, _ in ready]
                job.stage(dict(zip(ids, embeddings, strict=True)))
                items += [_item(template, "embedded") for template, _ in ready]
            yield items


def embed_late(embedder: Embedder, pixels: InputSpec) -> Embed:
    """What stages those who come in until a switch, inside of it; see Reembedding.switch."""

    def embed(pending: Sequence[PendingTemplate]) -> dict[str, Embeddings]:
        embeddings: dict[str, Embeddings] = {}
        for start in range(0, len(pending), _BATCH):
            _, ready = _decoded(pending[start : start + _BATCH], pixels)
            if ready:
                rows = embedder.embed(np.stack([crop for _, crop in ready]))
                embeddings |= zip([template.id for template, _ in ready], rows, strict=True)
        return embeddings

    return embed


def embed_originals(
    gallery: Gallery,
    job: Reembedding,
    recognizer: Recognizer,
    folders: Iterable[Path],
    *,
    face_policy: FacePolicy,
    limits: ImageLimits,
) -> Iterator[list[Item]]:
    """Stage every image file in `folders` as a new template of its folder's subject.

    A folder is named by a subject's id, else by an external id, else by a name that one subject
    alone has. Gives what became of a folder's files, durable then; twice is once.
    """
    names = _Names(gallery)
    for folder in folders:
        subject_id = names.subject_id(folder.name)
        if isinstance(subject_id, Item):
            yield [subject_id]
            continue
        items: list[Item] = []
        new: dict[str, Embeddings] = {}
        for file in sorted(path for path in folder.iterdir() if _is_meant(path)):
            item, embedding = _original(
                gallery, job, recognizer, file, subject_id, face_policy=face_policy, limits=limits
            )
            if item.template_id in new:
                item = Item(
                    subject_id=subject_id,
                    template_id=item.template_id,
                    file=str(file),
                    outcome="already_embedded",
                )
            elif embedding is not None and item.template_id is not None:
                new[item.template_id] = embedding
            items.append(item)
        if new:
            job.stage_new(subject_id, new)
        yield items


def folders_of(root: Path) -> list[Path]:
    """The sub-folders of a folder of originals, in order. Raises GalleryError: there are none."""
    found = (
        sorted(p for p in root.iterdir() if p.is_dir() and _is_named(p)) if root.is_dir() else []
    )
    if not found:
        raise GalleryError(
            f"{root} has no folders: give it one a subject, named by its id, external id or name."
        )
    return found


class _Names:
    """Who a folder's name means."""

    def __init__(self, gallery: Gallery) -> None:
        self._ids: set[str] = set()
        self._external: dict[str, str] = {}
        self._named: dict[str, list[str]] = {}
        after = None
        while True:
            page = gallery.subjects(limit=1_000, after=after)
            for subject in page.subjects:
                self._ids.add(subject.id)
                if subject.external_id is not None:
                    self._external[subject.external_id] = subject.id
                if subject.name is not None:
                    self._named.setdefault(subject.name, []).append(subject.id)
            after = page.next_after
            if after is None:
                return

    def subject_id(self, name: str) -> "str | Item":
        """The subject's id, or the item that says why there is none."""
        if name in self._ids:
            return name
        if name in self._external:
            return self._external[name]
        called = self._named.get(name, [])
        if len(called) == 1:
            return called[0]
        return Item(
            subject_id=None,
            template_id=None,
            file=name,
            outcome="ambiguous_subject" if called else "unknown_subject",
            detail=f"{len(called)} subjects are called so: name the folder by an id."
            if called
            else "No subject has this id, external id or name.",
        )


def _decoded(
    pending: Sequence[PendingTemplate], pixels: InputSpec
) -> tuple[list[Item], list[tuple[PendingTemplate, Pixels]]]:
    items: list[Item] = []
    ready: list[tuple[PendingTemplate, Pixels]] = []
    for template in pending:
        if template.crop is None:
            items.append(_item(template, "no_crop"))
            continue
        try:
            ready.append((template, decode_crop(template.crop, pixels)))
        except OtherCropError as error:
            items.append(_item(template, "other_crop", str(error)))
        except ImageError as error:
            items.append(_item(template, "damaged_crop", str(error)))
    return items, ready


def _original(
    gallery: Gallery,
    job: Reembedding,
    recognizer: Recognizer,
    file: Path,
    subject_id: str,
    *,
    face_policy: FacePolicy,
    limits: ImageLimits,
) -> tuple[Item, Embeddings | None]:
    def item(outcome: Outcome, template_id: str | None = None, detail: str | None = None) -> Item:
        return Item(
            subject_id=subject_id,
            template_id=template_id,
            file=str(file),
            outcome=outcome,
            detail=detail,
        )

    try:
        if file.stat().st_size > limits.max_bytes:
            return item("image_too_large", detail=f"At most {limits.max_bytes} bytes."), None
        data = file.read_bytes()
    except OSError as error:
        return item("unreadable", detail=error.strerror), None
    template_id = template_id_of(subject_id, data)
    if staged_ids(gallery, job, [template_id]):
        return item("already_embedded", template_id), None
    try:
        # Whoever is enrolled stays so: only new photos are asked for their quality.
        found = usable_face(recognizer, data, face_policy, OFF, Timing())
    except (ImageError, UnusableFace) as error:
        reason = error.reason if isinstance(error, ImageError) else error.reasons[0]
        return item(reason, detail=str(error)), None  # type: ignore[arg-type]
    return item("embedded", template_id), found.embedded.embedding


def template_id_of(subject_id: str, data: bytes) -> str:
    """The id of the template that an original becomes: by subject and content."""
    name = f"{subject_id}/{hashlib.sha256(data).hexdigest()}"
    return uuid.uuid5(_NAMESPACE, name).hex


def _item(template: PendingTemplate, outcome: Outcome, detail: str | None = None) -> Item:
    return Item(
        subject_id=template.subject_id,
        template_id=template.id,
        file=None,
        outcome=outcome,
        detail=detail,
    )


def _is_named(path: Path) -> bool:
    return not path.name.startswith(".")


def _is_meant(path: Path) -> bool:
    return path.is_file() and _is_named(path)
