"""What the gallery refuses, has not, or cannot do now."""

from contract.errors.root import OneGlanceError


class GalleryError(OneGlanceError):
    """Root of what goes wrong with a gallery."""


class AuditBrokenError(GalleryError):
    """The audit log is no unbroken chain any more. place: of the first entry that does not fit."""

    def __init__(self, place: int, why: str) -> None:
        super().__init__(
            f"The audit log breaks at entry {place}: {why}. Compare it with a copy kept elsewhere."
        )
        self.place = place


class CollectionExistsError(GalleryError):
    """There is a collection of that id already."""

    def __init__(self, collection_id: str) -> None:
        super().__init__(f"There is a collection {collection_id!r} already: choose another id.")
        self.collection_id = collection_id


class CollectionInUseError(GalleryError):
    """The collection that the service was started for is not removed while it runs."""

    def __init__(self, collection_id: str) -> None:
        super().__init__(
            f"The service was started for the collection {collection_id!r}: remove its subjects, "
            "or stop the service and use oneglance gallery delete-collection."
        )
        self.collection_id = collection_id


class SubjectNotFoundError(GalleryError):
    """No subject of that id."""

    def __init__(self, subject_id: str) -> None:
        super().__init__(f"There is no subject {subject_id!r}.")
        self.subject_id = subject_id


class TemplateNotFoundError(GalleryError):
    """No template of that id."""

    def __init__(self, template_id: str) -> None:
        super().__init__(f"There is no template {template_id!r}.")
        self.template_id = template_id


class TemplateExistsError(GalleryError):
    """A template of that id is there already: nothing was stored."""

    def __init__(self, template_id: str) -> None:
        super().__init__(f"There is a template {template_id!r} already.")
        self.template_id = template_id


class CropNotFoundError(GalleryError):
    """The template is there, the picture that it was made of was not stored."""

    def __init__(self, template_id: str) -> None:
        super().__init__(
            f"No picture of the template {template_id!r} is stored: enrol with store_image=crop "
            "to have it kept."
        )
        self.template_id = template_id


class ErasureNotFoundError(GalleryError):
    """No subject of that id was ever removed."""

    def __init__(self, subject_id: str) -> None:
        super().__init__(
            f"No subject {subject_id!r} was removed from this collection: delete it first, or name "
            "its collection."
        )
        self.subject_id = subject_id


class FeedbackNotFoundError(GalleryError):
    """No feedback of that id."""

    def __init__(self, feedback_id: str) -> None:
        super().__init__(
            f"There is no feedback {feedback_id!r}: it was not given, or was removed, by hand, "
            "with its subject, or as the oldest of too many."
        )
        self.feedback_id = feedback_id


class FeedbackOutdatedError(GalleryError):
    """Feedback on a search by other embeddings than the collection has now; nothing was stored."""

    def __init__(self, collection_id: str) -> None:
        super().__init__(
            f"The face was searched for with another bundle than the collection {collection_id!r} "
            "has now: its similarities say nothing about the present ones. Identify the photo "
            "again, and send the receipt of that answer."
        )
        self.collection_id = collection_id


class CollectionNotFoundError(GalleryError):
    """No collection of that id."""

    def __init__(self, collection_id: str) -> None:
        super().__init__(f"There is no collection {collection_id!r}.")
        self.collection_id = collection_id


class SubjectConflictError(GalleryError):
    """The subject exists and says something else than the caller."""


class GalleryTooLargeError(GalleryError):
    """More templates than a health report looks at."""

    def __init__(self, *, templates: int, most: int) -> None:
        super().__init__(
            f"The collection has {templates} templates, and a health report, which compares each "
            f"with all others, takes {most} at most: allow more by --max-health-report-templates, "
            "and expect four times the time for twice as many."
        )
        self.templates, self.most = templates, most


class GalleryLockedError(GalleryError):
    """Another process owns the gallery file."""


class GalleryUnavailableError(GalleryError):
    """The storage cannot be read or written now; nothing was acknowledged."""


class GalleryFullError(GalleryUnavailableError):
    """The storage has no room left; nothing was acknowledged."""


class GallerySecretError(GalleryError):
    """The secret that templates are protected by is not there, or cannot be used."""
