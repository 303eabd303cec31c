"""Write the encoder with its heads as one ONNX file with 8-bit matrices.

A matrix has one scale an output column, and what is multiplied with it one scale a row,
that is a token, worked out as it comes. So a text gives the same answer in whatever company it is
read; the usual dynamic quantisation takes one scale for the whole batch, and scales fixed
beforehand cost a small encoder too much (docs/decisions/nlp-onnx.md). The numbers stay within 7
bits: processors without VNNI instructions add up pairs of products in 16 bits and would overflow.

The graph is written by hand, so that what can be done in one pass is: about 40 nodes a layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from transformers import BertConfig, BertModel

from nlp.heads import Heads

Weights = Mapping[str, NDArray[np.float32]]

OPSET = 17
_CONTRIB = "com.microsoft"
_INT8 = "MatMulIntegerToFloat"
MASK = "mask"
_MOST = 63
"""Largest 8-bit weight."""


def write(encoder: BertModel, heads: Heads, path: Path, max_length: int) -> Path:
    """Write `path`: ids and mask (b, t) int64 -> `logits` (b, all labels), `vector` (b, hidden).

    Labels stand in the order of `heads.labels`, one task after another. `vector` is the [CLS]
    state, not normalised.
    """
    weights = {name: value.float().numpy() for name, value in encoder.state_dict().items()}
    graph = _Graph(weights, encoder.config)
    graph.node("Cast", ["attention_mask"], MASK, to=TensorProto.INT32)
    rows, full = _embedded(graph, max_length)
    for layer in range(encoder.config.num_hidden_layers):
        rows = _layer(graph, rows, full, f"encoder.layer.{layer}.")
    _outputs(graph, graph.node("Reshape", [rows, full]), heads)
    onnx.save(graph.model(sum(map(len, heads.labels.values()))), path)
    return path


class _Graph:
    """Nodes and constants as they are added; every node's output is its name."""

    def __init__(self, weights: Weights, config: BertConfig) -> None:
        self.weights, self.config = weights, config
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def node(self, kind: str, inputs: list[str], output: str = "", **options: Any) -> str:
        """Add a node with one output; returns the output's name."""
        output = output or f"{kind}_{len(self._nodes)}"
        domain = _CONTRIB if kind in ("MultiHeadAttention", "BiasGelu", _INT8) else ""
        self._nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **options))
        return output

    def constant(self, name: str, value: Any) -> str:
        """Add a constant; of one name only the first counts."""
        if name not in self._constants:
            made = numpy_helper.from_array(np.array(value, order="C"), name)
            self._constants[name] = made
        return name

    def weight(self, name: str) -> str:
        """A weight of the encoder as it is."""
        return self.constant(name, self.weights[name])

    def norm(self, rows: str, name: str) -> str:
        """LayerNorm over the last axis."""
        epsilon = float(self.config.layer_norm_eps)
        inputs = [rows, self.weight(f"{name}.weight"), self.weight(f"{name}.bias")]
        return self.node("LayerNormalization", inputs, axis=-1, epsilon=epsilon)

    def model(self, labels: int) -> onnx.ModelProto:
        """The whole, checked."""
        of_tokens = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
            for name in ("input_ids", "attention_mask")
        ]
        outputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["texts", width])
            for name, width in (("logits", labels), ("vector", self.config.hidden_size))
        ]
        graph = helper.make_graph(
            self._nodes, "huiyin", of_tokens, outputs, list(self._constants.values())
        )
        sets = [helper.make_opsetid("", OPSET), helper.make_opsetid(_CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=sets, producer_name="huiyin")
        model.ir_version = 9
        onnx.checker.check_model(model)
        return model


def _embedded(graph: _Graph, max_length: int) -> tuple[str, str]:
    """The embeddings as rows (b * t, hidden), and the shape (b, t, hidden)."""
    name = "embeddings.word_embeddings.weight"
    kinds = graph.weights["embeddings.token_type_embeddings.weight"][0]
    words = _looked_up(graph, name, graph.weights[name] + kinds)
    one, two = (graph.constant(f"n{n}", np.array([n], np.int64)) for n in (1, 2))
    width = graph.node("Slice", [graph.node("Shape", ["input_ids"]), one, two])
    nought = graph.constant("n0", np.array([0], np.int64))
    places = "embeddings.position_embeddings.weight"
    table = graph.constant(places, graph.weights[places][:max_length])
    place = graph.node("Slice", [table, nought, width, nought])
    states = graph.norm(graph.node("Add", [words, place]), "embeddings.LayerNorm")
    full = graph.node("Shape", [states])
    hidden = graph.constant("rows", np.array([-1, graph.config.hidden_size], np.int64))
    return graph.node("Reshape", [states, hidden]), full


def _looked_up(graph: _Graph, name: str, table: NDArray[np.float32]) -> str:
    """Rows of the table by `input_ids`; each row has its own scale."""
    scale = np.maximum(np.abs(table).max(1, keepdims=True) / 127, 1e-9).astype(np.float32)
    small = graph.constant(name, np.round(table / scale).astype(np.int8))
    scales = graph.constant(f"{name}.scale", scale)
    found = graph.node("Cast", [graph.node("Gather", [small, "input_ids"])], to=TensorProto.FLOAT)
    return graph.node("Mul", [found, graph.node("Gather", [scales, "input_ids"])])


def _layer(graph: _Graph, rows: str, full: str, name: str) -> str:
    """One layer over rows (b * t, hidden)."""
    prepared = _prepared(graph, rows)
    parts = ("query", "key", "value")
    inputs = [
        graph.node("Reshape", [_product(graph, prepared, f"{name}attention.self.{part}"), full])
        for part in parts
    ]
    biases = [graph.weights[f"{name}attention.self.{part}.bias"] for part in parts]
    bias = graph.constant(f"{name}attention.bias", np.concatenate(biases))
    seen = graph.node(
        "MultiHeadAttention", [*inputs, bias, MASK], num_heads=graph.config.num_attention_heads
    )
    hidden = graph.constant("rows", np.array([-1, graph.config.hidden_size], np.int64))
    seen = graph.node("Reshape", [seen, hidden])
    rows = _added(graph, rows, _prepared(graph, seen), f"{name}attention.output")
    wide = _product(graph, _prepared(graph, rows), f"{name}intermediate.dense")
    wide = graph.node("BiasGelu", [wide, graph.weight(f"{name}intermediate.dense.bias")])
    return _added(graph, rows, _prepared(graph, wide), f"{name}output")


def _added(graph: _Graph, rows: str, prepared: tuple[str, str], name: str) -> str:
    """LayerNorm(rows + dense(prepared))."""
    dense = _product(graph, prepared, f"{name}.dense")
    dense = graph.node("Add", [dense, graph.weight(f"{name}.dense.bias")])
    return graph.norm(graph.node("Add", [dense, rows]), f"{name}.LayerNorm")


def _prepared(graph: _Graph, rows: str) -> tuple[str, str]:
    """Rows (n, width) as what is multiplied: uint8 around 128, and the scale of each row."""
    largest = graph.node("ReduceMax", [graph.node("Abs", [rows])], axes=[-1], keepdims=1)
    largest = graph.node("Max", [largest, graph.constant("least", np.float32(1e-6))])
    scale = graph.node("Mul", [largest, graph.constant("step", np.float32(1 / 127))])
    scaled = graph.node("Mul", [rows, graph.node("Reciprocal", [scale])])
    middle = graph.constant("middle", np.float32(128.5))  # casting cuts, so this rounds
    small = graph.node("Cast", [graph.node("Add", [scaled, middle])], to=TensorProto.UINT8)
    return small, scale


def _product(graph: _Graph, prepared: tuple[str, str], name: str) -> str:
    """Rows times the matrix `name`, without its bias."""
    rows, scale = prepared
    matrix = graph.weights[f"{name}.weight"].T
    steps = np.maximum(np.abs(matrix).max(0) / _MOST, 1e-9).astype(np.float32)
    small = graph.constant(f"{name}.weight", np.round(matrix / steps).astype(np.int8))
    inputs = [
        rows, small, graph.constant("unit", np.float32(1)), graph.constant(f"{name}.steps", steps),
        graph.constant("zero", np.uint8(128)),
    ]  # fmt: skip
    return graph.node("Mul", [graph.node(_INT8, inputs), scale])


def _outputs(graph: _Graph, states: str, heads: Heads) -> None:
    """The [CLS] state; all heads over it and the mean of the states."""
    first, mean = _pooled(graph, states)
    graph.node("Identity", [first], "vector")
    layers = [heads.layers[task] for task in heads.labels]
    weights = [layer.weight.detach().float().numpy() for layer in layers]  # type: ignore[operator]
    biases = [layer.bias.detach().float().numpy() for layer in layers]  # type: ignore[operator]
    joined = graph.node("Concat", [first, mean], axis=-1)
    matrix = graph.constant("heads.weight", np.concatenate(weights))
    bias = graph.constant("heads.bias", np.concatenate(biases))
    graph.node("Gemm", [joined, matrix, bias], "logits", transB=1)


def _pooled(graph: _Graph, states: str) -> tuple[str, str]:
    """[CLS] state and mean over the tokens that are there: (b, hidden) each."""
    nought = graph.constant("n0scalar", np.int64(0))
    first = graph.node("Gather", [states, nought], axis=1)
    there = graph.node("Cast", ["attention_mask"], to=TensorProto.FLOAT)
    last = graph.constant("last", np.array([-1], np.int64))
    axis = graph.constant("n1", np.array([1], np.int64))
    weighed = graph.node("Mul", [states, graph.node("Unsqueeze", [there, last])])
    total = graph.node("ReduceSum", [weighed, axis], keepdims=0)
    count = graph.node("ReduceSum", [there, axis], keepdims=1)
    return first, graph.node("Div", [total, count])
