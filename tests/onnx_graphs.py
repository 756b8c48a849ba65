"""ONNX graphs for tests, made node by node, and onnxruntime as the judge of what they compute."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from dtdsym.network.onnx.read import read_onnx

NEWEST = 24  # the last that onnxruntime runs


def node(kind, *inputs, to="y", **attributes):
    """A node with one output."""
    return helper.make_node(kind, list(inputs), [to], name=f"the {kind}", **attributes)


def model(nodes, shape, constants=(), *, opset=13, kind=TensorProto.FLOAT, output="y"):
    """A model of one input `x` and one output. constants: name -> array."""
    for number, entry in enumerate(nodes):  # onnxruntime wants different names
        if any(entry.name == other.name for other in nodes[:number]):
            entry.name = f"{entry.name} {number}"
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in dict(constants).items()]
    first = helper.make_tensor_value_info("x", kind, shape)
    last = onnx.ValueInfoProto(name=output, type=onnx.TypeProto(tensor_type=onnx.TypeProto.Tensor(elem_type=kind)))
    graph = helper.make_graph(nodes, "graph", [first], [last], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def read(given, folder=None):
    """The network of a model or of bytes."""
    return read_onnx(given if isinstance(given, bytes) else given.SerializeToString(), folder)


def run(given, x):
    """What onnxruntime computes, flat, without its optimisations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    data = given if isinstance(given, bytes) else given.SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def differences(given, seed=0, batch=1, dtype=np.float32):
    """(exact - computed, scale) for each output at one random input; every sample of the batch is evaluated alone."""
    network = read(given)
    x = np.random.default_rng(seed).normal(size=(batch, *network.input_shape)).astype(dtype)
    computed = run(given, x).reshape(batch, -1)
    exact = np.array([[float(value) for value in network(row.ravel().tolist())] for row in x])
    assert exact.shape == computed.shape
    return np.abs(exact - computed).max(), 1 + np.abs(exact).max()
