"""What came with from CompreFace, and what could not: nobody is left out in silence."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from index.checks import EXTERNAL_ID_MAX_CHARS, check_text

Reason = Literal["image_not_saved", "no_images", "name_refused"]

DETAILS: Final[dict[Reason, str]] = {
    "image_not_saved": "CompreFace has not saved these photos (save_images_to_db=false), and its "
    "embeddings are another network's: add photos of this subject anew.",
    "no_images": "CompreFace has no photos of this subject: it comes with its first photo.",
    "name_refused": "Such a name cannot be kept: rename the subject in CompreFace, and import "
    "again.",
}
# With the number of images and of subjects.
_HEADS: Final[dict[Reason, str]] = {
    "image_not_saved": "{0} photos of {1} subjects, which CompreFace has not saved "
    "(save_images_to_db=false)",
    "no_images": "{1} subjects, of whom CompreFace has no photos",
    "name_refused": "{0} photos of {1} subjects, whose names cannot be kept",
}
_WHAT_NOW: Final[dict[Reason, str]] = {
    "image_not_saved": "CompreFace's embeddings are another network's and cannot be taken over: "
    "add photos of them anew.",
    "no_images": "They come with their first photo.",
    "name_refused": "Rename them in CompreFace, and import again: a name has 1 to "
    f"{EXTERNAL_ID_MAX_CHARS} characters, none of them control characters.",
}
_NAMED: Final = 20
_SHOWN_CHARS: Final = 200


@dataclass(slots=True, kw_only=True)
class Findings:
    """What is known so far. where: the recognition service, for people.

    photo_count: photos that came with. left_out: ids of the images of each subject that did not,
    by reason; none where the subject has none. left_out_count: of those images.
    """

    where: str
    subject_count: int
    photo_count: int = 0
    left_out_count: int = 0
    left_out: dict[Reason, dict[str, list[str]]] = field(default_factory=dict)

    def leave_out(self, reason: Reason, subject: str, *image_ids: str) -> None:
        """Note images, or a subject without any, that do not come with."""
        self.left_out.setdefault(reason, {}).setdefault(subject, []).extend(image_ids)
        self.left_out_count += len(image_ids)

    def words(self) -> list[str]:
        """Lines for people."""
        lines = [f"{self.where}: {self.subject_count} subjects, {self.photo_count} photos"]
        for reason, subjects in self.left_out.items():
            images = sum(map(len, subjects.values()))
            head = _HEADS[reason].format(images, len(subjects))
            lines.append(f"left out: {head}: {_names(subjects)}. {_WHAT_NOW[reason]}")
        return lines

    def report_lines(self) -> list[dict[str, Any]]:
        """A line for each subject that is left out or lacks photos, as an import's report has."""
        return [
            {
                "outcome": "left_out",
                "subject": subject,
                "image_ids": image_ids,
                "reasons": [reason],
                "detail": DETAILS[reason],
            }
            for reason, subjects in self.left_out.items()
            for subject, image_ids in subjects.items()
        ]

    def as_dict(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "where": self.where,
            "subject_count": self.subject_count,
            "photo_count": self.photo_count,
            "left_out": self.report_lines(),
        }


def can_be_kept(name: str) -> bool:
    """Whether CompreFace's name of a subject can be its external id here."""
    try:
        check_text(name, what="name", max_chars=EXTERNAL_ID_MAX_CHARS)
    except ValueError:
        return False
    return True


def printable(text: str) -> str:
    """As it is, unless it would do something to a terminal; the begin of what would fill it."""
    short = text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
    return short if short.isprintable() else ascii(short)


def _names(subjects: dict[str, list[str]]) -> str:
    shown = [
        printable(name) + (f" ({len(image_ids)})" if image_ids else "")
        for name, image_ids in list(subjects.items())[:_NAMED]
    ]
    if len(subjects) > _NAMED:
        shown.append(f"and {len(subjects) - _NAMED} more, see the report")
    return ", ".join(shown)
