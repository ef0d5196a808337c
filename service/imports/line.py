"""One line of an import's report."""

from typing import Literal

from service.schemas import EnrollWarning, Model


class ImportLine(Model):
    """What came of one photo.

    index: its place in the zip. already_enrolled: a template of this very file was there for this
    subject. reasons: machine-readable, why it was rejected. warnings: as an enrolment has them.
    """

    index: int
    path: str
    outcome: Literal["enrolled", "already_enrolled", "rejected"]
    subject_id: str | None = None
    template_id: str | None = None
    reasons: tuple[str, ...] = ()
    detail: str | None = None
    warnings: tuple[EnrollWarning, ...] = ()
