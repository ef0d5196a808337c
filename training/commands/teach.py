"""oneglance-train teach."""

import argparse
from pathlib import Path

from training.data.pack import open_pack


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("teach", help="embed a pack by a teacher, for distillation")
    parser.add_argument("pack", type=Path, help="folder made by prepare")
    parser.add_argument("--onnx", type=Path, required=True, help="the teacher, as SFace's .onnx")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all)")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from training.distill.targets import write_targets
    from training.distill.teacher import OnnxTeacher

    write_targets(open_pack(args.pack), OnnxTeacher(args.onnx, threads=args.threads))
    print(f"{args.pack}: targets by {args.onnx.name}")
    return 0
