"""A tree of linear classifiers on frozen sentence vectors: one decision a parent.

The probability of a path is the product of the decisions that lead to it (local classifier per
parent node: Silla & Freitas 2011). Each level has one temperature (Guo et al. 2017).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as File
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from huiyin.errors import ModelError
from nlp.categories.paths import Path

Floats = npt.NDArray[np.float32]
STOP = ""
"""Child that stands for "it belongs to the parent itself"."""
FORMAT = 1
_BROKEN = (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, BadZipFile, zlib.error)
"""What reading a damaged file may raise."""


@dataclass(frozen=True)
class Node:
    """The decision among the children of one path; its rows in the weights are start..stop."""

    parent: Path
    children: tuple[str, ...]
    start: int

    @property
    def rows(self) -> slice:
        """Where its weights lie."""
        return slice(self.start, self.start + len(self.children))


@dataclass(frozen=True)
class Classifier:
    """A fitted tree. `vectors` names the model whose vectors it reads (`vector_space`)."""

    vectors: str
    nodes: tuple[Node, ...]
    weights: Floats
    """(rows, dims)"""
    bias: Floats
    """(rows,)"""
    temperatures: tuple[float, ...]
    """One a level, the main classes first."""
    about: Mapping[str, object] = field(default_factory=dict)
    """Where it comes from and how it was measured; kept beside it as JSON."""

    @property
    def mains(self) -> tuple[str, ...]:
        """The main classes, in the order of the first decision."""
        return self.nodes[0].children

    def paths(self) -> list[Path]:
        """Every path that can be decided, parents before children."""
        return [(*node.parent, child) for node in self.nodes for child in node.children if child]

    def decisions(self, vectors: Floats) -> dict[Path, Floats]:
        """Probabilities (n, children) of each node, by its parent's path, from (n, dims)."""
        logits = vectors @ self.weights.T + self.bias
        return {
            node.parent: softmax(logits[:, node.rows] / self._temperature(len(node.parent)))
            for node in self.nodes
        }

    def _temperature(self, level: int) -> float:
        return self.temperatures[min(level, len(self.temperatures) - 1)]

    def descend(
        self, decisions: Mapping[Path, Floats], row: int, main: str, share: float
    ) -> list[tuple[Path, float]]:
        """The likeliest path below `main`, whose probability is `share`: each prefix with its own.

        Ends at a leaf or where the parent itself is likelier than any child.
        """
        children = self._children
        found: list[tuple[Path, float]] = [((main,), share)]
        while (node := children.get(found[-1][0])) is not None:
            shares = decisions[node.parent][row]
            best = int(shares.argmax())
            if node.children[best] == STOP:
                break
            path, before = found[-1]
            found.append(((*path, node.children[best]), before * float(shares[best])))
        return found

    @property
    def _children(self) -> dict[Path, Node]:
        return {node.parent: node for node in self.nodes}

    def save(self, file: File) -> None:
        """Write one .npz file; weights in float16."""
        said = {
            "format": FORMAT,
            "vectors": self.vectors,
            "nodes": [[list(node.parent), list(node.children)] for node in self.nodes],
            "temperatures": self.temperatures,
            "about": self.about,
        }
        with file.open("wb") as out:
            np.savez_compressed(
                out,
                said=np.frombuffer(json.dumps(said, ensure_ascii=False).encode(), np.uint8),
                weights=self.weights.astype("<f2"),
                bias=self.bias.astype("<f4"),
            )

    @classmethod
    def load(cls, file: File) -> Classifier:
        """Read what `save` wrote. Raises ModelError when it cannot be used."""
        try:
            with np.load(file, allow_pickle=False) as kept:
                said = json.loads(kept["said"].tobytes().decode())
                weights = kept["weights"].astype(np.float32)
                bias = kept["bias"].astype(np.float32)
            if said["format"] != FORMAT:
                raise ValueError(f"format {said['format']}")
            nodes = numbered(
                [(tuple(parent), tuple(children)) for parent, children in said["nodes"]]
            )
            rows = nodes[-1].rows.stop
            if weights.shape[0] != rows or bias.shape != (rows,):
                raise ValueError("weights do not fit the tree")
        except _BROKEN as error:
            raise ModelError(
                f"分类文件 {file} 无法读取：{error}", "重新运行 huiyin train categories"
            ) from error
        return cls(
            said["vectors"], nodes, weights, bias, tuple(said["temperatures"]), said["about"]
        )


def numbered(decisions: Sequence[tuple[Path, tuple[str, ...]]]) -> tuple[Node, ...]:
    """Nodes of (parent, children) with their places in the weights, in the given order."""
    nodes, start = [], 0
    for parent, children in decisions:
        nodes.append(Node(parent, children, start))
        start += len(children)
    return tuple(nodes)


def softmax(values: Floats) -> Floats:
    """Probabilities (n, k) of logits (n, k)."""
    scaled = np.exp(values - values.max(1, keepdims=True))
    shares: Floats = scaled / scaled.sum(1, keepdims=True)
    return shares


def vector_space(model: str) -> str:
    """The model id without its precision: bfloat16 and float32 vectors may be compared."""
    for suffix in ("-bf16", "-fp32", "-int8"):
        model = model.replace(suffix, "")
    return model
