"""Class loss: cross entropy of a linear layer on the scaled embedding.

    L_class = mean(-log softmax(W^T * s * y + b)[label])

Where we differ from the research code: it puts BatchNorm1d before the layer and averages the loss
over the classes too, which makes it K times smaller; ours is the slides' layer with the usual cross
entropy.

Shapes: B batch, D embedding size, K classes.
"""

from torch import Tensor, nn


def class_layer(embedding_size: int, classes: int) -> nn.Linear:
    """The layer that only training needs: Xavier-uniform weights (K, D), biases 0."""
    layer = nn.Linear(embedding_size, classes)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def class_loss(
    layer: nn.Linear, embeddings_BD: Tensor, labels_B: Tensor, class_scale: float
) -> Tensor:
    """Scalar. labels_B: int64 in [0, K). class_scale: s. No samples give a differentiable zero."""
    if len(labels_B) == 0:
        return embeddings_BD.sum()
    return nn.functional.cross_entropy(layer(class_scale * embeddings_BD), labels_B)
