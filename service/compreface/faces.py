"""/api/v1/recognition/faces: the photos of the subjects, which are templates here."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from contract.errors import SubjectNotFoundError, TemplateNotFoundError
from index.clearing import remove_all_subjects
from index.gallery import Gallery
from service.compreface.errors import INVALID, CompreFaceError, CompreFaceRoute
from service.compreface.listing import faces_page
from service.compreface.mapping import image_id_of, known, name_of, template_id_of
from service.compreface.requests import OptionsQuery, Served, images_of
from service.crops import image_type
from service.enrolment import SubjectWish, Terms, Upload, enroll
from service.options import StoreImage
from service.recognizer import Recognizer, Timing
from service.routes.common import RuntimeDep

router = APIRouter(
    prefix="/api/v1/recognition/faces", route_class=CompreFaceRoute, include_in_schema=False
)

SubjectQuery = Annotated[str | None, Query()]


@router.post("", status_code=201)
async def add(
    request: Request,
    subject: Annotated[str, Query()],
    options: OptionsQuery,
    served: Served,
    runtime: RuntimeDep,
) -> dict[str, str]:
    """Store the one face of a photo for a subject, which is made if it is not there."""
    if not subject.strip():
        raise CompreFaceError(INVALID, "Subject name is empty")
    (photo,) = await images_of(request, "file")
    terms = Terms(
        face_policy="single",
        quality=runtime.quality_policies.default,
        # There is nowhere in the answer to name them.
        duplicate_check="off",
        find_threshold=served.thresholds.threshold,
    )
    with runtime.timing() as timing:
        return await runtime.workers.run(
            partial(
                _add,
                options.recognizer(served),
                served.gallery,
                Upload(filename=None, data=photo),
                subject,
                terms,
                runtime.settings.compreface_store_image,
                timing,
            )
        )


@router.get("")
async def list_all(
    served: Served,
    runtime: RuntimeDep,
    page: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
    size: Annotated[int, Query(ge=1, le=2_000)] = 20,
    subject: SubjectQuery = None,
) -> dict[str, Any]:
    """Ids of the photos, and whose they are."""
    found = await runtime.workers.run(
        partial(faces_page, served.gallery, page=page, size=size, subject=subject)
    )
    return {
        "faces": [{"image_id": image, "subject": name} for image, name in found.faces],
        "page_number": page,
        "page_size": size,
        "total_pages": -(-found.total // size),
        "total_elements": found.total,
    }


@router.delete("")
async def remove_of(
    served: Served, runtime: RuntimeDep, subject: SubjectQuery = None
) -> dict[str, int]:
    """Remove the photos of a subject and the subject, as CompreFace does; of all for no subject."""
    return {"deleted": await runtime.workers.run(partial(_remove_of, served.gallery, subject))}


@router.post("/delete")
async def remove_several(
    image_ids: list[str], served: Served, runtime: RuntimeDep
) -> list[dict[str, str]]:
    """Remove photos; those that are not there are left out of the answer."""
    return await runtime.workers.run(partial(_remove_several, served.gallery, image_ids))


@router.delete("/{image_id}")
async def remove(image_id: str, served: Served, runtime: RuntimeDep) -> dict[str, str]:
    """Remove a photo; its subject stays."""
    return await runtime.workers.run(partial(_remove, served.gallery, image_id))


@router.get("/{image_id}/img")
async def image(image_id: str, served: Served, runtime: RuntimeDep) -> Response:
    """The crop of a face, where it is stored; else nothing, as CompreFace answers."""
    crop = await runtime.workers.run(partial(served.gallery.crop, template_id_of(image_id)))
    # Pictures of people are for nobody's cache, and stored files are only what they say they are.
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(crop or b"", media_type=image_type(crop or b""), headers=headers)


def _add(
    recognizer: Recognizer,
    gallery: Gallery,
    upload: Upload,
    name: str,
    terms: Terms,
    store_image: StoreImage,
    timing: Timing,
) -> dict[str, str]:
    subject = known(gallery, name)
    wish = SubjectWish(
        subject_id=subject.id if subject else None,
        name=None if subject else name,
        external_id=None if subject else name,
        metadata=None,
        store_image=store_image,
    )
    enrolled = enroll(recognizer, gallery, [upload], wish, terms, timing=timing)
    (template_id,) = enrolled.enrollment.template_ids
    return {"image_id": image_id_of(template_id), "subject": name}


def _remove_of(gallery: Gallery, name: str | None) -> int:
    if not name:
        return remove_all_subjects(gallery).templates
    subject = known(gallery, name)
    if subject is None:
        return 0
    try:
        gallery.remove_subject(subject.id)
    except SubjectNotFoundError:
        # Somebody was faster.
        return 0
    return subject.template_count


def _remove(gallery: Gallery, image_id: str) -> dict[str, str]:
    template = gallery.template(template_id_of(image_id))
    try:
        subject = gallery.subject(template.subject_id)
    except SubjectNotFoundError as error:
        raise TemplateNotFoundError(template.id) from error
    gallery.remove_template(template.id)
    return {"image_id": image_id_of(template.id), "subject": name_of(subject)}


def _remove_several(gallery: Gallery, image_ids: Sequence[str]) -> list[dict[str, str]]:
    removed = []
    for image_id in image_ids:
        try:
            removed.append(_remove(gallery, image_id))
        except TemplateNotFoundError:
            continue
    return removed
