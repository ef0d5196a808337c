"""Cross-batch memory: embeddings of past batches as further candidates of mining.

Wang et al., "Cross-Batch Memory for Embedding Learning", CVPR 2020: embeddings drift slowly once
training is under way, so that those of recent batches still stand for their images, and mining
among them costs no further forward pass.

Shapes: M places, D embedding size, B batch.
"""

import torch
from torch import Tensor, nn


class EmbeddingMemory(nn.Module):
    """The last M embeddings and their labels, oldest overwritten first; all of it in state_dict.

    An earlier embedding of the anchor's own image counts as a positive like any other, as in the
    paper: the image was augmented anew, and the network has moved on since.
    """

    embeddings_MD: Tensor
    labels_M: Tensor
    written: Tensor

    def __init__(self, places: int, embedding_size: int) -> None:
        super().__init__()
        self.register_buffer("embeddings_MD", torch.zeros(places, embedding_size))
        self.register_buffer("labels_M", torch.zeros(places, dtype=torch.int64))
        # How many rows were ever written; the next goes to this number modulo M.
        self.register_buffer("written", torch.zeros((), dtype=torch.int64))

    def read(self) -> tuple[Tensor, Tensor]:
        """Embeddings (filled, D) without gradient and labels (filled,), in no order: views."""
        filled = min(int(self.written), len(self.labels_M))
        return self.embeddings_MD[:filled], self.labels_M[:filled]

    @torch.no_grad()
    def write(self, embeddings_BD: Tensor, labels_B: Tensor) -> None:
        """Add a batch; of one larger than the memory its last rows."""
        places = len(self.labels_M)
        rows = embeddings_BD.detach()[-places:].to(self.embeddings_MD.dtype)
        skipped = len(embeddings_BD) - len(rows)
        first = int(self.written) + skipped
        where = torch.arange(first, first + len(rows), device=rows.device) % places
        self.embeddings_MD[where] = rows
        self.labels_M[where] = labels_B[-places:]
        self.written += len(embeddings_BD)
