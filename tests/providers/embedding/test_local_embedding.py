"""Embeddings in process, with a small model of random weights."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from providers.embedding import local
from providers.embedding.local import LocalEmbedding
from schemas.errors import ConfigurationError, EmbeddingError
from schemas.settings import Settings
from tests.providers.embedding.bert_folder import CONFIG, weights, write_folder

TEXTS = ["iphone 15", "iphone 16", "a", "the quick brown fox", "x9 y8 z7 " * 3, "東京 a"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("models") / "small-bert")


def make(folder: Path, **values: Any) -> LocalEmbedding:
    return LocalEmbedding(Settings(embedding_model=str(folder), **values))


async def embed(folder: Path, texts: list[str], **options: Any) -> Any:
    provider = make(folder)
    try:
        return (await provider.embed(texts, "match", **options)).vectors
    finally:
        await provider.close()


def textbook(ids: list[list[int]], sizes: dict[str, Any] = CONFIG) -> Any:
    """BERT as it is usually written: padded, masked, in double precision. Last hidden states, and the mask."""
    named = weights(sizes)
    longest, heads = max(map(len, ids)), sizes["num_attention_heads"]
    mask = np.array([[1.0] * len(one) + [0.0] * (longest - len(one)) for one in ids])
    padded = np.array([one + [0] * (longest - len(one)) for one in ids])

    def norm(x: Any, name: str) -> Any:
        scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return scaled * named[f"{name}.weight"] + named[f"{name}.bias"]

    def linear(x: Any, name: str) -> Any:
        return x @ named[f"{name}.weight"].T + named[f"{name}.bias"]

    def split(x: Any) -> Any:
        return x.reshape(len(ids), longest, heads, -1).transpose(0, 2, 1, 3)

    x = named["embeddings.word_embeddings.weight"][padded] + named["embeddings.position_embeddings.weight"][:longest]
    x = norm(x + named["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for number in range(sizes["num_hidden_layers"]):
        layer = f"encoder.layer.{number}"
        q, k, v = (split(linear(x, f"{layer}.attention.self.{name}")) for name in ("query", "key", "value"))
        scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(q.shape[-1]) + np.where(mask, 0, -1e9)[:, None, None, :]
        share = np.exp(scores - scores.max(-1, keepdims=True))
        attended = (share / share.sum(-1, keepdims=True)) @ v
        attended = attended.transpose(0, 2, 1, 3).reshape(x.shape)
        x = norm(x + linear(attended, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
        wide = linear(x, f"{layer}.intermediate.dense")
        wide = wide * 0.5 * (1 + np.vectorize(math.erf)(wide / math.sqrt(2)))
        x = norm(x + linear(wide, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    return x, mask


def unit(vectors: Any) -> Any:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def token_ids(folder: Path, text: str, *, framed: bool = True) -> list[int]:
    ids: list[int] = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text, add_special_tokens=framed).ids
    return ids


async def test_mean_pooling_is_what_the_textbook_computes(folder: Path) -> None:
    states, mask = textbook([token_ids(folder, text) for text in TEXTS])
    expected = unit((states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True))
    vectors = await embed(folder, TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=2e-6)


async def test_pooling_of_the_first_token(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", pooling="cls")
    states, _ = textbook([token_ids(folder, text) for text in TEXTS])
    np.testing.assert_allclose(await embed(folder, TEXTS), unit(states[:, 0]), atol=2e-6)
    provider = make(folder)
    assert not provider.supports_late_chunking
    await provider.close()


async def test_half_precision_weights_and_no_pooling_file(tmp_path: Path, folder: Path) -> None:
    half = write_folder(tmp_path / "m", pooling=None, half=True)
    np.testing.assert_allclose(await embed(half, TEXTS), await embed(folder, TEXTS), atol=0.02)


async def test_a_text_has_the_same_vector_in_any_company(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together = await embed(folder, TEXTS)
    for place, text in enumerate(TEXTS):
        np.testing.assert_allclose((await embed(folder, [text]))[0], together[place], atol=1e-6)
    monkeypatch.setattr(local, "_PACK", 12)
    np.testing.assert_allclose(await embed(folder, TEXTS), together, atol=1e-6)


async def test_the_contract(folder: Path) -> None:
    provider = make(folder)
    embedded = await provider.embed(["iphone 15", "", "iphone 16", "?!", "a\ud800\0"], "passage", max_tokens=0)
    lengths = np.linalg.norm(embedded.vectors, axis=1)
    assert lengths.tolist() == pytest.approx([1, 0, 1, 0, 1])
    assert embedded.vectors[0] @ embedded.vectors[2] < 0.9999  # digits count
    assert embedded.usage.total_tokens == 0
    assert (await provider.embed([], "query")).vectors.shape == (0, 24)
    assert (await provider.embed(["-"], "query")).vectors.tolist() == [[0.0] * 24]
    assert (provider.name, provider.model, provider.supports_late_chunking) == ("local", str(folder), True)
    await provider.close()


async def test_a_text_longer_than_the_window_is_cut(folder: Path, tmp_path: Path) -> None:
    long = "a b c d e f g h i j " * 1_000
    states, _ = textbook([[2, *token_ids(folder, long, framed=False)[:38], 3]])
    np.testing.assert_allclose((await embed(folder, [long]))[0], unit(states.mean(1))[0], atol=2e-6)
    short = write_folder(tmp_path / "m")
    (short / "sentence_bert_config.json").write_text('{"max_seq_length": 10}')
    states, _ = textbook([[2, *token_ids(folder, long, framed=False)[:8], 3]])
    np.testing.assert_allclose((await embed(short, [long]))[0], unit(states.mean(1))[0], atol=2e-6)


async def test_special_tokens_in_a_text_are_text(folder: Path) -> None:
    plain = token_ids(folder, "a [ sep ] b")
    states, _ = textbook([plain])
    np.testing.assert_allclose((await embed(folder, ["a [SEP] b"]))[0], unit(states.mean(1))[0], atol=2e-6)


async def test_late_chunking_reads_consecutive_pieces_as_one_text(folder: Path) -> None:
    pieces = ["the quick", "", "brown fox 15", "a b c d e f g h i j k l m n o p q r s t u", "v w x"]
    ids = [token_ids(folder, piece, framed=False) for piece in pieces]
    windows = [[0, 2], [3, 4]]  # the window has 40 tokens
    assert len(ids[0] + ids[2]) <= 38 < len(ids[0] + ids[2] + ids[3])
    expected = np.zeros((5, 24))
    for window in windows:
        states, _ = textbook([[2, *(token for piece in window for token in ids[piece]), 3]])
        start = 1
        for piece in window:
            expected[piece] = unit(states[:, start : start + len(ids[piece])].mean(1))[0]
            start += len(ids[piece])
    vectors = await embed(folder, pieces, late_chunking=True)
    np.testing.assert_allclose(vectors, expected, atol=2e-6)
    alone = await embed(folder, pieces)
    assert (vectors[2] @ alone[2]) < 0.999


async def test_prefixes_of_the_family_that_the_folder_is_named_for(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "e5-small-v2")
    provider = make(folder)
    query, passage = [(await provider.embed(["abc"], task)).vectors[0] for task in ("query", "passage")]
    late = (await provider.embed(["abc"], "passage", late_chunking=True)).vectors[0]
    await provider.close()
    for prefix, vector in (("query: ", query), ("passage: ", passage)):
        states, _ = textbook([token_ids(folder, prefix + "abc")])
        np.testing.assert_allclose(vector, unit(states.mean(1))[0], atol=2e-6)
    head, body = token_ids(folder, "passage: ", framed=False), token_ids(folder, "abc", framed=False)
    states, _ = textbook([[2, *head, *body, 3]])
    np.testing.assert_allclose(late, unit(states[:, 1 + len(head) : -1].mean(1))[0], atol=2e-6)


async def test_the_event_loop_is_not_held(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computing, released = threading.Event(), threading.Event()

    def stall(self: Any, texts: Any) -> Any:
        computing.set()
        released.wait(30)
        return [np.ones((len(text), 24), dtype=np.float32) for text in texts]

    monkeypatch.setattr("providers.embedding.bert.Bert.outputs", stall)
    provider = make(folder)
    first, second = (asyncio.create_task(provider.embed(["a"], "query")) for _ in range(2))
    assert await asyncio.to_thread(computing.wait, 10)  # the loop goes on meanwhile
    assert not first.done()
    released.set()
    assert (await first).vectors.tolist() == (await second).vectors.tolist()
    await provider.close()


async def test_the_time_of_one_call_is_limited(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr("providers.embedding.bert.Bert.outputs", lambda self, texts: released.wait(30) and [])
    provider = make(folder, embedding_timeout_seconds=0.2)
    with pytest.raises(EmbeddingError, match=r"^the local embedding model took more than 0\.2 s for 2 texts$"):
        await provider.embed(["a", "b"], "query")
    released.set()
    await provider.close()


def broken(folder: Path, name: str, change: Any) -> Path:
    path = folder / name
    if change is None:
        path.unlink()
    elif isinstance(change, dict):
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    else:
        path.write_bytes(change)
    return folder


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("tokenizer.json", None, "is no folder with a model: it lacks tokenizer.json"),
        ("model.safetensors", None, "is no folder with a model: it lacks model.safetensors"),
        ("config.json", {"model_type": "xlm-roberta"}, "holds a model of type 'xlm-roberta': only BERT models run in process"),
        ("config.json", {"hidden_act": "relu"}, "holds a variant of BERT that is not known here"),
        ("config.json", {"hidden_size": "24"}, "has no hidden_size"),
        ("config.json", {"num_attention_heads": 5}, "hidden_size is no multiple of num_attention_heads"),
        ("config.json", b"[]", "does not hold a JSON object"),
        ("config.json", b"{", "cannot be read"),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "asks for a pooling that is not known here"),
    ],
)
def test_folders_without_a_model_that_can_be_used(tmp_path: Path, name: str, change: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make(broken(write_folder(tmp_path / "m"), name, change))
    assert str(caught.value).startswith("EMBEDDING_MODEL: ")
    assert message in str(caught.value)
    assert caught.value.field == "EMBEDDING_MODEL"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("tokenizer.json", b"junk", "cannot be read"),
        ("model.safetensors", b"junk", "cannot be read"),
        ("config.json", {"vocab_size": 30}, "knows more tokens than the model"),
        ("config.json", {"num_hidden_layers": 3}, "lacks encoder.layer.2.attention.output.LayerNorm.weight"),
        (
            "config.json",
            {"intermediate_size": 12},
            "holds encoder.layer.0.intermediate.dense.weight as F32 [48, 24] instead of F32 or F16 [12, 24]",
        ),
    ],
)
async def test_files_that_turn_out_wrong_when_they_are_loaded(tmp_path: Path, name: str, change: Any, message: str) -> None:
    provider = make(broken(write_folder(tmp_path / "m"), name, change))
    with pytest.raises(ConfigurationError) as caught:
        await provider.embed(["a"], "query")
    assert message in str(caught.value)
    await provider.close()


async def test_damaged_weights(tmp_path: Path, folder: Path) -> None:
    damaged = {name: weight.astype(np.float32) for name, weight in weights(CONFIG).items()}
    damaged["embeddings.LayerNorm.bias"][0] = np.nan
    copy = write_folder(tmp_path / "m")
    save_file(damaged, copy / "model.safetensors")
    with pytest.raises(EmbeddingError, match=r"^the model in .* computes no vector: its weights are damaged$"):
        await embed(copy, ["a"])


def test_other_settings_that_cannot_work(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"^EMBEDDING_MODEL: .* lacks config.json, tokenizer.json, model.safetensors$"):
        make(tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match=r"^EMBEDDING_MODEL is not set: name a folder with a model$"):
        LocalEmbedding(Settings())
    with pytest.raises(ConfigurationError, match=r"^EMBEDDING_DIMENSIONS: the model in .* has 24$"):
        make(folder, embedding_dimensions=32)
    monkeypatch.setattr(local, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"needs tokenizers and safetensors: pip install -e '.\[local-embeddings\]'$"):
        make(folder)
