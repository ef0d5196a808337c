"""The calls that send photos."""

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from service.batch_answer import BatchAnswer
from service.client.call import Call, answer, fields
from service.client.photo import Photo, Photos, as_photos
from service.faces_answer import DetectAnswer, EmbedAnswer
from service.options import DuplicateCheck, FacePolicy, Mode, PolicyName, StoreImage
from service.schemas import EnrollAnswer, IdentifyAnswer
from service.verify_answer import VerifyAnswer


def enroll(
    images: Photos,
    *,
    subject_id: str | None = None,
    name: str | None = None,
    external_id: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    expires_at: str | datetime | None = None,
    consent_ref: str | None = None,
    store_image: StoreImage | None = None,
    face_policy: FacePolicy | None = None,
    quality: PolicyName | None = None,
    duplicate_check: DuplicateCheck | None = None,
    collection: str | None = None,
    dry_run: bool | None = None,
    idempotency_key: str | None = None,
) -> Call[EnrollAnswer]:
    """Store the face of each image as a template of one subject.

    dry_run: store nothing; the answer says what would have been, without template ids.
    idempotency_key: a new one for each call unless given, so that a retry enrols nobody twice.
    Give your own to send the same again after an error of the connection.
    """
    return Call(
        method="POST",
        path="/v1/enroll",
        files=tuple(("images", image) for image in as_photos(images)),
        data=fields(
            subject_id=subject_id,
            name=name,
            external_id=external_id,
            metadata=None if metadata is None else json.dumps(dict(metadata), allow_nan=False),
            expires_at=expires_at.isoformat() if isinstance(expires_at, datetime) else expires_at,
            consent_ref=consent_ref,
            store_image=store_image,
            face_policy=face_policy,
            quality=quality,
            duplicate_check=duplicate_check,
            collection=collection,
            dry_run=None if dry_run is None else str(dry_run).lower(),
        ),
        headers={"Idempotency-Key": idempotency_key or uuid.uuid4().hex},
        parse=answer(EnrollAnswer),
    )


def identify(
    image: Photo,
    *,
    max_faces: int | None = None,
    top_k: int | None = None,
    mode: Mode | None = None,
    target_fpir: float | None = None,
    threshold: float | None = None,
    min_quality: float | None = None,
    collection: str | None = None,
) -> Call[IdentifyAnswer]:
    """Decide of each face in the photo who it is: match or unknown."""
    return Call(
        method="POST",
        path="/v1/identify",
        files=(("image", image),),
        data=fields(
            max_faces=max_faces,
            top_k=top_k,
            mode=mode,
            target_fpir=target_fpir,
            threshold=threshold,
            min_quality=min_quality,
            collection=collection,
        ),
        parse=answer(IdentifyAnswer),
    )


def identify_batch(
    images: Photos,
    *,
    max_faces: int | None = None,
    top_k: int | None = None,
    mode: Mode | None = None,
    target_fpir: float | None = None,
    threshold: float | None = None,
    min_quality: float | None = None,
    collection: str | None = None,
) -> Call[BatchAnswer]:
    """Identify the faces of many photos; a result or a problem for each."""
    return Call(
        method="POST",
        path="/v1/identify/batch",
        files=tuple(("images", image) for image in as_photos(images)),
        data=fields(
            max_faces=max_faces,
            top_k=top_k,
            mode=mode,
            target_fpir=target_fpir,
            threshold=threshold,
            min_quality=min_quality,
            collection=collection,
        ),
        parse=answer(BatchAnswer),
    )


def verify(
    image: Photo,
    *,
    other_image: Photo | None = None,
    subject_id: str | None = None,
    face_policy: FacePolicy | None = None,
    target_fmr: float | None = None,
    threshold: float | None = None,
    collection: str | None = None,
) -> Call[VerifyAnswer]:
    """Decide whether two photos, or a photo and an enrolled subject, show the same person."""
    files = [("image", image)]
    if other_image is not None:
        files.append(("other_image", other_image))
    return Call(
        method="POST",
        path="/v1/verify",
        files=tuple(files),
        data=fields(
            subject_id=subject_id,
            face_policy=face_policy,
            target_fmr=target_fmr,
            threshold=threshold,
            collection=collection,
        ),
        parse=answer(VerifyAnswer),
    )


def detect(
    image: Photo, *, max_faces: int | None = None, collection: str | None = None
) -> Call[DetectAnswer]:
    """Where the faces of a photo are and how good they are, largest first."""
    return Call(
        method="POST",
        path="/v1/detect",
        files=(("image", image),),
        data=fields(max_faces=max_faces, collection=collection),
        parse=answer(DetectAnswer),
    )


def embed(
    image: Photo, *, max_faces: int | None = None, collection: str | None = None
) -> Call[EmbedAnswer]:
    """The faces of a photo with their embeddings, which are biometric data."""
    return Call(
        method="POST",
        path="/v1/embed",
        files=(("image", image),),
        data=fields(max_faces=max_faces, collection=collection),
        parse=answer(EmbedAnswer),
    )
