"""The weights of an ONNX model in sixteen bits: half the file, while it computes in float32 as before."""

from typing import Any

WEIGHTS_OF = ("Conv", "ConvTranspose", "Gemm", "MatMul")  # whose second input is the weights
LARGEST = 65504.0  # that sixteen bits hold


def halve_weights(model: Any) -> None:
    """Each layer's weights (an onnx.ModelProto's, in place) become float16 with a Cast behind them.

    Weights that were float16 before stay as they are. What holds larger numbers than float16 does is left alone.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    names = {node.input[1] for node in graph.node if node.op_type in WEIGHTS_OF}
    casts = []
    for weights in graph.initializer:
        values = numpy_helper.to_array(weights)
        if weights.name not in names or values.dtype != "float32" or abs(values).max(initial=0) > LARGEST:
            continue
        name = weights.name
        weights.CopyFrom(numpy_helper.from_array(values.astype("float16"), f"{name} in 16 bits"))
        casts.append(helper.make_node("Cast", [weights.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
