"""A small BERT model with random weights, as a folder in the layout of sentence-transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

CONFIG = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_size": 24,
    "intermediate_size": 48,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 40,
    "num_attention_heads": 3,
    "num_hidden_layers": 2,
    "vocab_size": 96,
}
_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[", "]", "cls", "sep", ":", *"abcdefghijklmnopqrstuvwxyz0123456789"]


def write_folder(folder: Path, *, pooling: str | None = "mean", config: dict[str, Any] | None = None, half: bool = False) -> Path:
    """The model, always the same for the same `config`; `pooling` of None leaves its file out, `half` stores float16."""
    sizes = {**CONFIG, **(config or {})}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(sizes))
    if pooling is not None:
        (folder / "1_Pooling").mkdir(exist_ok=True)
        modes = {f"pooling_mode_{mode}": mode == pooling for mode in ("cls_token", "mean_tokens", "max_tokens")}
        modes["pooling_mode_mean_tokens"] |= pooling == "mean"
        modes["pooling_mode_cls_token"] |= pooling == "cls"
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(modes))
    vocabulary = {word: number for number, word in enumerate([*_WORDS, *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz0123456789")])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file(
        {name: weight.astype(np.float16 if half else np.float32) for name, weight in weights(sizes).items()}, folder / "model.safetensors"
    )
    return folder


def weights(sizes: dict[str, Any]) -> dict[str, Any]:
    """Random weights under the names of the BERT checkpoints."""
    random = np.random.default_rng(7)
    hidden, wide = sizes["hidden_size"], sizes["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (sizes["vocab_size"], hidden),
        "embeddings.position_embeddings.weight": (sizes["max_position_embeddings"], hidden),
        "embeddings.token_type_embeddings.weight": (2, hidden),
        "embeddings.LayerNorm.weight": (hidden,),
        "embeddings.LayerNorm.bias": (hidden,),
    }
    for number in range(sizes["num_hidden_layers"]):
        layer = f"encoder.layer.{number}"
        linear = {f"attention.{name}": (hidden, hidden) for name in ("self.query", "self.key", "self.value", "output.dense")}
        linear |= {"intermediate.dense": (wide, hidden), "output.dense": (hidden, wide)}
        for name, shape in linear.items():
            shapes |= {f"{layer}.{name}.weight": shape, f"{layer}.{name}.bias": shape[:1]}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{layer}.{name}.weight": (hidden,), f"{layer}.{name}.bias": (hidden,)}
    return {name: random.normal(1.0 if name.endswith("LayerNorm.weight") else 0.0, 0.4, shape) for name, shape in shapes.items()}
