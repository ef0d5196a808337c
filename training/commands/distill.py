"""oneglance-train distill: teach, then train."""

import argparse
import os

from training.commands import teach, train
from training.config import TrainConfig


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "distill",
        help="embed a pack by a teacher and train a student on it",
        description="`teach`, then `train`, in one: a frozen teacher's embeddings are the targets "
        "that a recipe with loss.c_distill above 0 learns beside its other losses.",
    )
    teach.add_teacher(parser)
    train.add_options(parser, recipe="faces-resnet")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    config = train.config_of(args)
    if not config.loss.c_distill:
        raise ValueError(
            f"The recipe {args.recipe} has no loss.c_distill above 0, by which it would learn from "
            "a teacher: take another recipe, or --set loss.c_distill=5."
        )
    _refuse_what_training_would(args, config)
    teach.teach(args)
    return train.train(args)


def _refuse_what_training_would(args: argparse.Namespace, config: TrainConfig) -> None:
    """Before an hour of teaching. Raises ValueError."""
    from contract.bundle import load_bundle
    from training.checkpoint import CHECKPOINT_NAME

    if "RANK" in os.environ:
        raise ValueError(
            "distill is one process: run `oneglance-train teach` first, and `train` under torchrun."
        )
    if (args.run_dir / CHECKPOINT_NAME).exists() and not args.resume:
        raise ValueError(f"{args.run_dir} holds a run: add --resume, or name another folder.")
    taught, wanted = load_bundle(args.teacher).manifest.embedding.size, config.model.embedding_size
    if taught != wanted:
        raise ValueError(
            f"The teacher's embeddings have {taught} numbers, the recipe's {wanted}: --set "
            f"model.embedding_size={taught}."
        )
