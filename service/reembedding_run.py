"""Re-embedding a collection of the running service: begun, embedded, switched to, gone back from.

What is embedded is service/reembedding.py's; how the gallery keeps it, index/reembedding.py's.
"""

from collections import Counter
from typing import Final

from contract.errors import (
    ImageError,
    NoCropsError,
    ReembeddingConflictError,
    ReembeddingEndedError,
)
from index.comparison import compare
from index.gallery import Gallery
from index.reembedding import Embed, Reembedding, job_under_way, roll_back, way_back
from index.tables import templates
from service.collections import Collections, ServedCollection
from service.crops import OtherCropError, decode_crop
from service.jobs import Progress
from service.reembedding import embed_crops, embed_late
from service.reembedding_comparisons import Comparisons
from service.served_bundles import ServedBundle, ServedBundles

# So many pictures tell whether the rest is of a kind that a bundle takes.
_CROPS_LOOKED_AT: Final = 64
# A switch embeds at most so many who came in since the job: it is a request, and no job.
LATE_MOST: Final = 500
# Of a job's time; the rest compares.
_EMBEDDING_SHARE: Final = 0.95


def begin(gallery: Gallery, bundle: ServedBundle) -> None:
    """Begin to embed a collection anew by `bundle`, or go on; nothing is embedded yet.

    Raises ReembeddingConflictError (it is of this bundle, or on its way to another one),
    NoCropsError or OtherCropError.
    """
    if bundle.contract_id != gallery.contract.id:
        _check_crops(gallery, bundle)
    Reembedding.begin(gallery, bundle.bundle.manifest.contract)


def embed(
    gallery: Gallery, bundle: ServedBundle, comparisons: Comparisons, progress: Progress
) -> dict[str, int]:
    """Embed what is missing and can be, durable as it goes, and compare; counts by outcome.

    Raises ReembeddingConflictError or ReembeddingEndedError (abandoned or switched to meanwhile),
    OtherCropError, or what `progress` raises.
    """
    job = under_way(gallery)
    _check_same(job, bundle)
    missing = job.progress().missing
    outcomes: Counter[str] = Counter()
    for items in embed_crops(job, bundle.embedder, bundle.bundle.manifest.input):
        outcomes.update(item.outcome for item in items)
        progress(_EMBEDDING_SHARE * outcomes.total() / max(missing, outcomes.total()))
    comparisons.note(gallery, job, compare(gallery, job))
    return dict(sorted(outcomes.items()))


def switch(
    collections: Collections, bundles: ServedBundles, collection_id: str, *, allow_missing: bool
) -> ServedCollection:
    """Serve a collection by what was embedded anew, those who came in meanwhile included.

    Raises ReembeddingConflictError (none is under way, its bundle is not served, or too many came
    in), or MissingTemplatesError, unless `allow_missing`.
    """
    job = under_way(collections.of(collection_id).gallery)
    bundle = _bundle_of(job, bundles)
    _catch_up(job, bundle)

    def step(gallery: Gallery) -> None:
        now = under_way(gallery)
        _check_same(now, bundle)
        now.switch(allow_missing=allow_missing, embed=_late(bundle))

    return collections.change_over(collection_id, bundle, step)


def go_back(
    collections: Collections, bundles: ServedBundles, collection_id: str, *, allow_missing: bool
) -> ServedCollection:
    """Serve a collection by what a switch has left, those who came in since then included.

    Raises ReembeddingConflictError (nothing is left, its bundle is not served, too many came in,
    or a re-embedding is under way), or MissingTemplatesError, unless `allow_missing`.
    """
    gallery = collections.of(collection_id).gallery
    former = left_by_switch(gallery)
    bundle = _bundle_of(former, bundles)
    if job_under_way(gallery) is None:
        _catch_up(former, bundle)

    def step(gallery: Gallery) -> None:
        _check_same(left_by_switch(gallery), bundle)
        roll_back(gallery, allow_missing=allow_missing, embed=_late(bundle))

    return collections.change_over(collection_id, bundle, step)


def under_way(gallery: Gallery) -> Reembedding:
    """The re-embedding that was begun. Raises ReembeddingConflictError: none was."""
    job = job_under_way(gallery)
    if job is None:
        raise ReembeddingConflictError(
            f"The collection {gallery.collection_id!r} is not being re-embedded: begin by "
            f"POST /v1/collections/{gallery.collection_id}/reembed."
        )
    return job


def left_by_switch(gallery: Gallery) -> Reembedding:
    """What can be gone back to. Raises ReembeddingConflictError: nothing can."""
    former = way_back(gallery)
    if former is None:
        # Says so in words.
        roll_back(gallery)
    assert former is not None
    return former


def _check_crops(gallery: Gallery, bundle: ServedBundle) -> None:
    """Raise NoCropsError or OtherCropError where nothing could be embedded."""
    crops = gallery.read(
        lambda scope: templates.first_crops(scope.c, scope.searched, limit=_CROPS_LOOKED_AT)
    )
    if not crops:
        if gallery.template_count:
            raise NoCropsError(gallery.collection_id)
        return
    other: OtherCropError | None = None
    for crop in crops:
        try:
            decode_crop(crop, bundle.bundle.manifest.input)
        except OtherCropError as error:
            other = error
        except ImageError:
            continue
        else:
            return
    if other is not None:
        raise other


def _bundle_of(job: Reembedding, bundles: ServedBundles) -> ServedBundle:
    bundle = bundles.of_contract(job.contract.id)
    if bundle is None:
        raise ReembeddingConflictError(
            f"Embeddings of the contract {job.contract.id} would be searched, and no bundle that "
            "makes such is served: start the service with its folder among further_bundle_paths."
        )
    return bundle


def _check_same(job: Reembedding, bundle: ServedBundle) -> None:
    """Raise ReembeddingEndedError where somebody else has changed what is under way."""
    if job.contract.id != bundle.contract_id:
        raise ReembeddingEndedError(
            gallery_contract_id=job.gallery.contract.id, bundle_contract_id=bundle.contract_id
        )


def _late(bundle: ServedBundle) -> Embed:
    return embed_late(bundle.embedder, bundle.bundle.manifest.input)


def _catch_up(job: Reembedding, bundle: ServedBundle) -> None:
    """Stage who came in, so that few are left to be embedded while enrolments wait."""
    late, staged = _late(bundle), 0
    for page in job.pending(with_crop=True):
        embeddings = late(page)
        job.stage(embeddings)
        staged += len(embeddings)
        if staged > LATE_MOST:
            raise ReembeddingConflictError(
                f"More templates of {job.gallery.collection_id!r} than the {LATE_MOST} of one "
                f"request are not embedded yet: {staged} are now. Send the same again to go on."
            )
