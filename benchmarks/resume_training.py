"""Bar: a training killed by kill -9, again and again, ends with the weights of one left alone.

Both are the real command in processes of their own, on a pack of waves, with augmentation, dropout,
a running average, class centres and a cross-batch memory: everything that has a state.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.training_pack import wave_pack
from training.checkpoint import CHECKPOINT_NAME, MODEL_NAME, load_checkpoint

SETTINGS = (
    "model.side_px=32", "model.width=8", "model.embedding_size=16", "model.dropout=0.2",
    "batch.identities=8", "split.holdout_share=0.2", "optimizer.ema_decay=0.9",
    "loss.c_centre=1", "loss.overlap=1", "loss.mining.memory_batches=4", "precision=float32",
)  # fmt: skip


def command(pack: Path, run: Path, *, epochs: int) -> list[str]:
    """The training in words of the command line; a checkpoint after every batch."""
    settings = [word for value in SETTINGS for word in ("--set", value)]
    return [
        sys.executable, "-m", "training.cli", "train", str(pack), "--run", str(run), "--recipe",
        "faces-r18", "--epochs", str(epochs), "--resume", "--threads", "1", "--no-tensorboard",
        "--checkpoint-every-s", "0", *settings,
    ]  # fmt: skip


def killed_until_done(words: list[str], run: Path, *, kills: int) -> int:
    """Start the command, kill it in the middle `kills` times, let it finish; kills that hit it."""
    hits = 0
    for _ in range(kills):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = _changed(run)
        while process.poll() is None and _changed(run) == before:
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 0.7))
        process.send_signal(signal.SIGKILL)
        hits += process.wait() == -signal.SIGKILL
    subprocess.run(words, check=True, capture_output=True)
    return hits


def _changed(run: Path) -> int:
    path = run / CHECKPOINT_NAME
    return path.stat().st_mtime_ns if path.exists() else 0


def differing(first: Path, second: Path) -> list[str]:
    """Names of what two runs ended with and do not share, bit for bit."""
    wrong = []
    for name in (CHECKPOINT_NAME, MODEL_NAME):
        one, other = load_checkpoint(first, name), load_checkpoint(second, name)
        wrong += [f"{name}: {key}" for key in one if not _equal(one[key], other.get(key))]
    return wrong


def _equal(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


def main() -> int:
    """0 if the killed run ended with the very weights of the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=8)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        wave_pack(root / "pack", identities=20, images_each=20, side_px=32)
        alone, killed = root / "alone", root / "killed"
        subprocess.run(
            command(root / "pack", alone, epochs=args.epochs), check=True, capture_output=True
        )
        words = command(root / "pack", killed, epochs=args.epochs)
        hits = killed_until_done(words, killed, kills=args.kills)
        steps = load_checkpoint(killed)["step"]
        wrong = differing(alone, killed)
    for line in wrong:
        print(f"differs: {line}")
    print(f"{hits} kills in {steps} steps; {len(wrong)} parts of the state differ (bar: 0)")
    return 1 if wrong or hits < args.kills else 0


if __name__ == "__main__":
    sys.exit(main())
