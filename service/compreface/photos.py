"""What CompreFace's services tell of a photo: recognize, verify and detect."""

from functools import partial
from typing import Any

import numpy as np
from fastapi import APIRouter, Request

from contract.similarity import pairwise_similarity
from index.one_template import compare_with_template
from service.collections import ServedCollection
from service.compreface.answers import Answer, face_answer, versions
from service.compreface.errors import CompreFaceRoute, NoFaceError
from service.compreface.mapping import name_of, template_id_of
from service.compreface.requests import (
    Options,
    OptionsQuery,
    RecognizeOptions,
    RecognizeQuery,
    Served,
    images_of,
)
from service.identification import identify
from service.recognizer import Recognizer, Timing
from service.routes.common import RuntimeDep
from service.seen_faces import SeenFaces, seen_faces

router = APIRouter(prefix="/api/v1", route_class=CompreFaceRoute, include_in_schema=False)


@router.post("/recognition/recognize")
async def recognize(
    request: Request, options: RecognizeQuery, served: Served, runtime: RuntimeDep
) -> Answer:
    """The most similar subjects of each face. Nothing is decided: that is /v1/identify's."""
    (photo,) = await images_of(request, "file")
    recognizer = options.recognizer(served)
    with runtime.timing() as timing:
        return await runtime.workers.run(
            partial(_recognized, served, recognizer, photo, options, timing)
        )


@router.post("/recognition/faces/{image_id}/verify")
async def verify_stored(
    image_id: str, request: Request, options: OptionsQuery, served: Served, runtime: RuntimeDep
) -> Answer:
    """How similar each face is to a stored one."""
    (photo,) = await images_of(request, "file")
    recognizer = options.recognizer(served)
    work = partial(
        _compared_with_stored, served, recognizer, photo, template_id_of(image_id), options
    )
    with runtime.timing() as timing:
        return await runtime.workers.run(partial(work, timing))


@router.post("/verification/verify")
async def verify(
    request: Request, options: OptionsQuery, served: Served, runtime: RuntimeDep
) -> Answer:
    """How similar each face of one photo is to the largest one of another."""
    source, target = await images_of(request, "source_image", "target_image")
    recognizer = options.recognizer(served)
    with runtime.timing() as timing:
        return await runtime.workers.run(
            partial(_compared, served, recognizer, source, target, options, timing)
        )


@router.post("/detection/detect")
async def detect(
    request: Request, options: OptionsQuery, served: Served, runtime: RuntimeDep
) -> Answer:
    """Where the faces are."""
    (photo,) = await images_of(request, "file")
    recognizer = options.recognizer(served)
    with runtime.timing() as timing:
        seen = await runtime.workers.run(
            partial(_seen, recognizer, photo, timing, max_faces=options.limit, embedded=False)
        )
    faces = [face_answer(found.face, options, timing) for found in seen.faces]
    return {"result": faces, **versions(served, options)}


def _recognized(
    served: ServedCollection,
    recognizer: Recognizer,
    photo: bytes,
    options: RecognizeOptions,
    timing: Timing,
) -> Answer:
    found = identify(
        recognizer,
        served.gallery,
        photo,
        timing=timing,
        find_threshold=served.thresholds.investigating,
        top_k=options.prediction_count,
        max_faces=options.limit,
        min_quality=0.0,
    )
    if not found.faces:
        raise NoFaceError
    faces = [
        {
            **face_answer(face.face, options, timing),
            "subjects": [
                {"similarity": c.similarity, "subject": name_of(c.subject)} for c in face.candidates
            ],
        }
        for face in found.faces
    ]
    return {"result": faces, **versions(served, options)}


def _compared_with_stored(
    served: ServedCollection,
    recognizer: Recognizer,
    photo: bytes,
    template_id: str,
    options: Options,
    timing: Timing,
) -> Answer:
    # Before the photo is looked at: nobody waits for a face to compare with nothing.
    served.gallery.template(template_id)
    seen = _seen(recognizer, photo, timing, max_faces=options.limit, embedded=True)
    with timing.during("compare"):
        compared = compare_with_template(served.gallery, template_id, _rows(seen))
    faces = [
        {
            **face_answer(found.face, options, timing),
            "subject": name_of(compared.subject),
            "similarity": similarity,
        }
        for found, similarity in zip(seen.faces, compared.similarities, strict=True)
    ]
    return {"result": faces, **versions(served, options)}


def _compared(
    served: ServedCollection,
    recognizer: Recognizer,
    source: bytes,
    target: bytes,
    options: Options,
    timing: Timing,
) -> Answer:
    with timing.of_one_photo() as of_source:
        one = _seen(recognizer, source, of_source, max_faces=1, embedded=True)
    with timing.of_one_photo() as of_target:
        others = _seen(recognizer, target, of_target, max_faces=options.limit, embedded=True)
    d_max = served.gallery.contract.d_max
    similarities = pairwise_similarity(_rows(one), _rows(others), d_max)[0]
    matches = [
        {**face_answer(found.face, options, of_target), "similarity": float(similarity)}
        for found, similarity in zip(others.faces, similarities, strict=True)
    ]
    pair = {
        "source_image_face": face_answer(one.faces[0].face, options, of_source),
        "face_matches": matches,
        **versions(served, options),
    }
    return {"result": [pair]}


def _seen(
    recognizer: Recognizer, photo: bytes, timing: Timing, *, max_faces: int, embedded: bool
) -> SeenFaces:
    """The faces of a photo, one at least. Raises NoFaceError or ImageError."""
    seen = seen_faces(recognizer, photo, timing=timing, max_faces=max_faces, embedded=embedded)
    if not seen.faces:
        raise NoFaceError
    return seen


def _rows(seen: SeenFaces) -> Any:
    return np.stack([face.embedding for face in seen.faces if face.embedding is not None])
