"""GET and DELETE of /v1/templates/{id}."""

from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Response

from contract.errors import CropNotFoundError
from index.gallery import Gallery
from service.crops import IMAGE_TYPES, image_type
from service.routes.common import (
    CollectionQuery,
    RuntimeDep,
    again_if_switched,
    collection_of,
    problems,
)
from service.template_answer import TemplateOut

_PICTURE: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}

router = APIRouter(prefix="/v1/templates", tags=["templates"])


@router.get("/{template_id}", response_model=TemplateOut, responses=problems(404, 409, 422, 503))
async def get_template(
    template_id: str, runtime: RuntimeDep, collection: CollectionQuery = None
) -> TemplateOut:
    """One template, and whose it is."""
    served = await collection_of(runtime, collection)
    template = await runtime.workers.run(partial(served.gallery.template, template_id))
    return TemplateOut.of(template)


@router.get(
    "/{template_id}/crop",
    response_class=Response,
    responses={
        200: {
            "description": "The picture as it is stored",
            "content": dict.fromkeys(IMAGE_TYPES, _PICTURE),
        },
        **problems(404, 409, 422, 503),
    },
)
async def get_crop(
    template_id: str, runtime: RuntimeDep, collection: CollectionQuery = None
) -> Response:
    """The crop that a template was made of; 404 where none is stored.

    Crops are stored by an enrolment with `store_image=crop`.
    """
    served = await collection_of(runtime, collection)
    crop = await runtime.workers.run(partial(_crop, served.gallery, template_id))
    # Pictures of people are for nobody's cache, and stored files are only what they say they are.
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(crop, media_type=image_type(crop), headers=headers)


@router.delete(
    "/{template_id}",
    status_code=204,
    response_class=Response,
    responses=problems(404, 409, 422, 503, 507),
)
@again_if_switched
async def delete_template(
    template_id: str, runtime: RuntimeDep, collection: CollectionQuery = None
) -> None:
    """Remove one template and its crop; searches stop finding it before the answer.

    Its subject stays, with no template left after its last one: nothing finds it then until it is
    enrolled again, and only deleting the subject removes what is known of it.
    """
    served = await collection_of(runtime, collection)
    await runtime.workers.run(partial(served.gallery.remove_template, template_id))


def _crop(gallery: Gallery, template_id: str) -> bytes:
    template = gallery.template(template_id)
    crop = gallery.crop(template.id)
    if crop is None:
        raise CropNotFoundError(template_id)
    return crop
