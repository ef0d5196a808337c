"""Re-keying a collection of the running service; how the gallery does it is index/rekeying.py's."""

from typing import Final

from index.rekeying import Rekeyed, Rekeying
from service.collections import Collections
from service.jobs import Progress

# Of the time of all of it; the rest removes what was there before.
_MAKING_SHARE: Final = 0.8


def rekey(
    collections: Collections,
    collection_id: str,
    *,
    new_secret: bool,
    new_row_key: bool,
    progress: Progress,
) -> Rekeyed:
    """Have a collection's templates under another secret or salt, while it is served.

    Raises ReembeddingConflictError, GallerySecretError, or what `progress` raises: sent again, it
    goes on.
    """
    served = collections.of(collection_id)
    job = Rekeying.begin(served.gallery, new_secret=new_secret, new_row_key=new_row_key)
    done = 0
    for done in job.rekey():
        progress(_MAKING_SHARE * done / max(done, served.gallery.template_count, 1))
    collections.change_over(collection_id, served.bundle, job.switch)
    # From here on requests have the new ones, and who is under way follows.
    for removed in job.clean():
        progress(_MAKING_SHARE + (1 - _MAKING_SHARE) * removed / max(removed, done, 1))
    for _ in job.reseal():
        progress(1.0)
    return job.result()
