"""Evaluating a bundle by every protocol that the data allow."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from contract.bundle import Bundle, load_bundle, write_manifest
from contract.torchscript import load_torchscript
from training.data.pack import PAIRS_NAME, Pack, PackError
from training.data.pixels import refuse_other_pixels
from training.evaluation.calibration import OpenSet, default_threshold, open_set
from training.evaluation.closed_set import ClosedSetResult, closed_set_of
from training.evaluation.doubles import find_doubles
from training.evaluation.embed import embed_images
from training.evaluation.lfw import LfwResult, evaluate_lfw, person_key, read_pairs
from training.evaluation.metrics import metrics_of
from training.evaluation.open_set import TooFewError
from training.evaluation.pairs import VerificationResult, verify_pairs
from training.evaluation.results import Report
from training.evaluation.roles import Roles, imported_roles, roles_of
from training.evaluation.space_view import SpaceView, space_view
from training.evaluation.zero_shot import RankResult, rank_probes
from training.run import load_run

Model = Callable[[Tensor], Tensor]
Embeddings = npt.NDArray[np.float32]


def evaluate_bundle(
    bundle: Bundle,
    run: Path | None,
    pack: Pack,
    lfw_pack: Pack | None = None,
    *,
    calibration_pack: Pack | None = None,
    enrolled: int = 1,
    without_doubles: bool = False,
    seed: int = 0,
) -> Report:
    """All figures of the exported model of `run`, which was trained on `pack`.

    run: None for a network that was imported and never trained here: everyone counts as unseen.
    calibration_pack: other crops of the same identities, to calibrate on in place of `pack`'s.
    enrolled: images of each subject in the galleries of protocol zero-shot.
    without_doubles: the calibration leaves out who is there under two labels (doubles.py).
    Raises PackError (another pack, other pixels than the bundle takes, other people to calibrate
    on, no pairs of LFW, a network that was trained on the pack and is said to be imported) or
    CheckpointError (no run).
    """
    manifest = bundle.manifest
    refuse_other_pixels(pack, manifest.input, "the bundle")
    if run is None:
        roles = imported_roles(pack, {data.name for data in manifest.training_data})
    else:
        roles = roles_of(pack, load_run(run).trained_paths)
    if calibration_pack is not None:
        refuse_other_pixels(calibration_pack, manifest.input, "the bundle")
        _refuse_others(calibration_pack, pack)
    if lfw_pack is not None:
        refuse_other_pixels(lfw_pack, manifest.input, "the bundle")
        read_pairs(lfw_pack.root / PAIRS_NAME)  # before hours of embedding
    model, d_max = load_torchscript(bundle), manifest.embedding.d_max
    told = _Told(d_max=d_max, enrolled=enrolled, without_doubles=without_doubles, seed=seed)
    closed = told.closed_set(model, pack, roles)
    unseen = told.zero_shot(model, pack, roles, calibration_pack)
    lfw = told.lfw(model, lfw_pack, pack, roles)
    return Report(
        bundle=f"{manifest.name} {manifest.version}",
        closed_set=closed[0],
        held_out_pairs=closed[1],
        ranks=unseen[0],
        open_set=unseen[1],
        zero_shot_pairs=unseen[2],
        lfw=lfw,
        views=tuple(told.views),
        unanswered=tuple(told.unanswered),
    )


def _refuse_others(calibration_pack: Pack, pack: Pack) -> None:
    """Names of identities mean the same in both packs. Raises PackError where they do not."""
    ours, theirs = pack.index.source, calibration_pack.index.source
    if ours != theirs:
        raise PackError(
            f"{calibration_pack.root} is made of {theirs}, and {pack.root} of {ours}: calibrate on "
            "a pack of the same source, whose identities bear the same names."
        )


class _Told:
    """Runs the protocols, noting what each could not answer."""

    def __init__(self, *, d_max: float, enrolled: int, without_doubles: bool, seed: int) -> None:
        self._d_max, self._enrolled, self._seed = d_max, enrolled, seed
        self._without_doubles = without_doubles
        self.unanswered: list[str] = []
        self.views: list[SpaceView] = []

    def closed_set(
        self, model: Model, pack: Pack, roles: Roles
    ) -> tuple[ClosedSetResult | None, VerificationResult | None]:
        if not len(roles.probes):
            self.unanswered.append(roles.no_probes)
            return None, None
        labels = pack.labels
        trained, probes = (
            embed_images(model, pack.images, rows=rows) for rows in (roles.trained, roles.probes)
        )
        result = closed_set_of(
            trained, labels[roles.trained], probes, labels[roles.probes], data=roles.probes_data
        )
        self._view(probes, roles.probes, pack, roles.probes_data)
        return result, self._pairs(probes, labels[roles.probes], "held-out", roles.probes_data)

    def zero_shot(
        self, model: Model, pack: Pack, roles: Roles, calibration_pack: Pack | None
    ) -> tuple[RankResult | None, OpenSet | None, VerificationResult | None]:
        if not len(roles.unseen):
            self.unanswered.append(
                f"{pack.index.source} has no identity that was not trained on: protocol zero-shot, "
                "the default threshold and the calibration need some."
            )
            return None, None, None
        labels = pack.labels[roles.unseen]
        embeddings = embed_images(model, pack.images, rows=roles.unseen)
        self._view(embeddings, roles.unseen, pack, roles.unseen_data)
        return (
            self._ranks(embeddings, labels, roles.unseen_data),
            self._open_set(embeddings, labels, roles.unseen_data)
            if calibration_pack is None
            else self._on_other_crops(model, calibration_pack, pack, roles),
            self._pairs(embeddings, labels, "zero-shot", roles.unseen_data),
        )

    def lfw(
        self, model: Model, lfw_pack: Pack | None, pack: Pack, roles: Roles
    ) -> LfwResult | None:
        if lfw_pack is None:
            self.unanswered.append("LFW was not evaluated: no pack of it was named (--lfw).")
            return None
        names, trained = pack.index.identities, np.unique(pack.labels[roles.trained])
        result = evaluate_lfw(
            lfw_pack,
            embed_images(model, lfw_pack.images),
            d_max=self._d_max,
            trained_identities=None if roles.imported else {person_key(names[i]) for i in trained},
        )
        self._tar("LFW", result.tar_at_far is None, result.curve.nonmated)
        return result

    def _ranks(
        self, embeddings: Embeddings, labels: npt.NDArray[np.int64], data: str
    ) -> RankResult | None:
        try:
            return rank_probes(
                embeddings,
                labels,
                d_max=self._d_max,
                enrolled=self._enrolled,
                seed=self._seed,
                data=data,
            )
        except TooFewError as error:
            self.unanswered.append(f"zero-shot: {error}")
            return None

    def _on_other_crops(
        self, model: Model, other: Pack, pack: Pack, roles: Roles
    ) -> OpenSet | None:
        unseen = {pack.index.identities[label] for label in np.unique(pack.labels[roles.unseen])}
        known_as = np.array([name in unseen for name in other.index.identities], dtype=np.bool_)
        rows = np.flatnonzero(known_as[other.labels])
        words = f"{roles.unseen_data}; crops by the detector {other.index.detector or 'of others'}"
        return self._open_set(
            embed_images(model, other.images, rows=rows), other.labels[rows], words
        )

    def _open_set(
        self, embeddings: Embeddings, labels: npt.NDArray[np.int64], data: str
    ) -> OpenSet | None:
        try:
            if self._without_doubles:
                embeddings, labels, data = self._single(embeddings, labels, data)
            result = open_set(
                embeddings,
                labels,
                d_max=self._d_max,
                enrolled=self._enrolled,
                seed=self._seed,
                data=data,
            )
        except TooFewError as error:
            self.unanswered.append(f"zero-shot: {error}")
            return None
        self.unanswered += [f"zero-shot: {line}" for line in result.unsupported]
        if result.calibration is None:
            self.unanswered.append("There is no calibration: no target FPIR could be supported.")
        if default_threshold(result.calibration) is None:
            self.unanswered.append(
                "There is no default threshold: a service with this bundle decides nothing until "
                "a request names a threshold."
            )
        return result

    def _single(
        self, embeddings: Embeddings, labels: npt.NDArray[np.int64], data: str
    ) -> tuple[Embeddings, npt.NDArray[np.int64], str]:
        """Without doubles, and the data in words. Raises TooFewError."""
        doubles = find_doubles(embeddings, labels, d_max=self._d_max)
        stays = ~np.isin(labels, doubles.left_out)
        words = (
            f"{data}; {len(doubles.left_out)} of {len(np.unique(labels))} identities left out, "
            "which look like one person under two labels (an image is as alike to one of another "
            f"identity as two of one are in the middle: {doubles.similarity:.4f})"
        )
        return embeddings[stays], labels[stays], words

    def _pairs(
        self, embeddings: Embeddings, labels: npt.NDArray[np.int64], protocol: str, data: str
    ) -> VerificationResult | None:
        result = verify_pairs(embeddings, labels, d_max=self._d_max, seed=self._seed, data=data)
        if result is None:
            self.unanswered.append(f"{protocol}: {data} make no pairs of both kinds.")
        else:
            self._tar(protocol, result.tar_at_far is None, result.curve.nonmated)
        return result

    def _tar(self, protocol: str, missing: bool, nonmated: int) -> None:
        if missing:
            self.unanswered.append(
                f"{protocol}: {nonmated} non-mated pairs cannot show a FAR of 1e-3, 3,000 are "
                "needed."
            )

    def _view(
        self, embeddings: Embeddings, rows: npt.NDArray[np.int64], pack: Pack, data: str
    ) -> None:
        self.views.append(
            space_view(
                embeddings, pack.labels[rows], pack.index.identities, seed=self._seed, data=data
            )
        )


def write_report(bundle: Bundle, report: Report, command: str) -> Bundle:
    """The bundle again, with the figures in its manifest; its embeddings are unchanged.

    A manifest keeps its format version; only 1, which has no calibration, becomes 2. What the
    report could not measure is removed from it: no figure of another evaluation stays.
    """
    manifest = bundle.manifest.replaced(
        format_version=max(bundle.manifest.format_version, 2),
        metrics=metrics_of(report, command),
        default_threshold=report.threshold,
        calibration=report.open_set.calibration if report.open_set else None,
    )
    write_manifest(bundle.root, manifest)
    return load_bundle(bundle.root)
