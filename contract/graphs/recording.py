"""A bundle's model as a straight line of operators, as a crop goes through it.

TorchScript has branches and loops, of which a bundle takes one way each: they are gone here.
"""

import torch
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from contract.manifest import InputSpec

# Not 1, which broadcasts where another batch would not.
RECORDED_BATCH = 2


def recorded(model: torch.jit.ScriptModule, pixels: InputSpec) -> GraphModule:
    """What `model`, on the CPU in evaluation mode, does to a batch of RECORDED_BATCH crops.

    Nothing is computed: shapes and kinds of numbers go through. Each node's are in meta["val"].
    """
    crops_BHW3 = torch.zeros((RECORDED_BATCH, pixels.height, pixels.width, 3), dtype=torch.uint8)
    with torch.no_grad():
        record = make_fx(
            lambda crops: model(crops), tracing_mode="fake", _allow_non_fake_inputs=True
        )
        line: GraphModule = record(crops_BHW3)
    line.graph.eliminate_dead_code()
    return line
