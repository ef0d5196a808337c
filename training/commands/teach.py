"""oneglance-train teach."""

import argparse
from pathlib import Path

from training.data.pack import open_pack


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "teach",
        help="embed a pack by a teacher, for distillation",
        description="Embed a pack by the bundle of a teacher. Stopped work goes on by the same "
        "command.",
    )
    parser.add_argument("pack", type=Path, help="folder made by prepare")
    add_teacher(parser)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.set_defaults(run=_run)


def add_teacher(parser: argparse.ArgumentParser) -> None:
    """Declare who teaches."""
    parser.add_argument("--teacher", type=Path, required=True, help="folder of a bundle")
    parser.add_argument(
        "--flips", action="store_true", help="means with the mirrored crop: steadier, twice as long"
    )


def teach(args: argparse.Namespace) -> None:
    """Write the targets of `args.pack` by `args.teacher`."""
    from contract.bundle import load_bundle
    from training.distill.targets import write_targets
    from training.distill.teacher import BundleTeacher

    pack = open_pack(args.pack)
    teacher = BundleTeacher(load_bundle(args.teacher), flips=args.flips, device=args.device)
    teacher.check(pack)
    write_targets(pack, teacher)
    print(f"{args.pack}: targets by {teacher.note.name} {teacher.note.version}")


def _run(args: argparse.Namespace) -> int:
    teach(args)
    return 0
