"""All that is stored about one subject, for the subject itself (GDPR Art. 15)."""

import base64
import json
from typing import Any

import numpy as np

from contract.errors import SubjectNotFoundError
from index.gallery import Gallery
from index.records import Embeddings
from index.tables import audit, collections, feedback, subjects
from index.writes.scope import Scope

FORMAT = "oneglance-subject-access/1"


def subject_access(gallery: Gallery, subject_id: str) -> dict[str, Any]:
    """Facts, templates under every contract, pictures and the audit log, as JSON, of one moment.

    Embeddings are float32, little-endian, in base64; pictures are files in base64. The log also
    has the entries of subjects that were merged into this one. Feedback has a verdict where it is
    about the subject; without one, the subject was the nearest of those whom a face does not show.
    Raises SubjectNotFoundError.
    """

    def find(scope: Scope) -> dict[str, Any]:
        known = subjects.find_by_id(scope.c, scope.collection.number, subject_id)
        if known is None:
            raise SubjectNotFoundError(subject_id)
        s = known.subject
        return {
            "format": FORMAT,
            "made_at": scope.at,
            "collection": scope.collection.id,
            "subject": {
                "id": s.id,
                "name": s.name,
                "external_id": s.external_id,
                "metadata": dict(s.metadata),
                "created_at": s.created_at,
                "expires_at": s.expires_at,
                "consent_ref": s.consent_ref,
            },
            "templates": _templates(gallery, scope, known.number),
            "crops": _crops(scope, known.number),
            "feedback": _feedback(scope, known.number),
            "audit": _entries(scope, subject_id),
        }

    return gallery.read(find)


def _templates(gallery: Gallery, scope: Scope, subject_number: int) -> list[dict[str, Any]]:
    rows = scope.c.execute(
        "SELECT t.id, t.created_at, t.embedding, k.id, k.embedding_size, k.number FROM templates t"
        " JOIN contracts k ON k.number = t.contract_number WHERE t.subject_number = ?"
        " ORDER BY t.number",
        (subject_number,),
    )
    return [
        {
            "id": template_id,
            "created_at": created_at,
            "contract_id": contract_id,
            "searched": number == scope.searched.contract,
            "embedding_size": size,
            "embedding": _base64(
                _plain(gallery, scope, number, scope.c.unpack([packed], size=size))
            ),
        }
        for template_id, created_at, packed, contract_id, size, number in rows
    ]


def _plain(gallery: Gallery, scope: Scope, number: int, stored_MD: Embeddings) -> Embeddings:
    contract = collections.get_contract(scope.c, number)
    of = gallery.galleries.under(scope.c, scope.collection, contract, number)
    return of.protection.plain(stored_MD)


def _crops(scope: Scope, subject_number: int) -> list[dict[str, str]]:
    rows = scope.c.execute(
        "SELECT template_id, image FROM crops WHERE subject_number = ? ORDER BY template_id",
        (subject_number,),
    )
    return [
        {"template_id": row[0], "image": base64.b64encode(scope.c.unpack_crop(row[1])).decode()}
        for row in rows
    ]


def _feedback(scope: Scope, subject_number: int) -> list[dict[str, Any]]:
    return [
        {
            "id": said.id,
            "searched_at": said.searched_at,
            "given_at": said.given_at,
            "verdict": said.verdict if said.subject_number == subject_number else None,
            "similarity": said.subject_similarity
            if said.subject_number == subject_number
            else said.other_similarity,
        }
        for said in feedback.feedback_naming(scope.c, subject_number)
    ]


def _entries(scope: Scope, subject_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    waiting, seen = [subject_id], {subject_id}
    while waiting:
        for entry in audit.entries_of(scope.c, scope.collection.id, waiting.pop()):
            detail = json.loads(entry.detail)
            found.append(
                {
                    "at": entry.at,
                    "revision": entry.revision,
                    "action": entry.action,
                    "subject_id": entry.subject_id,
                    "detail": detail,
                }
            )
            source = detail.get("source_id")
            if source is not None and source not in seen:
                seen.add(source)
                waiting.append(source)
    return sorted(found, key=lambda entry: entry["revision"])


def _base64(embeddings: Embeddings) -> str:
    return base64.b64encode(embeddings.astype(np.dtype("<f4")).tobytes()).decode()
