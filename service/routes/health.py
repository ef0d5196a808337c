"""GET /healthz and /readyz."""

from fastapi import APIRouter, Request

from service.access.gate import caller_if_known
from service.routes.common import RuntimeDep, bundle_ref, problems
from service.schemas import Health, Ready

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=Health)
async def healthz() -> Health:
    """The process answers."""
    return Health()


@router.get("/readyz", response_model=Ready, responses=problems(404, 409, 503))
async def readyz(runtime: RuntimeDep, request: Request) -> Ready:
    """The model computes and the gallery can be read: tried now, not remembered.

    One that refuses requests since it is busy is ready.
    Needs no key; how many are enrolled is told only to one that is for the service's collection.
    """
    await runtime.probes.run(runtime.check)
    bundle, stored = runtime.default.bundle, runtime.default.gallery.stored()
    caller = caller_if_known(request)
    counts = caller is not None and caller.sees(stored.id)
    return Ready(
        bundle=bundle_ref(bundle),
        detector=bundle.recognizer.detector.name,
        embedder_runtime=bundle.embedder.runtime,
        device=bundle.embedder.device,
        precision=bundle.embedder.precision,
        subject_count=stored.subject_count if counts else None,
        template_count=stored.template_count if counts else None,
    )
