"""A bundle's model as the bytes of an ONNX file.

torch's own exporters take no TorchScript that branches, or want the network's Python: a bundle has
neither. Needs the package onnx.
"""

import operator
from typing import Any, Final

import torch
from onnx import TensorProto, checker, helper
from torch.fx import GraphModule, Node

from contract.bundle import Bundle
from contract.graphs.drawing import Drawing, UnsupportedOperatorError
from contract.graphs.operators import OPERATORS
from contract.graphs.recording import recorded
from contract.torchscript import load_torchscript

INPUT: Final = "crops"
OUTPUT: Final = "embeddings"
OPSET: Final = 18
IR_VERSION: Final = 10


def onnx_graph(bundle: Bundle) -> bytes:
    """Maps `crops`, uint8 (B, H, W, 3) RGB, to `embeddings`, float32 (B, D); B may be anything.

    Pixels and embedding space are inside, weights are float32. Not compared with the model yet:
    parity.py. Raises UnsupportedOperatorError, or what load_torchscript raises.
    """
    line = recorded(load_torchscript(bundle), bundle.manifest.input)
    draw = Drawing()
    output = _drawn(draw, line)
    pixels, size = bundle.manifest.input, bundle.manifest.embedding.size
    crops = helper.make_tensor_value_info(
        INPUT, TensorProto.UINT8, ["B", pixels.height, pixels.width, 3]
    )
    embeddings = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["B", size])
    # The last value has the name of the output.
    draw.nodes.append(helper.make_node("Identity", [output], [OUTPUT]))
    model = helper.make_model(
        helper.make_graph(
            draw.nodes, bundle.manifest.name, [crops], [embeddings], initializer=draw.kept
        ),
        producer_name="oneglance",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    helper.set_model_props(model, {"torchscript_sha256": bundle.sha256})
    checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def _drawn(draw: Drawing, line: GraphModule) -> str:
    """Draws every node, and gives the name of the result."""
    for node in line.graph.nodes:
        if node.op == "placeholder":
            draw.enter(node, INPUT)
        elif node.op == "get_attr":
            draw.enter(node, getattr(line, str(node.target)))
        elif node.op == "output":
            return draw.name(node.args[0])
        elif node.target is operator.getitem:
            # Of several results the first; what another one gives is not drawn.
            if node.args[1] != 0:
                raise UnsupportedOperatorError(f"with a further result of {node.args[0]}")
            draw.enter(node, draw.name(node.args[0]))
        else:
            draw.enter(node, _value(draw, node))
    raise AssertionError("a recording has an output")


def _value(draw: Drawing, node: Node) -> "str | torch.Tensor":
    """What a node computes: at once where that needs no crop, else a name."""
    if all(draw.is_constant(before) for before in node.all_input_nodes):
        return _computed(draw, node)
    # The overload, as in add.Tensor, and in-place variants, as in relu_: all the same here.
    name = str(node.target).split(".")[1].removesuffix("_")
    if name not in OPERATORS:
        raise UnsupportedOperatorError(name)
    try:
        return OPERATORS[name](draw, *node.args, **node.kwargs)
    except TypeError as error:
        raise UnsupportedOperatorError(f"{name} with {node.args} and {node.kwargs}") from error


def _computed(draw: Drawing, node: Node) -> torch.Tensor:
    args, kwargs = torch.fx.map_arg((node.args, node.kwargs), draw.constant)
    target: Any = node.target
    with torch.no_grad():
        result: torch.Tensor = target(*args, **kwargs)
    return result
