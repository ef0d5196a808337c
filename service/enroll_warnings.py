"""What an enrolment says of other subjects that its photos match, in words."""

from service.duplicates import Duplicates
from service.schemas import EnrollWarning


def warnings_of(duplicates: Duplicates) -> list[EnrollWarning]:
    """A warning for each possible duplicate, or one that nobody could be told from others."""
    if duplicates.unknown is not None:
        unknown = f"Whether the photos show another subject was not checked: {duplicates.unknown}"
        return [
            EnrollWarning(
                code="duplicates_not_checked", subject_id=None, similarity=None, detail=unknown
            )
        ]
    return [
        EnrollWarning(
            code="possible_duplicate",
            subject_id=d.subject_id,
            similarity=d.similarity,
            detail=f"The photos may show {d.subject_id!r}, who is enrolled already: merge the two, "
            "or leave them apart if they are not the same.",
        )
        for d in duplicates.found
    ]
