"""Who plays which part in an evaluation: what was trained on, probes of it, and the unseen.

Shapes: N images.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.data.pack import Pack, PackError

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Rows of a pack, each sorted; `_data` says in words which they are.

    trained: images that the run learned from.
    probes: images that it did not learn from, of identities that it did: those of the test split
        where it has any, else those that validation kept for itself. Empty where `no_probes`
        says why.
    unseen: all images of identities that the run learned nothing from: those of the test split
        where it has two or more, else of both.
    imported: the network was trained elsewhere: nothing of the pack counts as trained on, though
        nobody here knows what it was trained on.
    """

    trained: Indices
    probes: Indices
    probes_data: str
    unseen: Indices
    unseen_data: str
    no_probes: str
    imported: bool = False


def roles_of(pack: Pack, trained_paths: Collection[str]) -> Roles:
    """The parts that the images of `pack` play after a run that learned from `trained_paths`.

    Raises PackError where the run learned from images that are not in the pack: identities that
    it knows would pass for unseen.
    """
    index, labels = pack.index, pack.labels
    trained = set(trained_paths)
    missing = len(trained.difference(index.paths))
    if missing or not trained:
        raise PackError(
            f"{pack.root} is not the pack that the run was trained on: of the {len(trained)} images"
            f" that it learned from {missing} are not there."
        )
    trained_N = np.array([path in trained for path in index.paths], dtype=np.bool_)
    test_N = np.array([split == "test" for split in index.splits], dtype=np.bool_)
    known_N = np.isin(labels, labels[trained_N])
    others_N = known_N & ~trained_N
    tested = bool((others_N & test_N).any())
    unseen_N = ~known_N
    unseen_tested = len(np.unique(labels[unseen_N & test_N])) >= 2
    return Roles(
        trained=np.flatnonzero(trained_N),
        probes=np.flatnonzero(others_N & test_N if tested else others_N),
        probes_data=f"test split of {index.source}"
        if tested
        else f"images of {index.source} kept out of training for validation",
        unseen=np.flatnonzero(unseen_N & test_N if unseen_tested else unseen_N),
        unseen_data=f"identities of the test split of {index.source} that were not trained on"
        if unseen_tested
        else f"identities of {index.source} held out of training",
        no_probes=f"{index.source} has no image of a trained identity that was not trained on "
        "itself: the protocols paper and held-out need a split by sample or a test split.",
    )


def imported_roles(pack: Pack, taught: Collection[str]) -> Roles:
    """The parts that the images of `pack` play for a network that was never trained on them here.

    taught: names of the data sets that the bundle says it was trained on. Raises PackError where
    the pack is made of one of them: identities that the network knows would pass for unseen.
    """
    source = pack.index.source
    if source in taught:
        raise PackError(
            f"The bundle says that it was trained on {source}, which {pack.root} is made of: name "
            "its run (--run), which knows the images, or another pack."
        )
    nobody = np.zeros(0, dtype=np.int64)
    return Roles(
        trained=nobody,
        probes=nobody,
        probes_data="",
        unseen=np.arange(len(pack.labels)),
        unseen_data=f"identities of {source}; the network was imported: whether its authors "
        "trained on these people is not known",
        no_probes="The network was imported: the protocols paper and held-out need images that a "
        "run was trained on.",
        imported=True,
    )
