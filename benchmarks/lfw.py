"""Labeled Faces in the Wild, 6,000 pairs in ten folds: both face bundles, beside SFace.

    python -m benchmarks.lfw

Measures anew what the manifests say of themselves. A photo without a face makes its pairs errors.
The figure is the last line; the exit status is not 0 below a bar, or where a manifest says
something else.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import (
    Contender,
    add_faces,
    add_lfw,
    bundle_contender,
    pack_at,
    sface_contender,
)
from benchmarks.lfw_people import TRAINING_NAME, DataMissingError, data_root, trained_names
from contract.errors import OneGlanceError
from contract.manifest import Manifest
from training.data.pack import Pack, PackError
from training.evaluation.lfw import LfwResult, evaluate_lfw

METRIC = "lfw_accuracy"
AGREEMENT = 0.002


@dataclass(frozen=True, slots=True)
class Bar:
    """At least so much: ten-fold accuracy, and TAR at FAR 1e-3 where it is asked."""

    accuracy: float
    tar: float | None = None

    def holds(self, result: LfwResult) -> bool:
        """Whether both are reached; a TAR that the pairs cannot show is not."""
        if result.accuracy.mean < self.accuracy:
            return False
        if self.tar is None:
            return True
        return result.tar_at_far is not None and result.tar_at_far.tar >= self.tar


DEFAULT_BAR = Bar(accuracy=0.993, tar=0.985)
RESNET_BAR = Bar(accuracy=0.965)


def measure(contender: Contender, pack: Pack, root: Path) -> LfwResult:
    """LFW of a network, with what is known of people who are in its training, too."""
    names = None
    if contender.manifest and was_trained_here(contender.manifest):
        names = trained_names(root) or None
    return evaluate_lfw(
        pack,
        contender.embed_all(pack.images),
        d_max=contender.d_max,
        trained_identities=None if names is None else set(names),
    )


def was_trained_here(manifest: Manifest) -> bool:
    """Whether it says so; the people of an import are not known."""
    return TRAINING_NAME in {data.name for data in manifest.training_data}


def disagreement(manifest: Manifest, accuracy: float) -> str | None:
    """How the manifest differs from what was measured, in words; None if it agrees."""
    said = next((m.value for m in manifest.metrics if m.name == METRIC), None)
    if said is None:
        return f"the manifest has no {METRIC}: run `oneglance-train evaluate`"
    if not abs(said - accuracy) <= AGREEMENT:
        return f"the manifest says {said:.4f}, measured is {accuracy:.4f}"
    return None


def described(name: str, result: LfwResult) -> list[str]:
    """What there is to say of one network, a line each."""
    lines = [
        f"{name}: {result.accuracy.mean:.2%} +- {result.accuracy.standard_error:.2%} on "
        f"{result.accuracy.pairs} pairs, EER {result.equal_error.rate:.2%}, photos without a "
        f"face {result.failures_to_acquire}"
    ]
    if result.disjoint is None:
        return [*lines, f"{name}: who of LFW was trained on is not known"]
    disjoint = result.disjoint
    return [
        *lines,
        f"{name}: {result.shared_people} people of the protocol are in {TRAINING_NAME} by name; "
        f"without them {disjoint.mean:.2%} +- {disjoint.standard_error:.2%} on {disjoint.pairs} "
        "pairs",
    ]


def figure(name: str, result: LfwResult, bar: Bar | None) -> str:
    """Accuracy and TAR, each with its bar."""
    tar = f"{result.tar_at_far.tar:.2%}" if result.tar_at_far else "not shown"
    accuracy = f"{name} {result.accuracy.mean:.2%}"
    if bar is None:
        return f"{accuracy}, TAR {tar}"
    tar_bar = f" (bar {bar.tar:.1%})" if bar.tar is not None else ""
    return f"{accuracy} (bar {bar.accuracy:.1%}), TAR {tar}{tar_bar}"


def main(arguments: list[str] | None = None) -> int:
    """0 if all bars and both manifests hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_faces(parser)
    add_lfw(parser)
    args = parser.parse_args(arguments)
    try:
        pack = pack_at(args.pack)
        judged = [
            (bundle_contender(args.bundle), DEFAULT_BAR),
            (bundle_contender(args.resnet), RESNET_BAR),
            (sface_contender(args.sface), None),
        ]
        results = [measure(contender, pack, data_root()) for contender, _ in judged]
    except (DataMissingError, PackError, OneGlanceError) as error:
        print(f"lfw: {error}", file=sys.stderr)
        return 1
    holds, figures = True, []
    for (contender, bar), result in zip(judged, results, strict=True):
        print(*described(contender.name, result), sep="\n")
        wrong = contender.manifest and disagreement(contender.manifest, result.accuracy.mean)
        if wrong:
            print(f"lfw: {contender.name}: {wrong}", file=sys.stderr)
        holds = holds and not wrong and (bar is None or bar.holds(result))
        figures.append(figure(contender.name, result, bar))
    print(f"LFW ten-fold accuracy, TAR at FAR 1e-3: {'; '.join(figures)}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
