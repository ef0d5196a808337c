"""/api/v1/recognition/subjects."""

from functools import partial
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from index.clearing import remove_all_subjects
from index.gallery import Gallery
from service.compreface.errors import INVALID, CompreFaceError, CompreFaceRoute
from service.compreface.mapping import all_subjects, create, find, name_of, rename
from service.compreface.requests import Served
from service.routes.common import RuntimeDep

router = APIRouter(
    prefix="/api/v1/recognition/subjects", route_class=CompreFaceRoute, include_in_schema=False
)


class SubjectIn(BaseModel):
    """A subject's name; what clients send besides is not looked at."""

    subject: str


@router.post("", status_code=201)
async def add(body: SubjectIn, served: Served, runtime: RuntimeDep) -> dict[str, str]:
    """A subject before its first photo."""
    name = _given(body.subject)
    await runtime.workers.run(partial(create, served.gallery, name))
    return {"subject": name}


@router.get("")
@router.get("/")
async def list_all(served: Served, runtime: RuntimeDep) -> dict[str, list[str]]:
    """Names of all subjects."""
    return {"subjects": await runtime.workers.run(partial(_names, served.gallery))}


@router.put("/{subject:path}")
async def change(
    subject: str, body: SubjectIn, served: Served, runtime: RuntimeDep
) -> dict[str, bool]:
    """Rename a subject; where another one is called so, the two become that one."""
    new = _given(body.subject)
    work = partial(rename, served.gallery, _given(subject), new)
    return {"updated": await runtime.workers.run(work)}


@router.delete("/{subject:path}")
async def remove(subject: str, served: Served, runtime: RuntimeDep) -> dict[str, str]:
    """Remove a subject with all its photos."""
    # A path that ends in a slash names nobody, and must not remove all.
    return {"subject": await runtime.workers.run(partial(_remove, served.gallery, _given(subject)))}


@router.delete("")
async def remove_all(served: Served, runtime: RuntimeDep) -> dict[str, Any]:
    """Remove everybody."""
    cleared = await runtime.workers.run(partial(remove_all_subjects, served.gallery))
    return {"deleted": cleared.subjects}


def _given(name: str) -> str:
    if not name.strip():
        raise CompreFaceError(INVALID, "Subject name is empty")
    return name


def _names(gallery: Gallery) -> list[str]:
    return [name_of(subject) for subject in all_subjects(gallery)]


def _remove(gallery: Gallery, name: str) -> str:
    subject = find(gallery, name)
    gallery.remove_subject(subject.id)
    return name_of(subject)
