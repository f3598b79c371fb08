"""Embedding through a service over HTTP: which texts are sent, and where their vectors belong."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from providers.batched.bill import Bill
from providers.batched.service import Service, ask
from providers.batched.texts import has_words, sendable
from providers.embedding.base import Embedded, Vectors

_ANY_WORD = "word"
"""What is embedded to learn the dimensions of a model."""

Divide = Callable[[Sequence[str]], list[list[str]]]
"""From the texts that are sent to the batches they are sent in, in the same order."""


async def embed_remotely(
    service: Service[Vectors],
    texts: Sequence[str],
    divide: Divide,
    *,
    prefix: str,
    characters: int,
    dimensions: int | None,
    max_tokens: int | None,
) -> Embedded:
    """A vector for every text; `prefix` goes before each that is sent, and each is cut to `characters`.

    Texts without any word get zeros and are not sent. There are as many zeros as the vectors of the others have numbers, or else
    `dimensions`; when those are not known yet (None), one word is embedded to learn them, because the zeros may meet the vectors of
    another call. Errors as in the contract of an embedding provider.
    """
    places = [place for place, text in enumerate(texts) if has_words(text[:characters])]
    if not places and (dimensions is not None or not texts):
        return Embedded(np.zeros((len(texts), dimensions or 0), dtype=np.float32))
    bill = Bill(max_tokens)
    asked = [sendable(texts[place], characters) for place in places] or [_ANY_WORD]
    found = await ask(service, divide([prefix + text for text in asked]), bill)
    lengths = sorted({len(vector) for vector in found})
    if len(lengths) > 1:
        message = f"{service.endpoint.service} sent vectors of {' and '.join(map(str, lengths[:2]))} dimensions for one call"
        raise service.endpoint.error(message, usage=bill.spent)
    vectors = np.zeros((len(texts), lengths[0]), dtype=np.float32)
    if places:
        vectors[places] = found
    return Embedded(vectors, bill.spent)
