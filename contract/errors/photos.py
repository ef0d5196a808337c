"""A photo, or what is on it, that cannot be used."""

from collections.abc import Sequence

from contract.errors.root import OneGlanceError


class ImageError(OneGlanceError):
    """The picture itself cannot be used. `reason` is the machine word of the API.

    field: which image of a request, where it has several in fields of their own.
    """

    reason: str
    field: str | None = None


class NotAnImageError(ImageError):
    """Not a JPEG, PNG or WebP file."""

    reason = "not_an_image"


class EmptyFileError(NotAnImageError):
    """No bytes at all."""


class DamagedImageError(NotAnImageError):
    """An image file that breaks off or is broken."""


class ImageTooLargeError(ImageError):
    """More bytes or pixels than the limits allow."""

    reason = "image_too_large"


class NoUsableFaceError(OneGlanceError):
    """A face was needed and none could be taken.

    `items` pairs each image, by its index or the field that it came in, with its machine-readable
    reasons.
    """

    def __init__(self, message: str, items: Sequence[tuple[int | str, Sequence[str]]] = ()) -> None:
        super().__init__(message)
        self.items = tuple((where, tuple(reasons)) for where, reasons in items)


class PossibleDuplicateError(OneGlanceError):
    """Other subjects look as the new photos do, and such an enrolment was not wanted.

    `duplicates` pairs their ids with the similarity of the nearest photo, nearest first.
    """

    def __init__(self, duplicates: Sequence[tuple[str, float]]) -> None:
        named = ", ".join(f"{who!r} (similarity {value:.3f})" for who, value in duplicates)
        super().__init__(
            f"The photos may show who is enrolled already: {named}. Add them to that subject by "
            "its subject_id, or send duplicate_check=warn to enrol them nevertheless."
        )
        self.duplicates = tuple(duplicates)
