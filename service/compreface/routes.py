"""All routes of CompreFace's interface."""

from fastapi import APIRouter

from service.compreface import faces, photos, subjects

router = APIRouter()
for _part in (subjects, faces, photos):
    router.include_router(_part.router)
