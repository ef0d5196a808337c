"""oneglance-train train."""

import argparse
from pathlib import Path

from training.config import TrainConfig, with_settings
from training.recipes import RECIPES

RUN = "folder of the run (under torchrun write --run-dir)"
RESUME = "go on from the last checkpoint, if there is one"
SET = "replace a value of the recipe, as in loss.overlap=40; may be given several times"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "train",
        help="train a recipe on a pack",
        description="Train a recipe on a pack. Several processes: start it by torchrun, as in "
        "`torchrun --nproc-per-node 2 -m training.cli train PACK --run-dir RUN`.",
    )
    add_options(parser, recipe="faces-r18")
    parser.set_defaults(run=train)


def add_options(parser: argparse.ArgumentParser, *, recipe: str) -> None:
    """Declare everything that a training can be told. recipe: the one that is the default."""
    parser.add_argument("pack", type=Path, help="folder made by prepare")
    # torchrun takes --run for the beginning of an option of its own, not so --run-dir.
    parser.add_argument("--run", "--run-dir", dest="run_dir", type=Path, required=True, help=RUN)
    parser.add_argument("--recipe", choices=sorted(RECIPES), default=recipe)
    parser.add_argument("--set", dest="settings", action="append", default=[], help=SET)
    parser.add_argument("--epochs", type=int, help="passes over the images (default: the recipe's)")
    parser.add_argument("--resume", action="store_true", help=RESUME)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (torchrun: cuda)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's own choice)")
    parser.add_argument(
        "--checkpoint-every-s", type=float, default=120.0, help="seconds (default: 120)"
    )
    parser.add_argument(
        "--tensorboard", action=argparse.BooleanOptionalAction, default=True,
        help="write losses, distances and embeddings for TensorBoard into the run's folder",
    )  # fmt: skip


def config_of(args: argparse.Namespace) -> TrainConfig:
    """The recipe with what the command line replaces in it. Raises ValueError."""
    recipe = RECIPES[args.recipe]
    return with_settings(recipe(epochs=args.epochs) if args.epochs else recipe(), args.settings)


def train(args: argparse.Namespace) -> int:
    """Train by the options; 130 where Ctrl-C stopped it."""
    import torch

    from training.data.pack import open_pack
    from training.ranks import joined_ranks
    from training.run_log import RunLog
    from training.trainer import Trainer

    if args.threads:
        torch.set_num_threads(args.threads)
    config = config_of(args)
    try:
        with joined_ranks(args.device) as ranks:
            trainer = Trainer(
                config,
                open_pack(args.pack),
                args.run_dir,
                resume=args.resume,
                ranks=ranks,
                log=RunLog(args.run_dir if ranks.leads else None, tensorboard=args.tensorboard),
                checkpoint_every_s=args.checkpoint_every_s,
            )
            trainer.fit()
    except KeyboardInterrupt:
        print(f"\n{args.run_dir}: stopped; --resume goes on from the last checkpoint.")
        return 130
    if ranks.leads:
        print(f"{args.run_dir}: trained {config.name}, {trainer.epochs_done} epochs")
    return 0
