"""Centre loss: distances of samples to the running centre of their class.

    exponential   -log(1 - [d / d_max - c_n / 2]+ / (1 - c_n / 2)), d = |y - centre of its class|
    hinge         mean([d^2 - c_d / 2]+), c_d = c_n * d_max^2

c_n is the share of d_max that a class may fill, so c_d is the same share of the largest squared
distance; half of either is the radius about the centre.

Where we differ: the research code puts distances of positive PAIRS into the exponential form, which
looks like a slip; ours are distances to the centres that the slides name. The slides SUM the hinge
over the batch; ours is the mean, so that the weight does not depend on the size of a batch. Neither
says how centres move; ours follow the batches by momentum, or are replaced after each epoch.

Shapes: B batch, D embedding size, K classes, U classes of the batch.
"""

import torch
from torch import Tensor, nn

from training.losses.config import CentreConfig, Reduction
from training.losses.exponential import barrier
from training.mining.distances import at_least_float32, root


class CentreLoss(nn.Module):
    """The loss and its centres, which get no gradient and are all in state_dict.

    The first batch with samples of a class makes their mean its centre before the loss is taken.
    Later batches are compared with the centre as it was, and then move it (`momentum`), or are
    summed until `end_epoch` replaces it by their mean (`each_epoch`). In evaluation mode nothing
    moves.
    """

    centres_KD: Tensor
    seen_K: Tensor
    sums_KD: Tensor
    counts_K: Tensor

    def __init__(
        self,
        config: CentreConfig,
        *,
        embedding_size: int,
        classes: int,
        class_radius: float,
        d_max: float,
        reduction: Reduction,
    ) -> None:
        super().__init__()
        if not 0 <= class_radius < 1:
            raise ValueError(
                f"class_radius must be in [0, 1), not {class_radius}: lower the overlap."
            )
        self._config, self._reduction = config, reduction
        self._class_radius, self._d_max = class_radius, d_max
        self.register_buffer("centres_KD", torch.zeros(classes, embedding_size))
        # Samples that each class has shown, ever.
        self.register_buffer("seen_K", torch.zeros(classes, dtype=torch.int64))
        if config.each_epoch:
            # Of the samples of the running epoch.
            self.register_buffer("sums_KD", torch.zeros(classes, embedding_size))
            self.register_buffer("counts_K", torch.zeros(classes, dtype=torch.int64))

    def forward(self, embeddings_BD: Tensor, labels_B: Tensor) -> Tensor:
        """Scalar, float32 or wider; no samples give a differentiable zero."""
        wide_BD = at_least_float32(embeddings_BD)
        if len(labels_B) == 0:
            return wide_BD.sum()
        to_centre_BD = wide_BD - self._centres(wide_BD.detach(), labels_B)
        squared_B = to_centre_BD.square().sum(dim=1)
        free = self._class_radius / 2
        if self._config.form == "hinge":
            return (squared_B - free * self._d_max**2).clamp_min(0).mean()
        return barrier(root(squared_B) / self._d_max, edge=free, end=1.0, reduction=self._reduction)

    @torch.no_grad()
    def _centres(self, embeddings_BD: Tensor, labels_B: Tensor) -> Tensor:
        """The centre of each sample's class (B, D); moves the centres afterwards."""
        class_U, place_B = labels_B.unique(return_inverse=True)
        place_U1 = torch.arange(len(class_U), device=labels_B.device)[:, None]
        # In float64, where neither autocast nor the order of a sum makes a difference.
        member_UB = (place_U1 == place_B).double()
        count_U = member_UB.sum(dim=1)
        sum_UD = member_UB @ embeddings_BD.double()
        mean_UD = sum_UD / count_U[:, None]
        old_UD = self.centres_KD[class_U].double()
        new_U1 = (self.seen_K[class_U] == 0)[:, None]
        centre_UD = torch.where(new_U1, mean_UD, old_UD)
        if self.training:
            moved_UD = centre_UD
            if self._config.each_epoch:
                self.sums_KD[class_U] += sum_UD.to(self.sums_KD.dtype)
                self.counts_K[class_U] += count_U.long()
            else:
                moved_UD = centre_UD.lerp(mean_UD, 1 - self._config.momentum)
            self.centres_KD[class_U] = moved_UD.to(self.centres_KD.dtype)
            self.seen_K[class_U] += count_U.long()
        return centre_UD[place_B].to(embeddings_BD.dtype)

    @torch.no_grad()
    def end_epoch(self) -> None:
        """With `each_epoch`, the mean of the epoch becomes the centre of each class it showed."""
        if not self._config.each_epoch:
            return
        shown_K1 = (self.counts_K > 0)[:, None]
        means_KD = self.sums_KD / self.counts_K.clamp_min(1)[:, None]
        self.centres_KD.copy_(torch.where(shown_K1, means_KD, self.centres_KD))
        self.sums_KD.zero_()
        self.counts_K.zero_()
