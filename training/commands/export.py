"""oneglance-train export."""

import argparse
from pathlib import Path

from training.data.pack import open_pack

LIMIT = "what the bundle is not fit for; may be given several times"


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
    parser.add_argument("--limit", dest="limits", action="append", required=True, help=LIMIT)
    parser.add_argument(
        "--weights", choices=("float16", "float32"), default="float16", help="how they are stored"
    )
    parser.add_argument(
        "--whiten", type=int, default=0, metavar="D",
        help="whiten embeddings by the images trained on, and keep D numbers (default: neither)",
    )  # fmt: skip
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
        limits=tuple(args.limits),
    )
    pack = open_pack(args.pack)
    exported = export_bundle(
        args.run_dir, pack, args.out, card, weights=args.weights, whiten=args.whiten
    )
    print(exported.summary())
    return 0
