"""The BERT encoder (Devlin et al. 2018) on numpy, in single precision.

Texts are not padded: the tokens of all texts are rows of one matrix for everything but attention, which each text has
to itself. So nothing is computed for padding, and no attention mask is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Tokens = npt.NDArray[np.int64]

_ROWS = 32
"""Rows of the widest layer that stay in the processor's cache while GELU goes over them."""

# erf by formula 7.1.26 of Abramowitz and Stegun, Handbook of Mathematical Functions; its error is below 1.5e-7.
_ERF_P = np.float32(0.3275911)
_ERF_A = tuple(np.float32(a) for a in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592))


@dataclass(frozen=True)
class Shape:
    """The sizes of a model, under their names in its `config.json`."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    layer_norm_eps: float

    def weights(self) -> dict[str, tuple[int, ...]]:
        """The names of all weights that are used, and their shapes."""
        hidden, wide = self.hidden_size, self.intermediate_size
        named: dict[str, tuple[int, ...]] = {
            "embeddings.word_embeddings.weight": (self.vocab_size, hidden),
            "embeddings.position_embeddings.weight": (self.max_position_embeddings, hidden),
            "embeddings.token_type_embeddings.weight": (2, hidden),
        }
        norms = ["embeddings.LayerNorm"]
        layers: dict[str, tuple[int, int]] = {}
        for number in range(self.num_hidden_layers):
            layer = f"encoder.layer.{number}"
            norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
            layers |= {f"{layer}.attention.{name}": (hidden, hidden) for name in ("self.query", "self.key", "self.value", "output.dense")}
            layers |= {f"{layer}.intermediate.dense": (wide, hidden), f"{layer}.output.dense": (hidden, wide)}
        named |= {f"{name}.{part}": (hidden,) for name in norms for part in ("weight", "bias")}
        named |= {f"{name}.weight": shape for name, shape in layers.items()}
        return named | {f"{name}.bias": shape[:1] for name, shape in layers.items()}


class Bert:
    """An encoder of the given shape, with the weights that `Shape.weights` names."""

    def __init__(self, shape: Shape, weights: Mapping[str, Matrix]) -> None:
        self._shape = shape
        self._weights = weights

    def outputs(self, texts: Sequence[Tokens]) -> list[Matrix]:
        """The last hidden states of each text, one row for each of its tokens. No text may be longer than the positions."""
        ends = np.cumsum([len(text) for text in texts])
        spans = [slice(end - len(text), end) for text, end in zip(texts, ends, strict=True)]
        rows = self._embeddings(texts)
        for number in range(self._shape.num_hidden_layers):
            layer = f"encoder.layer.{number}"
            rows += self._linear(self._attention(rows, spans, layer), f"{layer}.attention.output.dense")
            self._normalise(rows, f"{layer}.attention.output.LayerNorm")
            wide = self._linear(rows, f"{layer}.intermediate.dense")
            _gelu(wide)
            rows += self._linear(wide, f"{layer}.output.dense")
            self._normalise(rows, f"{layer}.output.LayerNorm")
        return [rows[span] for span in spans]

    def _embeddings(self, texts: Sequence[Tokens]) -> Matrix:
        rows: Matrix = self._weights["embeddings.word_embeddings.weight"][np.concatenate(texts)]
        rows += self._weights["embeddings.position_embeddings.weight"][np.concatenate([np.arange(len(text)) for text in texts])]
        rows += self._weights["embeddings.token_type_embeddings.weight"][0]
        self._normalise(rows, "embeddings.LayerNorm")
        return rows

    def _attention(self, rows: Matrix, spans: Sequence[slice], layer: str) -> Matrix:
        heads = self._shape.num_attention_heads
        size = self._shape.hidden_size // heads
        query, key, value = (
            self._linear(rows, f"{layer}.attention.self.{name}").reshape(len(rows), heads, size).transpose(1, 0, 2)
            for name in ("query", "key", "value")
        )
        query *= np.float32(size**-0.5)
        attended = np.empty_like(rows)
        for span in spans:
            weights = query[:, span] @ key[:, span].transpose(0, 2, 1)
            weights -= weights.max(axis=-1, keepdims=True)
            np.exp(weights, out=weights)
            weights /= weights.sum(axis=-1, keepdims=True)
            attended[span] = (weights @ value[:, span]).transpose(1, 0, 2).reshape(-1, rows.shape[1])
        return attended

    def _linear(self, rows: Matrix, name: str) -> Matrix:
        result: Matrix = rows @ self._weights[f"{name}.weight"].T
        result += self._weights[f"{name}.bias"]
        return result

    def _normalise(self, rows: Matrix, name: str) -> None:
        """Layer normalisation, in place."""
        rows -= rows.mean(axis=1, keepdims=True)
        variance = np.einsum("ij,ij->i", rows, rows) / np.float32(rows.shape[1])
        rows *= (1 / np.sqrt(variance + np.float32(self._shape.layer_norm_eps)))[:, None]
        rows *= self._weights[f"{name}.weight"]
        rows += self._weights[f"{name}.bias"]


def _gelu(rows: Matrix) -> None:
    """x times the normal distribution's share below x, in place."""
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        size = np.abs(part)
        size *= np.float32(0.5**0.5)
        inverse = size * _ERF_P
        inverse += 1
        np.reciprocal(inverse, out=inverse)
        tail = inverse * _ERF_A[0]
        for coefficient in _ERF_A[1:]:
            tail += coefficient
            tail *= inverse
        size *= -size
        np.exp(size, out=size)
        tail *= size
        tail *= np.float32(0.5)  # the share beyond |x|
        part *= np.where(part < 0, tail, 1 - tail)
