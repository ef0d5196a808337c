"""Bar: a collection's calibration on itself says how often its own people will be missed.

    python -m benchmarks.self_calibration

A draw enrols 5 photos each of 200 people of CelebA in faces-train, embedded by the shipped bundle,
into a gallery file, which then calibrates itself: only those templates are looked at. 5 further
photos of each of them are the held-out mated searches, one photo each of people who play no other
part the held-out strangers; both are searched for by the gallery, at the thresholds that the
calibration states. The bar: at each target FPIR that it supports, the held-out FNIR lies within the
95 % interval that the calibration gives, in the first draw; and a gallery of 5 people is refused
with the number that is needed. Shown beside it: for how many of 20 draws it holds, the held-out
FPIR, FNIR as leaving one sample out alone would state it, the same where photos of 1,000 further
strangers are given, which support smaller targets, and the same with the people of PubFig, too, so
that 40 % of the enrolled, but few of the strangers, have photos of another kind. The figure is the
last line; the exit status is not 0 outside the bar.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from benchmarks.contenders import FACES, bundle_at
from benchmarks.embedded import EmbeddedPack, embedded
from benchmarks.lfw_people import DataMissingError
from contract.calibration.records import Estimate
from contract.calibration.searches import fnir_at
from contract.embedding_contract import EmbeddingContract
from contract.errors import OneGlanceError, TooLittleDataError
from index.calibrating import calibrated, search_itself
from index.gallery import Gallery
from training.data.pack import PackError

FACES_PACK = Path("data/faces-train")
CELEBA = "celeba/"
SUBJECTS = 200
ENROLLED = 5
HELD_OUT = 5
UPLOADED = 1_000
DRAWS = 20
FEW = 5
CHUNK = 256

Indices = npt.NDArray[np.int64]
Rows = npt.NDArray[np.float32]


class TooFewError(Exception):
    """The pack has too few people for this measurement."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cast:
    """Who plays which part, as rows of the pack.

    enrolled_UM, held_out_UH: of the same people. uploaded_S, strangers_T: one of each other one.
    """

    enrolled_UM: Indices
    held_out_UH: Indices
    uploaded_S: Indices
    strangers_T: Indices


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a calibration stated for a target, and what was seen on photos that it never saw.

    left_out_fnir: what leaving one sample out gives, before it is brought to all templates.
    """

    target_fpir: float
    threshold: float
    fnir: Estimate
    left_out_fnir: float
    held_out_fnir: float
    held_out_fpir: float

    @property
    def within(self) -> bool:
        """The held-out FNIR lies in the interval."""
        return self.fnir.low95 <= self.held_out_fnir <= self.fnir.high95


def rows_of(pack: EmbeddedPack, source: str) -> tuple[Rows, Indices]:
    """Embeddings and labels of the identities whose name begins so."""
    chosen = [name.startswith(source) for name in pack.identities]
    kept = np.array(chosen)[pack.labels_N]
    return pack.embeddings_ND[kept], pack.labels_N[kept]


def cast(labels_N: Indices, *, subjects: int, uploaded: int, seed: int) -> Cast:
    """The same parts for the same seed. Raises TooFewError."""
    rng = np.random.default_rng(seed)
    identities, counts = np.unique(labels_N, return_counts=True)
    able = rng.permutation(np.flatnonzero(counts >= ENROLLED + HELD_OUT))[:subjects]
    others = rng.permutation(np.setdiff1d(np.arange(len(identities)), able))
    if len(able) < subjects or len(others) <= uploaded:
        raise TooFewError(
            f"{len(able)} people have {ENROLLED + HELD_OUT} photos, {len(others)} others are there:"
            f" {subjects} are to be enrolled, more than {uploaded} others are needed."
        )
    photos = [rng.permutation(np.flatnonzero(labels_N == identities[i])) for i in able]
    one_each = np.array([rng.choice(np.flatnonzero(labels_N == identities[i])) for i in others])
    chosen = np.stack([rows[: ENROLLED + HELD_OUT] for rows in photos])
    return Cast(
        enrolled_UM=chosen[:, :ENROLLED],
        held_out_UH=chosen[:, ENROLLED:],
        uploaded_S=one_each[:uploaded],
        strangers_T=one_each[uploaded:],
    )


def outcomes(
    rows_ND: Rows, parts: Cast, contract: EmbeddingContract, *, uploaded: bool
) -> list[Outcome]:
    """Enrol, calibrate, and search for the held-out; an outcome for each supported target."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Gallery.open(Path(folder) / "gallery.sqlite3", contract) as gallery,
    ):
        for number, photos in enumerate(parts.enrolled_UM):
            gallery.enroll(rows_ND[photos], subject_id=str(number))
        strangers = rows_ND[parts.uploaded_S] if uploaded else None
        search = search_itself(gallery, strangers_SD=strangers)
        calibration = calibrated(search)
        owners = [str(n) for n, photos in enumerate(parts.held_out_UH) for _ in photos]
        best = list(_best(gallery, rows_ND[parts.held_out_UH.ravel()]))
        # Up to which threshold each is found: never where somebody else is first.
        found = np.array(
            [s if name == own else -1.0 for (name, s), own in zip(best, owners, strict=True)]
        )
        reached = np.array([s for _, s in _best(gallery, rows_ND[parts.strangers_T])])
    made = []
    for point in calibration.points:
        assert point.fnir is not None
        made.append(
            Outcome(
                target_fpir=point.target_fpir,
                threshold=point.threshold,
                fnir=point.fnir,
                left_out_fnir=fnir_at(search.searches, point.threshold),
                held_out_fnir=float((found < point.threshold).mean()),
                held_out_fpir=float((reached >= point.threshold).mean()),
            )
        )
    return made


def _best(gallery: Gallery, probes_BD: Rows) -> Iterator[tuple[str, float]]:
    """Id and similarity of each probe's best candidate."""
    for first in range(0, len(probes_BD), CHUNK):
        for candidates in gallery.search(probes_BD[first : first + CHUNK], top_k=1).candidates:
            yield candidates[0].subject.id, candidates[0].similarity


def refusal(rows_ND: Rows, parts: Cast, contract: EmbeddingContract) -> str | None:
    """What a gallery of few people says; None where it calibrates."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Gallery.open(Path(folder) / "gallery.sqlite3", contract) as gallery,
    ):
        for number, photos in enumerate(parts.enrolled_UM[:FEW]):
            gallery.enroll(rows_ND[photos], subject_id=str(number))
        try:
            calibrated(search_itself(gallery))
        except TooLittleDataError as error:
            return str(error)
    return None


def says_what_is_needed(words: str | None) -> bool:
    """A refusal names how many are there, and how many the largest target needs."""
    return words is not None and f"has {FEW} subjects" in words and "30 for an FPIR of 10" in words


def described(outcome: Outcome) -> str:
    """One target in a line."""
    fnir = outcome.fnir
    return (
        f"FPIR {outcome.target_fpir:.1%}, similarity >= {outcome.threshold:.4f}: FNIR "
        f"{fnir.value:.2%} (95 %: {fnir.low95:.2%} to {fnir.high95:.2%}; one left out "
        f"{outcome.left_out_fnir:.2%}), held-out {outcome.held_out_fnir:.2%}"
        f"{'' if outcome.within else ' OUTSIDE'}; held-out FPIR {outcome.held_out_fpir:.2%}"
    )


def summary(draws: list[list[Outcome]]) -> Iterator[str]:
    """All draws in a line for each target."""
    targets = sorted({o.target_fpir for draw in draws for o in draw}, reverse=True)
    for target in targets:
        all_of = [o for draw in draws for o in draw if o.target_fpir == target]
        fnir = np.mean([o.fnir.value for o in all_of])
        left = np.mean([o.left_out_fnir for o in all_of])
        held = np.mean([o.held_out_fnir for o in all_of])
        fpir = np.mean([o.held_out_fpir for o in all_of])
        inside = sum(o.within for o in all_of)
        yield (
            f"FPIR {target:.1%}: within its interval in {inside} of {len(all_of)} draws; mean FNIR "
            f"{fnir:.2%} (one left out {left:.2%}), held-out {held:.2%}; mean held-out FPIR "
            f"{fpir:.2%}"
        )


def main(arguments: list[str] | None = None) -> int:
    """0 if the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, default=FACES, help="default: %(default)s")
    parser.add_argument("--pack", type=Path, default=FACES_PACK, help="default: %(default)s")
    parser.add_argument("--draws", type=int, default=DRAWS, help="default: %(default)s")
    args = parser.parse_args(arguments)
    try:
        contract = bundle_at(args.bundle).manifest.contract
        pack: EmbeddedPack = embedded(args.pack, args.bundle)
        rows, labels = rows_of(pack, CELEBA)
        casts = [
            cast(labels, subjects=SUBJECTS, uploaded=UPLOADED, seed=seed)
            for seed in range(args.draws)
        ]
    except (DataMissingError, PackError, TooFewError, OneGlanceError) as error:
        print(f"self_calibration: {error}", file=sys.stderr)
        return 1
    words = refusal(rows, casts[0], contract)
    print(f"{FEW} people: {words or 'calibrated, which must not be'}")
    alone, helped = (
        [outcomes(rows, parts, contract, uploaded=uploaded) for parts in tqdm(casts)]
        for uploaded in (False, True)
    )
    mixed = [
        outcomes(
            pack.embeddings_ND,
            cast(pack.labels_N, subjects=SUBJECTS, uploaded=UPLOADED, seed=seed),
            contract,
            uploaded=False,
        )
        for seed in tqdm(range(args.draws))
    ]
    print(
        f"{SUBJECTS} people with {ENROLLED} photos, {HELD_OUT} further ones held out, "
        f"{len(casts[0].strangers_T)} held-out strangers, {args.draws} draws"
    )
    for title, draws in (
        ("the gallery alone", alone),
        (f"{UPLOADED} strangers given", helped),
        ("the gallery alone, with PubFig", mixed),
    ):
        print(f"{title}, first draw:", *map(described, draws[0]), sep="\n  ")
        print(f"{title}, all draws:", *summary(draws), sep="\n  ")
    refused = says_what_is_needed(words)
    first, inside = alone[0][0], sum(all(o.within for o in draw) for draw in alone)
    stated = first.fnir
    print(
        f"self-calibration, N = {SUBJECTS}, FPIR {first.target_fpir:.0%}: FNIR {stated.value:.2%} "
        f"(95 %: {stated.low95:.2%} to {stated.high95:.2%}), held-out "
        f"{first.held_out_fnir:.2%} (bar: within); so in {inside} of {args.draws} draws; "
        f"{FEW} people are {'refused' if refused else 'NOT refused'}"
    )
    return 0 if refused and all(outcome.within for outcome in alone[0]) else 1


if __name__ == "__main__":
    sys.exit(main())
