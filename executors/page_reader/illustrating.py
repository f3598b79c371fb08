"""Which images of the pages that were read show what an answer speaks of."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass

import regex
from docarray import DocList

from providers.embedding.base import Vectors
from providers.embedding.images import IMAGE_TOKENS, ImageEmbeddingProvider
from providers.lexical import content_terms, language_of, relevance, terms
from providers.reader.blocks import blocks
from providers.reader.pictures import Picture, PictureReader
from schemas.errors import BudgetExceeded, EmbeddingError
from schemas.reading import IllustrateRequest, Illustration, RelatedImage
from schemas.usage import Usage

_PASSAGE_CHARACTERS = 40
_MOST_PASSAGES = 60
_MOST_OF_A_PASSAGE = 2
# Images whose captions are compared: more than a run collects on the pages that it reads.
_MOST_CAPTIONS = 2_000
# A caption belongs to a passage that has this share of its terms, and two of them: one shared word is chance.
_LEAST_COVERAGE = 0.25
_LEAST_TERMS = 2
# By embeddings: an image and a text are never as alike as two texts are.
_LEAST_SIMILARITY = 0.25
_SAME_PICTURE = 0.86
# What fetching may take of the time, when images are embedded after it and when they are not.
_FETCHING_SHARE = {True: 0.6, False: 0.9}

_BY_CAPTIONS = "images were compared by their captions alone"
_MARKER = regex.compile(r"\[\^?\w{1,20}\]:?")
_TARGET = regex.compile(r"\]\([^()\s]{0,2000}\)")
_MARKS = str.maketrans("", "", "*#|>`[]")
_DEFINITION = regex.compile(r"\[\^\w{1,20}\]:")


@dataclass(frozen=True)
class _Passage:
    """A span of the answer, and what it says without marks."""

    start: int
    end: int
    text: str


Scores = list[tuple[float, int]]
"""How well an image fits passages of the answer, 0 to 1, and the places of these passages; only those that it fits at all."""


async def illustrate(request: IllustrateRequest, pictures: PictureReader, embedding: ImageEmbeddingProvider | None) -> Illustration:
    """The images that fit passages of the answer, best first: each once, at most two to a passage.

    With `embedding` they are compared by what they show, otherwise, and when that fails, by their captions.
    """
    deadline = time.monotonic() + request.timeout_seconds
    passages = _passages_of(request.text)
    images = list(request.images)[:_MOST_CAPTIONS]
    if not passages or not images:
        return Illustration()
    texts = [passage.text for passage in passages]
    by_caption = _caption_scores({image.text for image in images}, texts, language_of(request.text))
    images.sort(key=lambda image: -max(by_caption[image.text], default=(0.0, 0))[0])
    errors: list[str] = []
    usage = Usage()
    affordable = (request.allowance.tokens - embedding.cost_of(texts)) // IMAGE_TOKENS if embedding is not None else 0
    if affordable < 1:
        images = [image for image in images if by_caption[image.text]]
        if embedding is not None:
            errors.append(f"{_BY_CAPTIONS}: comparing what they show costs more than the {request.allowance.tokens} tokens left")
    found, failures = await pictures.read(images, request.timeout_seconds * _FETCHING_SHARE[affordable > 0])
    errors += failures
    scores = [by_caption[picture.image.text] for picture in found]
    if embedding is not None and affordable > 0 and found:
        if len(found) > affordable:
            left_out = len(found) - affordable
            named = "an image was" if left_out == 1 else f"{left_out} images were"
            errors.append(f"{named} left out: comparing more costs more tokens than are left")
            found, scores = found[:affordable], scores[:affordable]
        try:
            embedded = await embedding.embed(
                [picture.measured.copy for picture in found],
                texts,
                max_tokens=request.allowance.tokens,
                seconds=deadline - time.monotonic(),
            )
            scores = _sight_scores(embedded.vectors[: len(found)], embedded.vectors[len(found) :])
            usage = embedded.usage
        except (EmbeddingError, BudgetExceeded) as error:
            errors.append(f"{_BY_CAPTIONS}: {error}")
            usage = error.usage
    return Illustration(images=DocList[RelatedImage](_chosen(found, scores, passages, request.most)), errors=errors, usage=usage)


def _passages_of(text: str) -> list[_Passage]:
    """The paragraphs, tables and lines of lists of an answer that are long enough to be about something; no sources, no code."""
    spans = []
    for block in blocks(text):
        if block.kind in ("paragraph", "table"):
            spans.append((block.start, block.end))
        elif block.kind == "list":
            lines = regex.finditer(r"[^\n]+", text[block.start : block.end])
            spans += [(block.start + line.start(), block.start + line.end()) for line in lines]
    plain = [_Passage(start, end, _plain(text[start:end])) for start, end in spans if not _DEFINITION.match(text[start:end].lstrip())]
    return [passage for passage in plain if len(passage.text) >= _PASSAGE_CHARACTERS][:_MOST_PASSAGES]


def _plain(markdown: str) -> str:
    return " ".join(_MARKER.sub(" ", _TARGET.sub("]", markdown)).translate(_MARKS).split())


def _caption_scores(captions: Set[str], passages: Sequence[str], language_code: str) -> dict[str, Scores]:
    """For each caption the passages that share enough of its terms: half coverage, half relevance among the passages."""
    present = [set(terms(passage, language_code)) for passage in passages]
    found: dict[str, Scores] = {}
    for caption in captions:
        wanted = set(content_terms(caption, language_code))
        shared = [len(wanted & one) for one in present]
        found[caption] = []
        if max(shared) >= _LEAST_TERMS:
            relevant = relevance(caption, passages, language_code)
            found[caption] = [
                ((share + relevant[i]) / 2, i)
                for i, count in enumerate(shared)
                if count >= _LEAST_TERMS and (share := count / len(wanted)) >= _LEAST_COVERAGE
            ]
    return found


def _sight_scores(images: Vectors, texts: Vectors) -> list[Scores]:
    """For each image the passages that are like it; for one that is nearly the same as a better one, none."""
    similarities = images @ texts.T
    scores: list[Scores] = [[] for _ in images]
    kept: list[int] = []
    for i in sorted(range(len(images)), key=lambda i: -float(similarities[i].max())):
        if all(float(images[i] @ images[other]) < _SAME_PICTURE for other in kept):
            kept.append(i)
            scores[i] = [(min(1.0, float(one)), j) for j, one in enumerate(similarities[i]) if one >= _LEAST_SIMILARITY]
    return scores


def _chosen(pictures: Sequence[Picture], scores: Sequence[Scores], passages: Sequence[_Passage], most: int) -> list[RelatedImage]:
    """Greedily the best pair of what is left."""
    pairs = sorted((-score, i, passage) for i, of_picture in enumerate(scores) for score, passage in of_picture)
    chosen: dict[int, RelatedImage] = {}
    taken: Counter[int] = Counter()
    for score, i, place in pairs:
        if len(chosen) == most:
            break
        if i in chosen or taken[place] == _MOST_OF_A_PASSAGE:
            continue
        taken[place] += 1
        image, measured = pictures[i].image, pictures[i].measured
        chosen[i] = RelatedImage(
            url=image.url,
            page_url=image.page_url,
            text=image.text,
            width=measured.width,
            height=measured.height,
            score=-score,
            start=passages[place].start,
            end=passages[place].end,
        )
    return list(chosen.values())
