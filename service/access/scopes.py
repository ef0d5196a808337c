"""THE table of what a key may do: for each operation the scopes of which a key needs one.

An operation is called as its route's function, CompreFace's with `compreface.` before it. A key of
the scope admin may do everything, on its collections.
"""

from collections.abc import Collection
from typing import Final, Literal, get_args

Scope = Literal["identify", "enroll", "embed", "metrics", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

# Anybody may, without a key, too.
OPEN: Final[tuple[Scope, ...]] = ()
ADMIN: Final[tuple[Scope, ...]] = ("admin",)
IDENTIFY: Final[tuple[Scope, ...]] = ("identify",)
ENROLL: Final[tuple[Scope, ...]] = ("enroll",)
# What there is to ask about at all, of the key's own collections.
OVERVIEW: Final[tuple[Scope, ...]] = ("identify", "enroll", "embed")

OPERATIONS: Final[dict[str, tuple[Scope, ...]]] = {
    "healthz": OPEN,
    "readyz": OPEN,
    # The page's own files, which hold nothing of anybody.
    "page": OPEN,
    "page_file": OPEN,
    "get_metrics": ("metrics",),
    # A photo comes, a decision goes: whoever only identifies reads no list of people.
    "identify_faces": IDENTIFY,
    "identify_base64_image": IDENTIFY,
    "identify_photos": IDENTIFY,
    "verify_faces": IDENTIFY,
    "detect_faces": IDENTIFY,
    # Raw vectors, which are good for searches elsewhere.
    "embed_faces": ("embed",),
    # People and their photos, and what decisions rest on.
    "enroll_images": ENROLL,
    "enroll_base64_images": ENROLL,
    "list_subjects": ENROLL,
    "get_subject": ENROLL,
    "update_subject": ENROLL,
    "merge_subject": ENROLL,
    "delete_subject": ENROLL,
    "get_erasure": ENROLL,
    "list_templates": ENROLL,
    "get_template": ENROLL,
    "get_crop": ENROLL,
    "delete_template": ENROLL,
    "import_archive": ENROLL,
    "get_import_report": ENROLL,
    "give_feedback": ENROLL,
    "list_feedback": ENROLL,
    "delete_feedback": ENROLL,
    "calibrate": ENROLL,
    "list_calibrations": ENROLL,
    "report_health": ENROLL,
    "get_job": ENROLL,
    "list_collections": OVERVIEW,
    "get_collection": OVERVIEW,
    "list_bundles": OVERVIEW,
    # A collection as a whole: a file of everybody in it, another model, its end.
    "create_collection": ADMIN,
    "delete_collection": ADMIN,
    "export_collection": ADMIN,
    "get_export_file": ADMIN,
    "reembed": ADMIN,
    "get_reembedding": ADMIN,
    "switch_bundle": ADMIN,
    "roll_back_bundle": ADMIN,
    "abandon_reembedding": ADMIN,
    "drop_former_embeddings": ADMIN,
    "rekey": ADMIN,
    "create_key": ADMIN,
    "list_keys": ADMIN,
    "delete_key": ADMIN,
    "list_audit": ADMIN,
    # /api/v1, CompreFace's interface.
    "compreface.add": ENROLL,
    "compreface.list_all": ENROLL,
    "compreface.change": ENROLL,
    "compreface.remove": ENROLL,
    "compreface.remove_all": ENROLL,
    "compreface.remove_of": ENROLL,
    "compreface.remove_several": ENROLL,
    "compreface.image": ENROLL,
    "compreface.recognize": IDENTIFY,
    "compreface.verify_stored": IDENTIFY,
    "compreface.verify": IDENTIFY,
    "compreface.detect": IDENTIFY,
}

# About the service as a whole: only a key that is for all collections may.
WHOLE_SERVICE: Final = frozenset(
    {"get_metrics", "create_key", "list_keys", "delete_key", "list_audit"}
)


def in_order(scopes: Collection[str]) -> tuple[Scope, ...]:
    """Scopes as they are shown and stored, each once; a word that is none is left out."""
    return tuple(scope for scope in SCOPES if scope in scopes)
