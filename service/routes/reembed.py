"""/v1/collections/{id}/reembed: another bundle for the same people."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from contract.embedding_contract import EmbeddingContract
from index.comparison import Agreement, Comparison
from index.gallery import Gallery
from index.reembedding import drop_former, job_under_way, way_back
from service.jobs import JobResult, Progress
from service.reembed_answer import (
    SUBJECTS_SHOWN,
    AgreementOut,
    ComparisonOut,
    FormerOut,
    NewReembedding,
    ReembeddingOut,
    SwitchWish,
)
from service.reembedding_run import begin, embed, go_back, switch
from service.routes.common import RuntimeDep, bundle_ref, collection_of, problems
from service.routes.jobs import accepted
from service.runtime import Runtime
from service.schemas import BundleRef, JobAnswer
from service.served_bundles import ServedBundle

KIND: Final = "reembedding"
_WHOLE: Final = SwitchWish(allow_missing=False)

router = APIRouter(prefix="/v1/collections/{collection_id}/reembed", tags=["re-embedding"])


@router.post(
    "",
    status_code=202,
    response_model=JobAnswer,
    responses=problems(400, 404, 409, 413, 422, 503, 507),
)
async def reembed(
    collection_id: str,
    wanted: NewReembedding,
    runtime: RuntimeDep,
    request: Request,
    response: Response,
) -> JobAnswer:
    """Embed a collection anew by another served bundle, in the background, and compare.

    The stored crops are embedded (enrol with store_image=crop) beside what is searched, which stays
    as it is until the switch; enrolments go on. The job's result has counts by outcome, and the
    re-embedding as GET shows it. If the service ends in between, send the same again, and it goes
    on where it was.
    """
    bundle = runtime.bundles.named(wanted.bundle)
    served = await collection_of(runtime, collection_id)
    await runtime.workers.run(partial(begin, served.gallery, bundle))
    work = partial(_work, runtime, served.id, bundle)
    job = runtime.jobs.submit(KIND, work, collection_id=served.id, alone=True)
    return accepted(job, request, response)


@router.get("", response_model=ReembeddingOut, responses=problems(404, 409, 422, 503))
async def get_reembedding(collection_id: str, runtime: RuntimeDep) -> ReembeddingOut:
    """How far it is, what is missing, what it would change, and whether there is a way back."""
    return await runtime.workers.run(partial(_shown, runtime, collection_id))


@router.post(
    "/switch",
    response_model=ReembeddingOut,
    responses=problems(400, 404, 409, 413, 422, 503, 507),
)
async def switch_bundle(
    collection_id: str, runtime: RuntimeDep, wish: SwitchWish = _WHOLE
) -> ReembeddingOut:
    """Serve the collection by the bundle that it was embedded anew by, from this answer on.

    Ids and names stay. Who was enrolled meanwhile is embedded, too. Where templates would be
    missing it is 409 `templates_missing`, unless allow_missing is true. What was searched before is
    kept, for a way back.
    """
    return await runtime.workers.run(partial(_change, runtime, switch, collection_id, wish))


@router.post(
    "/rollback",
    response_model=ReembeddingOut,
    responses=problems(400, 404, 409, 413, 422, 503, 507),
)
async def roll_back_bundle(
    collection_id: str, runtime: RuntimeDep, wish: SwitchWish = _WHOLE
) -> ReembeddingOut:
    """Serve the collection by the bundle before the last switch, from this answer on.

    Who was enrolled since then is embedded by that bundle, if the crop was stored; else it is 409
    `templates_missing`, unless allow_missing is true. What is left is kept, to be switched to once
    more.
    """
    return await runtime.workers.run(partial(_change, runtime, go_back, collection_id, wish))


@router.delete(
    "",
    status_code=204,
    response_class=Response,
    responses=problems(404, 409, 422, 503, 507),
)
async def abandon_reembedding(collection_id: str, runtime: RuntimeDep) -> None:
    """Remove what was embedded anew. What is searched stays; it is 204, too, if nothing was."""
    served = await collection_of(runtime, collection_id)
    await runtime.workers.run(partial(_abandon, served.gallery))


@router.delete(
    "/former",
    status_code=204,
    response_class=Response,
    responses=problems(404, 409, 422, 503, 507),
)
async def drop_former_embeddings(collection_id: str, runtime: RuntimeDep) -> None:
    """Remove what the last switch has left: there is no way back then."""
    served = await collection_of(runtime, collection_id)
    await runtime.workers.run(partial(_drop_former, served.gallery))


def _work(
    runtime: Runtime, collection_id: str, bundle: ServedBundle, progress: Progress
) -> JobResult:
    gallery = runtime.collections.of(collection_id).gallery
    outcomes = embed(gallery, bundle, runtime.comparisons, progress)
    shown = _shown(runtime, collection_id)
    return {"outcomes": outcomes, "reembedding": shown.model_dump(mode="json")}


def _change(
    runtime: Runtime, change: Callable[..., object], collection_id: str, wish: SwitchWish
) -> ReembeddingOut:
    change(runtime.collections, runtime.bundles, collection_id, allow_missing=wish.allow_missing)
    return _shown(runtime, collection_id)


def _abandon(gallery: Gallery) -> None:
    job = job_under_way(gallery)
    if job is not None:
        job.abandon()


def _drop_former(gallery: Gallery) -> None:
    if way_back(gallery) is not None:
        drop_former(gallery)


def _shown(runtime: Runtime, collection_id: str) -> ReembeddingOut:
    gallery = runtime.collections.of(collection_id).gallery
    job = job_under_way(gallery)
    now = gallery.stored()
    shared: dict[str, Any] = {
        "collection_id": gallery.collection_id,
        "bundle": _ref(runtime, gallery.contract),
        "template_count": now.template_count,
        "former": _former(runtime, gallery),
        "gallery_revision": now.revision,
    }
    if job is None:
        return ReembeddingOut(
            state="none",
            next_bundle=None,
            next_contract_id=None,
            staged_count=0,
            missing_count=0,
            unsearched_count=0,
            missing_subject_count=0,
            missing_subjects=[],
            comparison=None,
            **shared,
        )
    progress = job.progress()
    return ReembeddingOut(
        state="under_way" if progress.missing else "ready",
        next_bundle=_ref(runtime, job.contract),
        next_contract_id=job.contract.id,
        staged_count=progress.staged,
        missing_count=progress.missing,
        unsearched_count=progress.unsearched,
        missing_subject_count=len(progress.subjects_without),
        missing_subjects=list(progress.subjects_without[:SUBJECTS_SHOWN]),
        comparison=_comparison(runtime.comparisons.last(gallery, job)),
        **shared,
    )


def _ref(runtime: Runtime, contract: EmbeddingContract) -> BundleRef | None:
    bundle = runtime.bundles.of_contract(contract.id)
    return None if bundle is None else bundle_ref(bundle)


def _former(runtime: Runtime, gallery: Gallery) -> FormerOut | None:
    former = way_back(gallery)
    if former is None:
        return None
    return FormerOut(
        bundle=_ref(runtime, former.contract),
        contract_id=former.contract.id,
        template_count=former.count(),
    )


def _comparison(made: Comparison | None) -> ComparisonOut | None:
    if made is None:
        return None
    return ComparisonOut(
        searched=_agreement(made.searched),
        staged=_agreement(made.staged),
        subject_count=made.searched.subjects,
    )


def _agreement(made: Agreement) -> AgreementOut:
    return AgreementOut(rank1=made.rank1, probe_count=made.probes)
