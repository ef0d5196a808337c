"""The calls about subjects and templates."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Final, Literal

from service.client.call import Call, answer, content, fields, nothing
from service.erasure_answer import ErasureReport
from service.schemas import SubjectList, SubjectOut
from service.template_answer import TemplateList, TemplateOut


class Unchanged(Enum):
    """What a change does not speak of; None takes a fact away."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
Kept = Literal[Unchanged.UNCHANGED]


def list_subjects(
    *,
    limit: int | None = None,
    cursor: str | None = None,
    name: str | None = None,
    external_id: str | None = None,
    collection: str | None = None,
) -> Call[SubjectList]:
    """One page of subjects, oldest first. `iter_subjects` goes over all pages."""
    return Call(
        method="GET",
        path="/v1/subjects",
        params=fields(
            limit=limit, cursor=cursor, name=name, external_id=external_id, collection=collection
        ),
        parse=answer(SubjectList),
    )


def get_subject(subject_id: str, *, collection: str | None = None) -> Call[SubjectOut]:
    """One subject."""
    return Call(
        method="GET",
        path="/v1/subjects/{subject_id}",
        ids={"subject_id": subject_id},
        params=fields(collection=collection),
        parse=answer(SubjectOut),
    )


def update_subject(
    subject_id: str,
    *,
    name: str | Kept | None = UNCHANGED,
    external_id: str | Kept | None = UNCHANGED,
    metadata: Mapping[str, Any] | Kept | None = UNCHANGED,
    expires_at: str | datetime | Kept | None = UNCHANGED,
    consent_ref: str | Kept | None = UNCHANGED,
    collection: str | None = None,
) -> Call[SubjectOut]:
    """Change what is known of a subject: what is not given stays, None takes a fact away.

    `metadata` is replaced as a whole.
    """
    facts = {
        "name": name,
        "external_id": external_id,
        "metadata": dict(metadata) if isinstance(metadata, Mapping) else metadata,
        "expires_at": expires_at.isoformat() if isinstance(expires_at, datetime) else expires_at,
        "consent_ref": consent_ref,
    }
    return Call(
        method="PATCH",
        path="/v1/subjects/{subject_id}",
        ids={"subject_id": subject_id},
        params=fields(collection=collection),
        json={fact: value for fact, value in facts.items() if value is not UNCHANGED},
        parse=answer(SubjectOut),
    )


def merge_subject(subject_id: str, *, into: str, collection: str | None = None) -> Call[SubjectOut]:
    """Give all templates of this subject to another one and remove this one; the other one."""
    return Call(
        method="POST",
        path="/v1/subjects/{subject_id}/merge",
        ids={"subject_id": subject_id},
        params=fields(collection=collection),
        json={"into": into},
        parse=answer(SubjectOut),
    )


def delete_subject(subject_id: str, *, collection: str | None = None) -> Call[None]:
    """Remove a subject with all its templates."""
    return Call(
        method="DELETE",
        path="/v1/subjects/{subject_id}",
        ids={"subject_id": subject_id},
        params=fields(collection=collection),
        parse=nothing,
    )


def get_erasure(subject_id: str, *, collection: str | None = None) -> Call[ErasureReport]:
    """What became of a subject that was removed, for the person who asked for it."""
    return Call(
        method="GET",
        path="/v1/subjects/{subject_id}/erasure",
        ids={"subject_id": subject_id},
        params=fields(collection=collection),
        parse=answer(ErasureReport),
    )


def list_templates(subject_id: str, *, collection: str | None = None) -> Call[TemplateList]:
    """The templates of a subject, oldest first, without their embeddings."""
    return Call(
        method="GET",
        path="/v1/subjects/{subject_id}/templates",
        ids={"subject_id": subject_id},
        params=fields(collection=collection),
        parse=answer(TemplateList),
    )


def get_template(template_id: str, *, collection: str | None = None) -> Call[TemplateOut]:
    """One template, and whose it is."""
    return Call(
        method="GET",
        path="/v1/templates/{template_id}",
        ids={"template_id": template_id},
        params=fields(collection=collection),
        parse=answer(TemplateOut),
    )


def get_crop(template_id: str, *, collection: str | None = None) -> Call[bytes]:
    """The image file of the crop that a template was made of, where one is stored."""
    return Call(
        method="GET",
        path="/v1/templates/{template_id}/crop",
        ids={"template_id": template_id},
        params=fields(collection=collection),
        parse=content,
    )


def delete_template(template_id: str, *, collection: str | None = None) -> Call[None]:
    """Remove one template and its crop; its subject stays."""
    return Call(
        method="DELETE",
        path="/v1/templates/{template_id}",
        ids={"template_id": template_id},
        params=fields(collection=collection),
        parse=nothing,
    )
