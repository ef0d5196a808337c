"""Enrolling a folder: one sub-folder a subject; a later run goes on where one was stopped."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from contract.errors import OneGlanceError
from service.commands.connection import answer_json
from service.commands.enroll_report import PhotoReport, Report
from service.commands.gallery.common import progress, say
from service.commands.photo_files import requests, visible_files
from service.schemas import EnrollAnswer

if TYPE_CHECKING:
    from service.client import ApiError, Client

# A service takes as many unless it was told otherwise.
PHOTOS_PER_REQUEST: Final = 20
# Refusals of these photos or of this subject: the others are enrolled all the same.
OF_THE_PHOTOS: Final = frozenset(
    {
        "empty_file", "damaged_image", "not_an_image", "image_too_large", "body_too_large",
        "no_usable_face", "possible_duplicate", "subject_conflict",
    }
)  # fmt: skip
# How long to wait for the service to end such a request, and between looks.
UNDER_WAY_S = 60.0
PAUSE_S = 1.0


def enroll_folder(
    client: "Client",
    folder: Path,
    facts: Mapping[str, Any],
    *,
    report_file: Path | None,
    retry_rejected: bool,
    as_json: bool,
) -> int:
    """Enrol every sub-folder of `folder` as a subject, `facts` being said of each.

    Raises OneGlanceError, ApiError (what is wrong with all of them) or OSError.
    """
    subjects = _subjects(folder)
    about = {"folder": str(folder.resolve()), "collection": facts["collection"]}
    with Report(report_file, about) as report:
        skipped = {"enrolled"} if retry_rejected else {"enrolled", "rejected"}
        photos = {
            subject: [p for p in files if report.done.get(_name(p)) not in skipped]
            for subject, files in subjects.items()
        }
        left = sum(map(len, photos.values()))
        counts = {"enrolled": 0, "accepted": 0, "rejected": 0}
        with progress("enrol", total=left, unit="photo") as bar:
            for subject, files in photos.items():
                for part in requests(files, most=PHOTOS_PER_REQUEST):
                    made = _enroll(client, subject, part, facts, run=report.run)
                    report.add(made)
                    for photo in made:
                        counts[photo.status] += 1
                        _tell(photo, as_json=as_json, bar=bar)
                    bar.update(len(part))
    if not as_json:
        before = sum(map(len, subjects.values())) - left
        taken = f"{counts['enrolled']} photos enrolled"
        if facts["dry_run"]:
            taken = f"{counts['accepted']} photos would be enrolled"
        say(
            f"{len(subjects)} subjects: {taken}, {counts['rejected']} not taken, "
            f"{before} reported before"
        )
    return 0


def _subjects(folder: Path) -> dict[str, list[Path]]:
    """The photos of each subject, by its name. Raises OneGlanceError: there are none."""
    folders = (
        sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
        if folder.is_dir()
        else []
    )
    subjects = {path.name: visible_files(path) for path in folders}
    if not any(subjects.values()):
        raise OneGlanceError(
            f"{folder} has no sub-folders with photos: each subject's photos belong into one, "
            "which is called by the subject's name."
        )
    return {name: files for name, files in subjects.items() if files}


def _enroll(
    client: "Client", subject: str, photos: Sequence[Path], facts: Mapping[str, Any], *, run: str
) -> list[PhotoReport]:
    """What came of the photos of one request."""
    from service.client import ApiError

    key = _key(run, subject, photos, facts)
    deadline = time.monotonic() + UNDER_WAY_S
    while True:
        try:
            answer = client.enroll(
                photos, name=subject, external_id=subject, idempotency_key=key, **facts
            )
            return _taken(subject, photos, answer)
        except ApiError as error:
            if _too_many(error) and len(photos) > 1:
                half = len(photos) // 2
                return [
                    made
                    for part in (photos[:half], photos[half:])
                    for made in _enroll(client, subject, part, facts, run=run)
                ]
            if error.code in OF_THE_PHOTOS:
                return _refused(subject, photos, error)
            # The run before was stopped while the service worked on this very request.
            if error.code != "request_under_way" or time.monotonic() >= deadline:
                raise
            time.sleep(PAUSE_S)


def _too_many(error: "ApiError") -> bool:
    """Whether the service takes fewer photos at a time."""
    fields = {item.get("field") for item in error.errors}
    return error.code == "body_too_large" or (
        error.code == "invalid_request" and fields == {"images"}
    )


def _key(run: str, subject: str, photos: Sequence[Path], facts: Mapping[str, Any]) -> str:
    """The same for the same photos in the same run, so that none is enrolled twice."""
    states = [(_name(p), p.stat().st_size, p.stat().st_mtime_ns) for p in photos]
    text = json.dumps([run, subject, states, dict(facts)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _taken(subject: str, photos: Sequence[Path], answer: EnrollAnswer) -> list[PhotoReport]:
    warnings = tuple(warning.detail for warning in answer.warnings)
    made: dict[int, PhotoReport] = {}
    for image in answer.accepted:
        made[image.index] = PhotoReport(
            photo=_name(photos[image.index]),
            subject=subject,
            status="accepted" if answer.dry_run else "enrolled",
            # The id of who would be new is nobody's yet.
            subject_id=None if answer.dry_run and answer.subject.created else answer.subject.id,
            template_id=image.template_id,
            warnings=warnings,
        )
    for refused in answer.rejected:
        made[refused.index] = PhotoReport(
            photo=_name(photos[refused.index]),
            subject=subject,
            status="rejected",
            reasons=tuple(refused.reasons),
            detail=refused.detail,
        )
    return [made[index] for index in sorted(made)]


def _refused(subject: str, photos: Sequence[Path], error: "ApiError") -> list[PhotoReport]:
    reasons = {
        item["index"]: tuple(map(str, item.get("reasons", ())))
        for item in error.errors
        if "index" in item
    }
    return [
        PhotoReport(
            photo=_name(photo),
            subject=subject,
            status="rejected",
            reasons=reasons.get(index, (error.code,)),
            detail=error.detail,
        )
        for index, photo in enumerate(photos)
    ]


def _tell(photo: PhotoReport, *, as_json: bool, bar: Any) -> None:
    """Say what people must know: of photos that were taken only what is strange."""
    if not as_json and photo.status != "rejected" and not photo.warnings:
        return
    # The bar is on the same terminal.
    bar.clear()
    if as_json:
        answer_json(asdict(photo))
    elif photo.status == "rejected":
        say(f"{photo.photo}: not taken ({', '.join(photo.reasons)}): {photo.detail}")
    else:
        say(f"{photo.photo}: warning: {' '.join(photo.warnings)}")


def _name(photo: Path) -> str:
    return f"{photo.parent.name}/{photo.name}"
