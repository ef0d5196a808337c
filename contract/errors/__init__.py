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
│   ├── BundlePinError            another model than was pinned: it is not run
│   ├── BundleNotFoundError       no bundle of that name is served
│   └── BundleFileError           a file is missing or its hash differs
├── GalleryError
│   ├── ContractMismatchError     embeddings of another bundle
│   │   ├── SwitchedMeanwhileError    made for what was searched until a moment ago
│   │   └── ReembeddingEndedError     what was being embedded anew was switched to, or abandoned
│   ├── ReembeddingConflictError  not possible where a re-embedding is, or is not, under way
│   ├── MissingTemplatesError     a switch after which templates would not be found
│   ├── NoCropsError              nothing is stored that could be embedded anew
│   ├── AuditBrokenError          the audit log was changed, or cut
│   ├── CollectionNotFoundError
│   ├── CollectionExistsError
│   ├── CollectionInUseError      the service was started for it
│   ├── SubjectNotFoundError
│   ├── TemplateNotFoundError
│   ├── TemplateExistsError       a template of that id is there already
│   ├── CropNotFoundError         the template is there, its picture was not stored
│   ├── ErasureNotFoundError      nobody of that id was removed
│   ├── FeedbackNotFoundError
│   ├── FeedbackOutdatedError     on a search by other embeddings than there are now
│   ├── SubjectConflictError      the subject exists and says something else
│   ├── KeyNotFoundError          no API key of that id
│   ├── KeyExistsError            an API key of that id is there already
│   ├── TooManyKeysError          no more API keys are kept
│   ├── LastAdminKeyError         nobody could manage the keys that are left
│   ├── GalleryTooLargeError      more templates than a health report looks at
│   ├── GallerySecretError        what templates are protected by is not there
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
├── ImportNotFoundError           no report of that import, or not any more
├── ExportNotFoundError           no file of that export, not yet or not any more
├── JobNotFoundError              no job of that id, or it is long past
├── JobCancelledError             the service closed before the job was done
├── CallerGoneError               whoever asked has gone away before it was begun
└── OverloadedError               all places are taken: come back later
    └── DeadlineExceededError     its turn had not come in time

Errors carry facts, never HTTP: service/problems.py maps each to a status in one table.
Each message names what to change.
"""

from contract.errors.access import (
    AccessError,
    CollectionForbiddenError,
    KeyExistsError,
    KeyMissingError,
    KeyNotFoundError,
    LastAdminKeyError,
    NoKeysError,
    RateLimitedError,
    ScopeMissingError,
    TooManyKeysError,
    UnknownKeyError,
)
from contract.errors.bundles import (
    BundleError,
    BundleFileError,
    BundleNotFoundError,
    BundlePinError,
    ManifestError,
)
from contract.errors.gallery import (
    AuditBrokenError,
    CollectionExistsError,
    CollectionInUseError,
    CollectionNotFoundError,
    CropNotFoundError,
    ErasureNotFoundError,
    FeedbackNotFoundError,
    FeedbackOutdatedError,
    GalleryError,
    GalleryFullError,
    GalleryLockedError,
    GallerySecretError,
    GalleryTooLargeError,
    GalleryUnavailableError,
    SubjectConflictError,
    SubjectNotFoundError,
    TemplateExistsError,
    TemplateNotFoundError,
)
from contract.errors.photos import (
    DamagedImageError,
    EmptyFileError,
    ImageError,
    ImageTooLargeError,
    NotAnImageError,
    NoUsableFaceError,
    PossibleDuplicateError,
)
from contract.errors.reembedding import (
    ContractMismatchError,
    MissingTemplatesError,
    NoCropsError,
    ReembeddingConflictError,
    ReembeddingEndedError,
    SwitchedMeanwhileError,
)
from contract.errors.root import (
    OneGlanceError,
)
from contract.errors.work import (
    CallerGoneError,
    DeadlineExceededError,
    ExportNotFoundError,
    IdempotencyConflictError,
    ImportNotFoundError,
    JobCancelledError,
    JobNotFoundError,
    OverloadedError,
    RequestUnderWayError,
    TooLittleDataError,
)

__all__ = [
    "AccessError",
    "AuditBrokenError",
    "BundleError",
    "BundleFileError",
    "BundleNotFoundError",
    "BundlePinError",
    "CallerGoneError",
    "CollectionExistsError",
    "CollectionForbiddenError",
    "CollectionInUseError",
    "CollectionNotFoundError",
    "ContractMismatchError",
    "CropNotFoundError",
    "DamagedImageError",
    "DeadlineExceededError",
    "EmptyFileError",
    "ErasureNotFoundError",
    "ExportNotFoundError",
    "FeedbackNotFoundError",
    "FeedbackOutdatedError",
    "GalleryError",
    "GalleryFullError",
    "GalleryLockedError",
    "GallerySecretError",
    "GalleryTooLargeError",
    "GalleryUnavailableError",
    "IdempotencyConflictError",
    "ImageError",
    "ImageTooLargeError",
    "ImportNotFoundError",
    "JobCancelledError",
    "JobNotFoundError",
    "KeyExistsError",
    "KeyMissingError",
    "KeyNotFoundError",
    "LastAdminKeyError",
    "ManifestError",
    "MissingTemplatesError",
    "NoCropsError",
    "NoKeysError",
    "NoUsableFaceError",
    "NotAnImageError",
    "OneGlanceError",
    "OverloadedError",
    "PossibleDuplicateError",
    "RateLimitedError",
    "ReembeddingConflictError",
    "ReembeddingEndedError",
    "RequestUnderWayError",
    "ScopeMissingError",
    "SubjectConflictError",
    "SubjectNotFoundError",
    "SwitchedMeanwhileError",
    "TemplateExistsError",
    "TemplateNotFoundError",
    "TooLittleDataError",
    "TooManyKeysError",
    "UnknownKeyError",
]
