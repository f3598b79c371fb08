"""Embeddings in process: a BERT model from a folder in the layout of sentence-transformers, without any network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from providers.batched.texts import has_words, sendable
from providers.embedding.base import Embedded, Task, Vectors
from providers.embedding.bert import Bert, Matrix, Shape, Tokens
from providers.embedding.families import family_of
from schemas.errors import ConfigurationError, EmbeddingError
from schemas.settings import Settings

_FILES = ("config.json", "tokenizer.json", "model.safetensors")

_PACK = 2_048
"""Tokens that go through the model together: some 40 MB of memory and half a second on two cores."""

_CHARACTERS_PER_TOKEN = 20
"""Of a text no more than this for each token of the window is looked at; words have about 4."""

_MOST_JSON_BYTES = 100_000_000


class LocalEmbedding:
    """Embeds with the model in the folder EMBEDDING_MODEL: `config.json`, `tokenizer.json` and `model.safetensors`.

    Pooling is what `1_Pooling/config.json` says, the mean or the first token; without that file the mean. A text is cut
    at the model's window (`max_seq_length` of `sentence_bert_config.json`, or all its positions). With late chunking,
    which mean pooling allows, as many consecutive pieces as fit the window are read as one text, and each vector is the
    mean of its piece's tokens.

    The model is loaded when it is first used and runs on one thread, and on those of the linear algebra library (as many
    as there are cores, or OPENBLAS_NUM_THREADS). Nothing is billed, so `max_tokens` has no effect.
    """

    name = "local"

    def __init__(self, settings: Settings) -> None:
        if settings.embedding_model is None:
            raise ConfigurationError("EMBEDDING_MODEL is not set: name a folder with a model", field="EMBEDDING_MODEL")
        missing = [package for package in ("tokenizers", "safetensors") if find_spec(package) is None]
        if missing:
            message = f"EMBEDDING_PROVIDER=local needs {' and '.join(missing)}: pip install -e '.[local-embeddings]'"
            raise ConfigurationError(message, field="EMBEDDING_PROVIDER")
        self._folder = Path(settings.embedding_model).expanduser().absolute()
        lacking = [name for name in _FILES if not (self._folder / name).is_file()]
        if lacking:
            raise _wrong(f"{self._folder} is no folder with a model: it lacks {', '.join(lacking)}")
        self.model = str(self._folder)
        self._family = family_of(self._folder.name)
        self._config = _read_config(self._folder)
        if settings.embedding_dimensions not in (None, self._config.shape.hidden_size):
            message = f"EMBEDDING_DIMENSIONS: the model in {self._folder} has {self._config.shape.hidden_size}"
            raise ConfigurationError(message, field="EMBEDDING_DIMENSIONS")
        self.supports_late_chunking = self._config.mean
        self._timeout_seconds = settings.embedding_timeout_seconds
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedding")
        self._loaded: _Model | None = None

    async def embed(self, texts: Sequence[str], task: Task, *, late_chunking: bool = False, max_tokens: int | None = None) -> Embedded:
        """As the contract in `base.py` says."""
        try:
            return Embedded(await asyncio.wait_for(self._embed(texts, task, late_chunking), self._timeout_seconds))
        except asyncio.TimeoutError:
            raise EmbeddingError(f"the local embedding model took more than {self._timeout_seconds:g} s for {len(texts)} texts") from None

    async def close(self) -> None:
        """Let go of the model; what is being computed comes to its end."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._loaded = None

    async def _embed(self, texts: Sequence[str], task: Task, late_chunking: bool) -> Vectors:
        vectors = np.zeros((len(texts), self._config.shape.hidden_size), dtype=np.float32)
        most = self._config.window * _CHARACTERS_PER_TOKEN
        wanted = {place: sendable(text, most) for place, text in enumerate(texts) if has_words(text[:most])}
        if not wanted:
            return vectors
        loop = asyncio.get_running_loop()
        late = late_chunking and self.supports_late_chunking
        readings = await loop.run_in_executor(self._thread, self._readings, wanted, self._family.prefix(task), late)
        for pack in _packs(readings):
            # One pack at a time, so that calls take turns and one that is given up stops.
            for place, vector in await loop.run_in_executor(self._thread, self._pooled, pack):
                vectors[place] = vector
        return vectors

    # -- in the thread -------------------------------------------------------------------------------------------------

    def _readings(self, texts: dict[int, str], prefix: str, late: bool) -> list[_Reading]:
        if self._loaded is None:
            self._loaded = _Model(self._folder, self._config)
        return self._loaded.windows(texts, prefix) if late else self._loaded.single(texts, prefix)

    def _pooled(self, pack: list[_Reading]) -> list[tuple[int, Vectors]]:
        assert self._loaded is not None
        pooled = []
        for reading, rows in zip(pack, self._loaded.bert.outputs([reading.tokens for reading in pack]), strict=True):
            for place, span in reading.spans.items():
                vector = rows[span].mean(axis=0)
                length = np.linalg.norm(vector)
                if not 0 < length < np.inf:
                    raise EmbeddingError(f"the model in {self._folder} computes no vector: its weights are damaged")
                pooled.append((place, vector / length))
        return pooled


@dataclass(frozen=True)
class _Config:
    """What the folder's JSON files say."""

    shape: Shape
    window: int
    """Most tokens of one text, with the special ones around it."""
    mean: bool


@dataclass(frozen=True)
class _Reading:
    """Tokens that the model reads as one text, and the spans of them that each text's vector is the mean of."""

    tokens: Tokens
    spans: dict[int, slice]


class _Model:
    """The tokenizer and the encoder of a folder. Raises `ConfigurationError` for files that do not hold one."""

    def __init__(self, folder: Path, config: _Config) -> None:
        from tokenizers import Tokenizer  # noqa: PLC0415

        self._config = config
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as failure:  # the package raises nothing more precise
            raise _wrong(f"tokenizer.json of {folder} cannot be read: {failure}") from failure
        if self._tokenizer.get_vocab_size() > config.shape.vocab_size:
            raise _wrong(f"tokenizer.json of {folder} knows more tokens than the model")
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = True  # "[SEP]" in a text is text
        around = self._tokenizer.encode("").ids
        if len(around) != 2:
            raise _wrong(f"tokenizer.json of {folder} does not put one token before a text and one after it")
        self._before, self._after = around
        self.bert = Bert(config.shape, _read_weights(folder, config.shape))

    def single(self, texts: dict[int, str], prefix: str) -> list[_Reading]:
        """Each text for itself."""
        found = []
        for place, text in texts.items():
            tokens = self._framed(self._ids(prefix + text))
            found.append(_Reading(tokens, {place: slice(0, len(tokens) if self._config.mean else 1)}))
        return found

    def windows(self, texts: dict[int, str], prefix: str) -> list[_Reading]:
        """Consecutive texts together, as many as fit the window."""
        head = self._ids(prefix)
        room = self._config.window - 2
        found: list[_Reading] = []
        tokens, spans = list(head), dict[int, slice]()
        for place, text in texts.items():
            ids = self._ids(text)[: room - len(head)]
            if spans and len(tokens) + len(ids) > room:
                found.append(_Reading(self._framed(tokens), spans))
                tokens, spans = list(head), {}
            start = len(tokens) + 1  # after the token before the text
            spans[place] = slice(start, start + len(ids)) if ids else slice(0, 1)
            tokens += ids
        return [*found, _Reading(self._framed(tokens), spans)]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _framed(self, ids: Sequence[int]) -> Tokens:
        return np.array([self._before, *ids[: self._config.window - 2], self._after], dtype=np.int64)


def _packs(readings: Sequence[_Reading]) -> Iterator[list[_Reading]]:
    pack: list[_Reading] = []
    tokens = 0
    for reading in readings:
        if pack and tokens + len(reading.tokens) > _PACK:
            yield pack
            pack, tokens = [], 0
        pack.append(reading)
        tokens += len(reading.tokens)
    yield pack


def _read_config(folder: Path) -> _Config:
    config = _json(folder / "config.json")
    kind = config.get("model_type")
    if kind != "bert":
        raise _wrong(f"{folder} holds a model of type {kind!r}: only BERT models run in process, serve others with EMBEDDING_BASE_URL")
    if config.get("hidden_act") != "gelu" or config.get("position_embedding_type", "absolute") != "absolute":
        raise _wrong(f"{folder} holds a variant of BERT that is not known here: serve it with EMBEDDING_BASE_URL")
    sizes: dict[str, Any] = {}
    for size in fields(Shape):
        value = config.get(size.name, 1e-12 if size.name == "layer_norm_eps" else None)
        if isinstance(value, bool) or not isinstance(value, float if size.type == "float" else int) or value <= 0:
            raise _wrong(f"config.json of {folder} has no {size.name}")
        sizes[size.name] = value
    shape = Shape(**sizes)
    if shape.hidden_size % shape.num_attention_heads:
        raise _wrong(f"config.json of {folder}: hidden_size is no multiple of num_attention_heads")
    pooling = _json(folder / "1_Pooling" / "config.json", {"pooling_mode_mean_tokens": True})
    modes = [name for name, on in pooling.items() if name.startswith("pooling_mode_") and on is True]
    if modes not in (["pooling_mode_mean_tokens"], ["pooling_mode_cls_token"]):
        raise _wrong(f"1_Pooling/config.json of {folder} asks for a pooling that is not known here: {', '.join(modes) or 'none'}")
    longest = _json(folder / "sentence_bert_config.json", {}).get("max_seq_length")
    window = shape.max_position_embeddings
    if isinstance(longest, int) and not isinstance(longest, bool) and longest > 2:
        window = min(window, longest)
    return _Config(shape, window, mean=modes == ["pooling_mode_mean_tokens"])


def _read_weights(folder: Path, shape: Shape) -> dict[str, Matrix]:
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415

    weights: dict[str, Matrix] = {}
    try:
        with safe_open(str(folder / "model.safetensors"), "np") as file:
            names = set(file.keys())
            for name, sizes in shape.weights().items():
                stored = name if name in names else f"bert.{name}"
                if stored not in names:
                    raise _wrong(f"model.safetensors of {folder} lacks {name}")
                part = file.get_slice(stored)
                if part.get_dtype() not in ("F32", "F16") or tuple(part.get_shape()) != sizes:
                    found = f"{part.get_dtype()} {part.get_shape()}"
                    raise _wrong(f"model.safetensors of {folder} holds {name} as {found} instead of F32 or F16 {list(sizes)}")
                weights[name] = file.get_tensor(stored).astype(np.float32, copy=False)
    except (SafetensorError, OSError) as failure:
        raise _wrong(f"model.safetensors of {folder} cannot be read: {failure}") from failure
    return weights


def _json(path: Path, default: dict[str, Any] | None = None) -> dict[str, Any]:
    if default is not None and not path.is_file():
        return default
    try:
        value = json.loads(path.read_bytes()[:_MOST_JSON_BYTES])
    except (ValueError, RecursionError, OSError) as failure:
        raise _wrong(f"{path} cannot be read: {failure}") from failure
    if not isinstance(value, dict):
        raise _wrong(f"{path} does not hold a JSON object")
    return value


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(f"EMBEDDING_MODEL: {message}", field="EMBEDDING_MODEL")
