"""oneglance-train import."""

import argparse
from dataclasses import replace
from pathlib import Path

from training.commands.export import LIMIT
from training.data.pack import open_pack

CARD = {
    "name": "lower case",
    "version": "as in 1.0.0",
    "description": "one sentence",
    "license": "of the weights",
    "terms": "of the training data",
    "remark": "on the training data",
}


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "import",
        help="make a bundle of a network that others trained",
        description="Make a bundle of a network that others trained. Its weights are downloaded, "
        "unless the cache in TORCH_HOME has them.",
    )
    parser.add_argument("source", help="which, as in inception-resnet-v1-vggface2")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    for field, meaning in CARD.items():
        parser.add_argument(f"--{field}", help=f"{meaning} (default: the source's own)")
    parser.add_argument(
        "--limit", dest="limits", action="append", help=f"{LIMIT} (default: the source's own)"
    )
    parser.add_argument(
        "--weights", choices=("float16", "float32"), default="float16", help="how they are stored"
    )
    parser.add_argument(
        "--pack", type=Path, help="check parity on crops of this pack (default: on made-up crops)"
    )
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from training.export.imported import SOURCES, import_bundle

    source = SOURCES.get(args.source)
    if source is None:
        raise ValueError(f"There is no source {args.source!r}: take {' or '.join(SOURCES)}.")
    given = {field: getattr(args, field) for field in CARD if getattr(args, field) is not None}
    limits = tuple(args.limits) if args.limits else source.card.limits
    card = replace(source.card, **given, limits=limits)
    exported = import_bundle(
        source,
        args.out,
        card,
        weights=args.weights,
        pack=open_pack(args.pack) if args.pack else None,
    )
    print(exported.summary())
    return 0
