"""Ten-fold accuracy of the served bundle on Labeled Faces in the Wild, 6,000 pairs.

    python -m benchmarks.lfw

Measures anew what the bundle's manifest says of itself. The figure is the last line; the exit
status is not 0 below the bar, or where the manifest says something else.
"""

import sys
from pathlib import Path

from benchmarks.lfw_people import TRAINING_NAME, data_root, trained_names
from contract.bundle import load_bundle
from contract.errors import BundleError
from contract.manifest import Manifest
from contract.torchscript import load_torchscript
from service.settings import Settings
from training.data.pack import PackError, open_pack
from training.evaluation.embed import embed_images
from training.evaluation.lfw import LfwResult, evaluate_lfw

PACK = Path("data/lfw")
ACCURACY_AT_LEAST = 0.80
METRIC = "lfw_accuracy"
AGREEMENT = 0.002


def measure(bundle_path: Path, pack_path: Path, names: frozenset[str]) -> LfwResult:
    """LFW accuracy of a bundle. Raises PackError or BundleError."""
    pack = open_pack(pack_path)
    bundle = load_bundle(bundle_path)
    embeddings = embed_images(load_torchscript(bundle), pack.images)
    return evaluate_lfw(
        pack,
        embeddings,
        d_max=bundle.manifest.embedding.d_max,
        trained_identities=set(names),
    )


def disagreement(manifest: Manifest, accuracy: float) -> str | None:
    """How the manifest differs from what was measured, in words; None if it agrees."""
    said = next((m.value for m in manifest.metrics if m.name == METRIC), None)
    if said is None:
        return f"the manifest has no {METRIC}: run `oneglance-train evaluate`"
    if not abs(said - accuracy) <= AGREEMENT:
        return f"the manifest says {said:.4f}, measured is {accuracy:.4f}"
    return None


def main() -> int:
    """Measure and compare; 0 if bar and manifest hold."""
    bundle_path, root = Settings().bundle_path, data_root()
    names = trained_names(root)
    try:
        result = measure(bundle_path, PACK, names)
    except PackError as error:
        print(f"lfw: {error} Here: run `make pack-lfw` first.", file=sys.stderr)
        return 1
    except BundleError as error:
        print(f"lfw: {error}", file=sys.stderr)
        return 1
    manifest = load_bundle(bundle_path).manifest
    accuracy, disjoint = result.accuracy, result.disjoint
    print(f"bundle {manifest.name} {manifest.version}, {bundle_path}")
    print(f"photos without a face, whose pairs are errors: {result.failures_to_acquire}")
    if names:
        print(
            f"{result.shared_people} people of the protocol are in {TRAINING_NAME} by name; "
            f"without them {disjoint.mean:.2%} +- {disjoint.standard_error:.2%} "
            f"on {disjoint.pairs} pairs"
        )
    else:
        print(f"{TRAINING_NAME} is not in {root}: which people are in training is not known")
    wrong = disagreement(manifest, accuracy.mean)
    if wrong:
        print(f"lfw: {wrong}", file=sys.stderr)
    print(
        f"LFW ten-fold accuracy {accuracy.mean:.2%} +- {accuracy.standard_error:.2%} "
        f"on {accuracy.pairs} pairs, bar {ACCURACY_AT_LEAST:.0%}"
    )
    return int(bool(wrong) or accuracy.mean < ACCURACY_AT_LEAST)


if __name__ == "__main__":
    sys.exit(main())
