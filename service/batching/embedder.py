"""An embedder for many threads before one that is best asked in batches.

Shapes: B batch, D embedding size.
"""

import numpy as np

from service.batching.line import Line
from service.batching.waiting_crops import WaitingCrops
from service.embedder import Embedder, Embeddings, Pixels, Precision
from service.options import EmbedderRuntime
from service.turn import present_turn


class BatchingEmbedder:
    """Embeds what waits at the same moment together, by another embedder, one batch at a time.

    The first caller is not kept waiting for others; whoever comes while a batch is computed is in
    the next one. Crops of a request whose turn is over are dropped from the line.
    """

    def __init__(self, embedder: Embedder, *, max_batch_faces: int) -> None:
        self._embedder, self._max_batch_faces = embedder, max_batch_faces
        self._line = Line(max_crops=max_batch_faces)

    @property
    def runtime(self) -> EmbedderRuntime:
        """What computes."""
        return self._embedder.runtime

    @property
    def device(self) -> str:
        """Where it computes: cpu or cuda."""
        return self._embedder.device

    @property
    def precision(self) -> Precision:
        """What it computes in."""
        return self._embedder.precision

    def embed(self, crops_BHW3: Pixels) -> Embeddings:
        """float32 (B, D) of uint8 (B, H, W, 3) RGB crops; B may be 0.

        Raises what Turn.check raises, and to all of one batch what the other embedder raised.
        """
        most = self._max_batch_faces
        if len(crops_BHW3) <= most:
            return self._in_line(crops_BHW3)
        # Others get their turns between the pieces.
        pieces = range(0, len(crops_BHW3), most)
        return np.concatenate([self._in_line(crops_BHW3[i : i + most]) for i in pieces])

    def _in_line(self, crops_BHW3: Pixels) -> Embeddings:
        own = WaitingCrops(crops_BHW3, present_turn())
        if not self._line.join(own):
            own.wait()
        if not own.has_result:
            self._lead()
        return own.result()

    def _lead(self) -> None:
        """Compute the next batch, which the caller's own crops are the first of."""
        batch = self._line.next_batch()
        try:
            self._compute(batch)
        except BaseException as error:
            for crops in batch:
                crops.fail(error)
            raise
        finally:
            self._line.hand_over()

    def _compute(self, batch: list[WaitingCrops]) -> None:
        if not batch:
            return
        joined = [crops.crops_BHW3 for crops in batch]
        embeddings = self._embedder.embed(joined[0] if len(joined) == 1 else np.concatenate(joined))
        first = 0
        for crops in batch:
            crops.give(embeddings[first : first + len(crops)])
            first += len(crops)
