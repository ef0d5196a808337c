"""The error tree.

OneGlanceError
├── ImageError                    the picture itself cannot be used
│   ├── NotAnImageError           not a JPEG, PNG or WebP file
│   │   ├── EmptyFileError        no bytes at all
│   │   └── DamagedImageError     an image file that breaks off or is broken
│   └── ImageTooLargeError        more bytes or pixels than allowed
├── NoUsableFaceError             a face was needed and none could be taken
├── PossibleDuplicateError        other subjects look as the new photos do
├── BundleError                   a bundle must not be loaded
│   ├── ManifestError             manifest missing, malformed or of an unknown format
│   ├── BundleNotFoundError       no bundle of that name is served
│   └── BundleFileError           a file is missing or its hash differs
├── GalleryError
│   ├── ContractMismatchError     embeddings of another bundle
│   │   ├── SwitchedMeanwhileError    made for what was searched until a moment ago
│   │   └── ReembeddingEndedError     what was being embedded anew was switched to, or abandoned
│   ├── ReembeddingConflictError  not possible where a re-embedding is, or is not, under way
│   ├── MissingTemplatesError     a switch after which templates would not be found
│   ├── NoCropsError              nothing is stored that could be embedded anew
│   ├── CollectionNotFoundError
│   ├── CollectionExistsError
│   ├── CollectionInUseError      the service was started for it
│   ├── SubjectNotFoundError
│   ├── TemplateNotFoundError
│   ├── CropNotFoundError         the template is there, its picture was not stored
│   ├── FeedbackNotFoundError
│   ├── FeedbackOutdatedError     on a search by other embeddings than there are now
│   ├── SubjectConflictError      the subject exists and says something else
│   ├── KeyNotFoundError          no API key of that id
│   ├── KeyExistsError            an API key of that id is there already
│   ├── TooManyKeysError          no more API keys are kept
│   ├── LastAdminKeyError         nobody could manage the keys that are left
│   ├── GalleryTooLargeError      more templates than a health report looks at
│   ├── GalleryLockedError        another process owns the gallery file
│   └── GalleryUnavailableError   the storage cannot be written or read now
│       └── GalleryFullError      no room left on the storage
├── AccessError                   who asks may not
│   ├── KeyMissingError           a key is needed and none came
│   ├── UnknownKeyError           the key that came is none, or not any more
│   ├── ScopeMissingError         the key is not for such operations
│   └── CollectionForbiddenError  the key is not for that collection, whether there is one or not
├── RateLimitedError              a key has asked too often
├── NoKeysError                   the service would be open to others than this machine
├── TooLittleDataError            a calibration that the data cannot support
├── IdempotencyConflictError      an idempotency key came again with another content
├── RequestUnderWayError          the first request with an idempotency key is not answered yet
├── JobNotFoundError              no job of that id, or it is long past
├── JobCancelledError             the service closed before the job was done
└── OverloadedError               all places are taken: come back later

Errors carry facts, never HTTP: service/problems.py maps each to a status in one table.
Each message names what to change.
"""

from collections.abc import Mapping, Sequence


class OneGlanceError(Exception):
    """Root of everything that we raise for our callers."""


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


class BundleError(OneGlanceError):
    """A bundle must not be loaded."""


class ManifestError(BundleError):
    """The manifest is missing, malformed or of a format that we do not know."""


class BundleNotFoundError(BundleError):
    """No bundle of that name is served."""

    def __init__(self, bundle_id: str, served: Sequence[str]) -> None:
        super().__init__(
            f"No bundle {bundle_id!r} is served, but {', '.join(served)}: name one of these, or "
            "start the service with its folder among further_bundle_paths."
        )
        self.bundle_id = bundle_id


class BundleFileError(BundleError):
    """A file of the bundle is missing, or is not the one that the manifest pins."""


class GalleryError(OneGlanceError):
    """Root of what goes wrong with a gallery."""


class ContractMismatchError(GalleryError):
    """The gallery holds embeddings of another bundle."""

    words = (
        "This gallery holds embeddings of contract {gallery}, the bundle makes {bundle}: their "
        "distances mean nothing to each other. Start with the bundle that the gallery was built "
        "with, or with an empty gallery."
    )

    def __init__(self, *, gallery_contract_id: str, bundle_contract_id: str) -> None:
        super().__init__(self.words.format(gallery=gallery_contract_id, bundle=bundle_contract_id))
        self.gallery_contract_id = gallery_contract_id
        self.bundle_contract_id = bundle_contract_id


class SwitchedMeanwhileError(ContractMismatchError):
    """The collection was switched to another bundle while something was made for the one before."""

    words = (
        "The collection was switched to another bundle while this was under way: nothing was "
        "stored. Send it again."
    )


class ReembeddingEndedError(ContractMismatchError):
    """What was being embedded anew was switched to, or abandoned, meanwhile."""

    words = (
        "The re-embedding for the contract {bundle} was switched to or abandoned meanwhile, the "
        "collection is of {gallery}: look at its state, and begin anew if it is still wanted."
    )


class ReembeddingConflictError(GalleryError):
    """Not possible where a re-embedding is, or is not, under way; the message says which."""


class MissingTemplatesError(GalleryError):
    """A switch after which templates would not be found. subjects: ids of those without any."""

    def __init__(self, *, templates: int, subjects: Sequence[str]) -> None:
        without = (
            f"{len(subjects)} subjects have no template for the new bundle, among them "
            f"{subjects[0]!r}, and {templates} templates in all are missing"
            if subjects
            else f"{templates} templates are missing for the new bundle"
        )
        super().__init__(
            f"{without}: embed their photos, or allow them to be missing (allow_missing)."
        )
        self.templates, self.subjects = templates, tuple(subjects)


class NoCropsError(GalleryError):
    """Nothing is stored that could be embedded anew."""

    def __init__(self, collection_id: str) -> None:
        super().__init__(
            f"No picture of any template of {collection_id!r} is stored, so that none can be "
            "embedded anew: enrol with store_image=crop, or embed the original photos by "
            "`oneglance gallery reembed --originals FOLDER`."
        )
        self.collection_id = collection_id


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


class KeyNotFoundError(GalleryError):
    """No API key of that id."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"There is no key {key_id!r}: the list of keys has their ids.")
        self.key_id = key_id


class KeyExistsError(GalleryError):
    """An API key of that id is there already."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"The key {key_id!r} is there already: delete it to make it anew.")
        self.key_id = key_id


class TooManyKeysError(GalleryError):
    """No more API keys are kept."""

    def __init__(self, most: int) -> None:
        super().__init__(f"There are {most} keys already: delete those that nobody uses.")
        self.most = most


class LastAdminKeyError(GalleryError):
    """Nobody could manage the keys that are left; nothing was changed."""

    def __init__(self) -> None:
        super().__init__(
            "No key would be left that can manage keys: keep, or make first, one of the scope "
            "admin, for all collections and without an end."
        )


class GalleryLockedError(GalleryError):
    """Another process owns the gallery file."""


class GalleryUnavailableError(GalleryError):
    """The storage cannot be read or written now; nothing was acknowledged."""


class GalleryFullError(GalleryUnavailableError):
    """The storage has no room left; nothing was acknowledged."""


class AccessError(OneGlanceError):
    """Who asks may not; nothing was done."""


class KeyMissingError(AccessError):
    """A key is needed and none came."""

    def __init__(self) -> None:
        super().__init__(
            "This needs an API key: send it as Authorization: Bearer KEY, or as x-api-key: KEY."
        )


class UnknownKeyError(AccessError):
    """The key that came is none, or not any more; which of them is not told."""

    def __init__(self) -> None:
        super().__init__(
            "The API key is not known here: it is mistyped, was deleted or has expired. Ask for a "
            "new one who manages the keys."
        )


class ScopeMissingError(AccessError):
    """The key is not for such operations. needed: scopes of which it wants one."""

    def __init__(self, needed: Sequence[str]) -> None:
        super().__init__(
            f"The API key is not for this: it needs the scope {' or '.join(needed)}. Ask for such "
            "a key who manages the keys."
        )
        self.needed = tuple(needed)


class CollectionForbiddenError(AccessError):
    """The key is not for that collection, whether there is one or not. None: for all of them."""

    def __init__(self, collection_id: str | None) -> None:
        what = "all collections" if collection_id is None else f"the collection {collection_id!r}"
        super().__init__(
            f"The API key is not for {what}: name one of its own, which /v1/collections lists."
        )
        self.collection_id = collection_id


class RateLimitedError(OneGlanceError):
    """A key has asked too often; nothing was done. retry_after_s: until it may ask again."""

    def __init__(self, *, per_minute: int, retry_after_s: int) -> None:
        super().__init__(
            f"The API key may ask {per_minute} times a minute: ask again in {retry_after_s} s."
        )
        self.per_minute, self.retry_after_s = per_minute, retry_after_s


class NoKeysError(OneGlanceError):
    """The service would be open to others than this machine."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"There is no API key, and on {host} others than this machine could enrol and identify "
            "people. Make the first key by `oneglance keys create --gallery LOCATION --scope "
            "admin`, or set ONEGLANCE_ADMIN_KEY_FILE, or listen on 127.0.0.1. Where something in "
            "front of the service asks who is there, --allow-no-keys true lets it start without."
        )
        self.host = host


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
