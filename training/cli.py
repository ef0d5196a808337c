"""oneglance-train: from a folder of images to a bundle, and proofs of what it can do."""

import argparse
import sys
from collections.abc import Sequence

from contract.errors import OneGlanceError
from training.commands import (
    distill,
    evaluate,
    export,
    import_,
    inspect,
    onnx_,
    paper_table,
    prepare,
    teach,
    train,
)

COMMANDS = (
    prepare, import_, teach, train, distill, export, evaluate, onnx_, inspect, paper_table
)  # fmt: skip


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
    for command in COMMANDS:
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
