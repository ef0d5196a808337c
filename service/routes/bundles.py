"""GET /v1/bundles."""

from fastapi import APIRouter

from service.bundle_answer import BundleList, BundleOut
from service.routes.common import RuntimeDep
from service.served_bundles import ServedBundle

router = APIRouter(prefix="/v1/bundles", tags=["bundles"])


@router.get("", response_model=BundleList)
async def list_bundles(runtime: RuntimeDep) -> BundleList:
    """What collections can be made of. Bundles are never uploaded: they are code."""
    default = runtime.bundles.default
    return BundleList(
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
        training_data=list(manifest.training_data),
        metrics=list(manifest.metrics),
        default=default,
    )
