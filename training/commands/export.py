"""oneglance-train export."""

import argparse
from pathlib import Path

from training.data.pack import open_pack


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("export", help="make a bundle of a trained run")
    parser.add_argument("run_dir", type=Path, help="folder of the run")
    parser.add_argument("--pack", type=Path, required=True, help="the pack it was trained on")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    parser.add_argument("--name", required=True, help="lower case, as in oneglance-faces")
    parser.add_argument("--version", required=True, help="as in 1.0.0")
    parser.add_argument("--description", required=True, help="one sentence")
    parser.add_argument("--license", required=True, help="of the weights")
    parser.add_argument("--terms", required=True, help="of the training data")
    parser.add_argument("--remark", default="", help="on the training data")
    parser.add_argument(
        "--weights", choices=("float16", "float32"), default="float16", help="how they are stored"
    )
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from training.export.card import Card
    from training.export.trained import export_bundle

    card = Card(
        name=args.name,
        version=args.version,
        description=args.description,
        license=args.license,
        terms=args.terms,
        remark=args.remark,
    )
    pack = open_pack(args.pack)
    exported = export_bundle(args.run_dir, pack, args.out, card, weights=args.weights)
    print(exported.summary())
    return 0
