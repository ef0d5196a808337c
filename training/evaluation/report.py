"""Evaluating a bundle and writing the figures into its manifest."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contract.bundle import Bundle, load_bundle, write_manifest
from contract.manifest import DefaultThreshold, Metric
from contract.torchscript import load_torchscript
from training.checkpoint import load_checkpoint
from training.data.pack import Pack
from training.evaluation.embed import embed_images
from training.evaluation.lfw import LfwResult, evaluate_lfw, person_key
from training.evaluation.strangers import default_threshold


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured of a bundle."""

    lfw: LfwResult
    threshold: DefaultThreshold


def evaluate_bundle(bundle: Bundle, run: Path, trained_pack: Pack, lfw_pack: Pack) -> Report:
    """LFW accuracy of the exported model, and its default threshold from held-out identities.

    Held out are the identities of `trained_pack` that the run did not train on; LFW decides
    nothing, so its figures are of people that the threshold has not seen.
    """
    model = load_torchscript(bundle)
    d_max = bundle.manifest.embedding.d_max
    trained = set(load_checkpoint(run)["trained_paths"])
    paths = trained_pack.index.paths
    names = trained_pack.index.identities
    is_trained = np.array([path in trained for path in paths])
    labels = trained_pack.labels
    lfw = evaluate_lfw(
        lfw_pack,
        embed_images(model, lfw_pack.images),
        d_max=d_max,
        trained_identities={person_key(names[i]) for i in np.unique(labels[is_trained])},
    )
    held_out = np.flatnonzero(~is_trained)
    threshold = default_threshold(
        embed_images(model, trained_pack.images[held_out]),
        labels[held_out],
        d_max=d_max,
        data=f"identities of {trained_pack.index.source} held out of training",
    )
    return Report(lfw, threshold)


def write_report(bundle: Bundle, report: Report, command: str) -> Bundle:
    """The bundle again, with the figures in its manifest; its embeddings are unchanged."""
    lfw = report.lfw
    overlap = f"{lfw.shared_people} people of the protocol are in the training data"
    metrics = [
        Metric(
            name="lfw_accuracy",
            value=lfw.accuracy.mean,
            data=f"LFW View 2, {lfw.accuracy.pairs} pairs; {overlap}",
            protocol="ten folds, unrestricted threshold; a photo without a face is an error",
            command=command,
        ),
        Metric(
            name="lfw_accuracy_disjoint",
            value=lfw.disjoint.mean,
            data=f"LFW View 2, the {lfw.disjoint.pairs} pairs without these people",
            protocol="ten folds, unrestricted threshold; a photo without a face is an error",
            command=command,
        ),
        Metric(
            name="lfw_failures_to_acquire",
            value=lfw.failures_to_acquire,
            data="LFW View 2, photos of the protocol",
            protocol="MTCNN with its default thresholds, most central face",
            command=command,
        ),
    ]
    manifest = bundle.manifest.model_copy(
        update={"metrics": metrics, "default_threshold": report.threshold}
    )
    write_manifest(bundle.root, manifest)
    return load_bundle(bundle.root)
