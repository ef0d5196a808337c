"""GET /v1/bundles."""

from fastapi import APIRouter
from pydantic import Field

from service.routes.common import RuntimeDep
from service.schemas import Model
from service.served_bundles import ServedBundle

router = APIRouter(prefix="/v1/bundles", tags=["bundles"])


class BundleOut(Model):
    """A bundle that is served; its manifest says more (docs/bundle.md)."""

    id: str = Field(description="name and version")
    name: str
    version: str
    description: str
    license: str
    sha256: str = Field(description="of the model file")
    contract_id: str = Field(description="what its embeddings are told by")
    embedding_size: int
    input: str = Field(description="five_point_112: faces; none: whole images")
    calibrated_subjects: list[int] = Field(
        description="sizes of gallery that its thresholds were measured in, if they were"
    )
    limits: list[str] = Field(description="what it is not fit for")
    default: bool = Field(description="of new collections that name none")


class BundlesOut(Model):
    """The bundles that are served, the default first."""

    bundles: list[BundleOut]


@router.get("", response_model=BundlesOut)
async def list_bundles(runtime: RuntimeDep) -> BundlesOut:
    """What collections can be made of. Bundles are never uploaded: they are code."""
    default = runtime.bundles.default
    return BundlesOut(
        bundles=[_shown(served, default=served is default) for served in runtime.bundles.all]
    )


def _shown(served: ServedBundle, *, default: bool) -> BundleOut:
    manifest = served.bundle.manifest
    galleries = manifest.calibration.galleries if manifest.calibration else []
    return BundleOut(
        id=served.id,
        name=manifest.name,
        version=manifest.version,
        description=manifest.description,
        license=manifest.license,
        sha256=served.bundle.sha256,
        contract_id=served.contract_id,
        embedding_size=manifest.embedding.size,
        input=manifest.input.alignment,
        calibrated_subjects=[gallery.subjects for gallery in galleries],
        limits=list(manifest.limits),
        default=default,
    )
