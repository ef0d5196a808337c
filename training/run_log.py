"""What a run tells while it goes on: log.jsonl for programs, TensorBoard for people.

Shapes: A anchors, N images, D embedding size, H x W pixels.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

LOG_NAME = "log.jsonl"
TENSORBOARD_NAME = "tensorboard"
# TensorBoard tiles the thumbnails of the projector into one picture of at most 8192 pixels a side.
THUMBNAIL_SIDE_PX = 48
# A loss is drawn this often; an epoch's mean goes into log.jsonl.
STEPS_PER_POINT = 10


class RunLog:
    """Writes into folder `run`, or nowhere at all (`run` is None: every rank but the first).

    tensorboard: also write what TensorBoard shows; needs the package.
    """

    def __init__(self, run: Path | None, *, tensorboard: bool = False) -> None:
        self._run, self._tensorboard = run, tensorboard
        self._board: Any = None

    def start(self, step: int) -> None:
        """Open what has to be opened; what an interrupted run drew beyond `step` is forgotten.

        Raises ValueError where TensorBoard is asked for and not installed.
        """
        if self._run:
            self._run.mkdir(parents=True, exist_ok=True)
            if self._tensorboard:
                self._board = _board(self._run, step)

    def batch(self, step: int, values: Mapping[str, float]) -> None:
        """Parts of the loss of one batch, its learning rate and the norm of its gradient."""
        if self._board and step % STEPS_PER_POINT == 0:
            for name, value in values.items():
                self._board.add_scalar(f"batch/{name}", value, step)

    def epoch(self, step: int, values: Mapping[str, float | int | None]) -> None:
        """Means of an epoch, or its validation."""
        if self._run:
            with (self._run / LOG_NAME).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **values}) + "\n")
        if self._board:
            for name, value in values.items():
                if value is not None and name != "epoch":
                    self._board.add_scalar(f"epoch/{name}", value, step)

    def distances(self, step: int, positive_A: Tensor, negative_A: Tensor) -> None:
        """Histograms of the mined distances, divided by d_max."""
        for name, values_A in (("positive", positive_A), ("negative", negative_A)):
            if self._board and len(values_A):
                self._board.add_histogram(f"distance/{name}", values_A.float().cpu(), step)

    def embeddings(
        self,
        step: int,
        embeddings_ND: npt.NDArray[np.float32],
        names: list[str],
        images_NHW3: npt.NDArray[np.uint8],
    ) -> None:
        """Images and where the network puts them, for TensorBoard's projector."""
        if self._board:
            pixels = torch.from_numpy(np.array(images_NHW3)).permute(0, 3, 1, 2).float() / 255
            size = (THUMBNAIL_SIDE_PX, THUMBNAIL_SIDE_PX)
            small = torch.nn.functional.interpolate(pixels, size, mode="area")
            self._board.add_embedding(embeddings_ND, names, small, step, tag="held-out")

    def close(self) -> None:
        """Write what is left."""
        if self._board:
            self._board.close()


def _board(run: Path, start: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ValueError(
            "TensorBoard is not installed: install oneglance[training], or add --no-tensorboard."
        ) from error
    return SummaryWriter(run / TENSORBOARD_NAME, purge_step=start + 1 if start else None)
