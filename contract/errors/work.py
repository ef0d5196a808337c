"""Requests and jobs that cannot be done now, or not any more."""

from collections.abc import Mapping

from contract.errors.root import OneGlanceError


class TooLittleDataError(OneGlanceError):
    """A calibration that the data cannot support, for any target FPIR.

    subjects: enrolled ones, each a stranger to all others. uploaded: further strangers. needed: of
    both together, for each target FPIR. reason: why so many do not do, where that is it.
    """

    def __init__(
        self,
        *,
        subjects: int,
        uploaded: int,
        needed: Mapping[float, int],
        reason: str | None = None,
    ) -> None:
        targets = ", ".join(f"{count} for an FPIR of {fpir:.1%}" for fpir, count in needed.items())
        super().__init__(
            f"{reason or 'There is too little to calibrate on'}: the collection has {subjects} "
            f"subjects with templates, each searched for among the others, and {uploaded} further "
            f"strangers were given. Together they must be at least {targets}. Enrol more subjects, "
            "or give photos of people who are not enrolled."
        )
        self.subjects, self.uploaded, self.needed = subjects, uploaded, dict(needed)


class IdempotencyConflictError(OneGlanceError):
    """An idempotency key came again with another content; nothing was done."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"The Idempotency-Key {key!r} came with another request before: choose a new key for "
            "each request, and send the same one only to repeat it as it was."
        )
        self.key = key


class RequestUnderWayError(OneGlanceError):
    """The first request with an idempotency key is not answered yet; nothing was done."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"The first request with the Idempotency-Key {key!r} is still under way: repeat it in "
            "some seconds to get its answer."
        )
        self.key = key


class ImportNotFoundError(OneGlanceError):
    """No import of that id has begun here."""

    def __init__(self, import_id: str) -> None:
        super().__init__(f"There is no report of an import {import_id!r}.")
        self.import_id = import_id


class ExportNotFoundError(OneGlanceError):
    """No file of that export: not written yet, or removed after its time."""

    def __init__(self, export_id: str) -> None:
        super().__init__(
            f"There is no file of an export {export_id!r}: its job has not succeeded, or its time "
            "is over."
        )
        self.export_id = export_id


class JobNotFoundError(OneGlanceError):
    """No job of that id, or it is long past."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"There is no job {job_id!r}: jobs are forgotten by a restart, and old ones in time."
        )
        self.job_id = job_id


class JobCancelledError(OneGlanceError):
    """The service closed before the job was done; nothing of it was stored."""

    def __init__(self) -> None:
        super().__init__("The service was stopped before the job was done: submit it again.")


class OverloadedError(OneGlanceError):
    """All places are taken. `retry_after_s` is a hint in seconds."""

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceededError(OverloadedError):
    """Work that a request asked for had not begun when its time was over; nothing was done."""

    def __init__(self, deadline_s: float) -> None:
        super().__init__(
            f"The request waited {deadline_s:g} seconds and its turn had not come: try again in a "
            "second."
        )
        self.deadline_s = deadline_s


class CallerGoneError(OneGlanceError):
    """Whoever asked has gone away before the work had begun; nothing was done."""

    def __init__(self) -> None:
        super().__init__("The connection was closed before the work had begun: send it again.")
