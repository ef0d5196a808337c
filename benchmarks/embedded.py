"""Embeddings of a whole pack by a bundle: computed once, kept under data/embeddings/.

Shapes: N images, D embedding size.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.contenders import FACES, bundle_at, bundle_contender, pack_at
from training.data.pack import INDEX_NAME

Embeddings = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

KEPT = Path("data/embeddings")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddedPack:
    """embeddings_ND: float32 (N, D). labels_N: index into `identities`. paths: of each image.

    d_max: of the embeddings' space.
    """

    embeddings_ND: Embeddings
    labels_N: Indices
    identities: tuple[str, ...]
    paths: tuple[str, ...]
    d_max: float


def embedded(pack_path: Path, bundle_path: Path = FACES) -> EmbeddedPack:
    """A pack as a bundle sees it. Raises DataMissingError, PackError or BundleError."""
    pack, contract = pack_at(pack_path), bundle_at(bundle_path).manifest.contract
    index = hashlib.sha256((pack_path / INDEX_NAME).read_bytes()).hexdigest()[:16]
    kept = KEPT / f"{pack_path.name}-{index}-{contract.id[-16:]}.npy"
    if kept.is_file():
        embeddings = np.load(kept)
    else:
        embeddings = bundle_contender(bundle_path).embed_all(pack.images)
        KEPT.mkdir(parents=True, exist_ok=True)
        np.save(kept, embeddings)
    return EmbeddedPack(
        embeddings_ND=embeddings,
        labels_N=pack.labels,
        identities=pack.index.identities,
        paths=pack.index.paths,
        d_max=contract.d_max,
    )
