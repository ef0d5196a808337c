"""Bar: two processes (gloo) have the loss curve of one process on the same global batches, to 1e-5.

The real trainer under torchrun, with batch normalisation, augmentation, L_exp + L_center + L_class
and a cross-batch memory.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.loss_curve import loss_curve
from training.config import TrainConfig, with_settings
from training.ranks import joined_ranks
from training.recipes import faces_r18

BAR = 1e-5
SETTINGS = (
    "model.side_px=48", "model.width=8", "model.embedding_size=32", "model.dropout=0",
    "batch.identities=12", "batch.images_each=4", "split.holdout_share=0.2", "precision=float64",
    "loss.c_centre=1", "loss.overlap=1", "loss.mining.memory_batches=2",
    "optimizer.learning_rate=1e-3",
)  # fmt: skip


def config() -> TrainConfig:
    """A small network with everything that ranks must agree on; no dropout, which is random."""
    return with_settings(faces_r18(), SETTINGS)


def curve_of(processes: int, steps: int) -> list[float]:
    """The loss curve by so many processes, started by torchrun."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "curve.json"
        torchrun = ["-m", "torch.distributed.run", "--standalone"]
        each = ["--nproc-per-node", str(processes), "-m", "benchmarks.ranks"]
        words = [sys.executable, *torchrun, *each, "--steps", str(steps), "--out", str(out)]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        curve: list[float] = json.loads(out.read_text())
        return curve


def _child(steps: int, out: Path) -> int:
    torch.set_num_threads(1)
    with joined_ranks("cpu") as ranks:
        curve = loss_curve(config(), steps=steps, ranks=ranks)
        if ranks.leads:
            out.write_text(json.dumps(curve))
    return 0


def main() -> int:
    """0 if the curves agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.out:
        return _child(args.steps, args.out)
    one, two = curve_of(1, args.steps), curve_of(2, args.steps)
    for step, (alone, shared) in enumerate(zip(one, two, strict=True)):
        print(f"step {step:3}: one process {alone:.7f}, two {shared:.7f}")
    worst = max(abs(a - b) / max(1.0, abs(a)) for a, b in zip(one, two, strict=True))
    fell = one[-1] < one[0]
    print(f"largest difference {worst:.1e} in {args.steps} steps (bar: {BAR:.0e})")
    return 0 if worst <= BAR and fell else 1


if __name__ == "__main__":
    sys.exit(main())
