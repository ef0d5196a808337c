"""oneglance-train: prepare, train, export, evaluate."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from contract.errors import OneGlanceError
from training.data.pack import open_pack
from training.recipes import RECIPES


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it did its work, 1 with one line of words when it could not."""
    args = _parser().parse_args(arguments)
    try:
        return int(args.run(args))
    except (OneGlanceError, ValueError, RuntimeError, OSError) as error:
        print(f"oneglance-train: {' '.join(str(error).split())}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="oneglance-train", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    prepare = commands.add_parser("prepare", help="pack a zip or folder of identities")
    prepare.add_argument("source", type=Path, help="zip or folder, one folder an identity")
    prepare.add_argument("--out", type=Path, required=True, help="folder of the pack")
    prepare.add_argument(
        "--aligned", action="store_true", help="the images are aligned crops of 112x112 already"
    )
    prepare.set_defaults(run=_prepare)

    teach = commands.add_parser("teach", help="embed a pack by a teacher, for distillation")
    teach.add_argument("pack", type=Path, help="folder made by prepare")
    teach.add_argument("--onnx", type=Path, required=True, help="the teacher, as SFace's .onnx")
    teach.add_argument("--threads", type=int, default=0, help="CPU threads (default: all)")
    teach.set_defaults(run=_teach)

    train = commands.add_parser("train", help="train a recipe on a pack")
    train.add_argument("pack", type=Path, help="folder made by prepare")
    train.add_argument("--run", dest="run_dir", type=Path, required=True, help="folder of the run")
    train.add_argument("--recipe", choices=sorted(RECIPES), default="faces-r18")
    train.add_argument("--epochs", type=int, help="passes over the images (default: the recipe's)")
    train.add_argument(
        "--resume", action="store_true", help="go on from the last checkpoint, if there is one"
    )
    train.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    train.add_argument("--threads", type=int, help="CPU threads (default: torch's own choice)")
    train.set_defaults(run=_train)

    export = commands.add_parser("export", help="make a bundle of a trained run")
    export.add_argument("run_dir", type=Path, help="folder of the run")
    export.add_argument("--pack", type=Path, required=True, help="the pack it was trained on")
    export.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    export.add_argument("--name", required=True, help="lower case, as in oneglance-faces")
    export.add_argument("--version", required=True, help="as in 1.0.0")
    export.add_argument("--description", required=True, help="one sentence")
    export.add_argument("--license", required=True, help="of the weights")
    export.add_argument("--terms", required=True, help="of the training data")
    export.add_argument("--remark", default="", help="on the training data")
    export.add_argument(
        "--weights", choices=("float16", "float32"), default="float16", help="how they are stored"
    )
    export.set_defaults(run=_export)

    evaluate = commands.add_parser(
        "evaluate", help="measure a bundle and write the figures into its manifest"
    )
    evaluate.add_argument("bundle", type=Path, help="folder of the bundle")
    evaluate.add_argument("--run", dest="run_dir", type=Path, required=True, help="its run")
    evaluate.add_argument("--pack", type=Path, required=True, help="the pack it was trained on")
    evaluate.add_argument("--lfw", type=Path, required=True, help="pack of lfw-view2")
    evaluate.set_defaults(run=_evaluate)
    return parser


def _prepare(args: argparse.Namespace) -> int:
    from training.data.prepare import prepare

    detector = None
    if not args.aligned:
        from contract.detection.mtcnn import MtcnnDetector

        detector = MtcnnDetector()
    index = prepare(args.source, args.out, detector)
    print(
        f"{args.out}: {len(index.paths)} images of {len(index.identities)} identities; "
        f"{len(index.unused)} could not be used"
    )
    for path, reason in index.unused:
        print(f"  {path}: {reason}")
    return 0


def _teach(args: argparse.Namespace) -> int:
    from training.distill.targets import write_targets
    from training.distill.teacher import OnnxTeacher

    write_targets(open_pack(args.pack), OnnxTeacher(args.onnx, threads=args.threads))
    print(f"{args.pack}: targets by {args.onnx.name}")
    return 0


def _train(args: argparse.Namespace) -> int:
    import torch

    from training.trainer import Trainer

    if args.threads:
        torch.set_num_threads(args.threads)
    recipe = RECIPES[args.recipe]
    config = recipe(epochs=args.epochs) if args.epochs else recipe()
    trainer = Trainer(
        config, open_pack(args.pack), args.run_dir, resume=args.resume, device=args.device
    )
    trainer.fit()
    print(f"{args.run_dir}: trained {config.name} for {config.epochs} epochs")
    return 0


def _export(args: argparse.Namespace) -> int:
    from training.export import Card, export_bundle

    card = Card(
        name=args.name,
        version=args.version,
        description=args.description,
        license=args.license,
        terms=args.terms,
        remark=args.remark,
    )
    bundle = export_bundle(args.run_dir, open_pack(args.pack), args.out, card, weights=args.weights)
    print(f"{args.out}: {bundle.manifest.name} {bundle.manifest.version}, parity held")
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    from contract.bundle import load_bundle
    from training.evaluation.report import evaluate_bundle, write_report

    report = evaluate_bundle(
        load_bundle(args.bundle), args.run_dir, open_pack(args.pack), open_pack(args.lfw)
    )
    command = (
        f"oneglance-train evaluate {args.bundle} --run {args.run_dir} --pack {args.pack} "
        f"--lfw {args.lfw}"
    )
    write_report(load_bundle(args.bundle), report, command)
    lfw, threshold = report.lfw, report.threshold
    print(
        f"default threshold {threshold.similarity:.4f}: {threshold.fpir:.2%} of searches by "
        f"{threshold.searches} strangers accepted among {threshold.gallery_subjects} subjects"
    )
    print(
        f"LFW, {lfw.shared_people} people shared with training, {lfw.failures_to_acquire} photos "
        f"without a face; {lfw.disjoint.mean:.2%} on the {lfw.disjoint.pairs} pairs of others"
    )
    mean, error = lfw.accuracy.mean, lfw.accuracy.standard_error
    print(f"LFW accuracy {mean:.2%} +- {error:.2%} on {lfw.accuracy.pairs} pairs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
