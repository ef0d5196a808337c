"""An ONNX graph of crops to embeddings, by onnxruntime or OpenVINO on the CPU.

Either package is imported where it is used: each is an extra. What they give back is safe to call
from threads. Shapes: B batch, D embedding size.
"""

import threading
from typing import Any, Final, Literal

import numpy as np

from contract.errors import OneGlanceError
from service.parity import Embed, Embeddings, Pixels

GraphRuntime = Literal["onnxruntime", "openvino"]

EXTRAS: Final[dict[GraphRuntime, str]] = {"onnxruntime": "onnx", "openvino": "openvino"}


def open_session(runtime: GraphRuntime, graph: bytes, *, threads: int) -> Embed:
    """What computes `graph`: uint8 (B, H, W, 3) to float32 (B, D), B at least 1.

    threads: that call it at a time; a call computes on one core. Raises OneGlanceError where the
    package is not installed.
    """
    opened = _onnxruntime if runtime == "onnxruntime" else _openvino
    try:
        return opened(graph, threads)
    except ImportError as error:
        raise missing_package(runtime, error) from error


def missing_package(runtime: GraphRuntime, error: ImportError) -> OneGlanceError:
    """What to say of a package that cannot be imported."""
    return OneGlanceError(
        f"embedder_runtime {runtime} needs the package {error.name}: "
        f"pip install 'oneglance[{EXTRAS[runtime]}]', or take embedder_runtime torchscript."
    )


def _onnxruntime(graph: bytes, _threads: int) -> Embed:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # It computes on the thread that calls.
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    crops = session.get_inputs()[0].name

    def embed(crops_BHW3: Pixels) -> Embeddings:
        found: Embeddings = session.run(None, {crops: crops_BHW3})[0]
        return found

    return embed


def _openvino(graph: bytes, threads: int) -> Embed:
    from service.openvino_package import import_openvino

    openvino = import_openvino()
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(graph),
        "CPU",
        {
            # A stream of one core for each thread that calls; the system says on which.
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
            "ENABLE_CPU_PINNING": False,
            # It takes bfloat16 by itself where the processor has it.
            "INFERENCE_PRECISION_HINT": "f32",
        },
    )
    # A request keeps the numbers of one call: each thread has its own.
    own: Any = threading.local()

    def embed(crops_BHW3: Pixels) -> Embeddings:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        found = own.request.infer([crops_BHW3], share_inputs=True)[0]
        return np.array(found, dtype=np.float32)

    return embed
