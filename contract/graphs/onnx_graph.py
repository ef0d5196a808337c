"""A bundle's model as the bytes of an ONNX file.

torch's own exporters take no TorchScript that branches, or want the network's Python: a bundle has
neither. Needs the package onnx.
"""

from typing import Final

from onnx import TensorProto, checker, helper

from contract.bundle import Bundle
from contract.graphs.drawing import Drawing, UnsupportedOperatorError
from contract.graphs.operators import OPERATORS
from contract.graphs.recording import Recording, Step, recorded
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
    draw = Drawing()
    output = _drawn(draw, recorded(load_torchscript(bundle), bundle.manifest.input))
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


def _drawn(draw: Drawing, recording: Recording) -> str:
    """Draws what depends on the crops, and gives the name of the result."""
    draw.enter(recording.crops, INPUT)
    for step in recording.steps:
        if any(draw.depends(tensor) for tensor in step.tensors()):
            draw.enter(step.results[0], _value(draw, step))
            # Of several results only the first is drawn.
            for further in step.results[1:]:
                draw.enter(further, "")
    return draw.name(recording.result)


def _value(draw: Drawing, step: Step) -> str:
    if step.name not in OPERATORS:
        raise UnsupportedOperatorError(step.name)
    try:
        return OPERATORS[step.name](draw, *step.args, **step.kwargs)
    except TypeError as error:
        raise UnsupportedOperatorError(f"{step.name} in a way of its own") from error
