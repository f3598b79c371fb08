"""Labelled pairs of a statement and quotes, and how well verdicts agree with their labels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

PAIRS = Path(__file__).parents[2] / "tests" / "providers" / "support" / "pairs"
LABELS = ("supported", "partly", "unsupported", "contradicted")


@dataclass(frozen=True)
class Pair:
    """A statement, the quotes that are its evidence, and what they make of it."""

    id: str
    statement: str
    quotes: tuple[str, ...]
    label: str
    language: str = ""
    kind: str = ""
    split: str = "held_out"


@dataclass(frozen=True)
class Score:
    """How well verdicts agree with labels, 0 to 1; `nan` never: nothing to find counts as 0."""

    precision: float
    recall: float


def pairs(files: Iterable[Path], split: str = "") -> list[Pair]:
    """The pairs of `files` (JSON Lines) in order; only those of `split`, where one is given and a file has splits."""
    found = []
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.strip():
                row = json.loads(line)
                found.append(Pair(**{**row, "id": str(row["id"]), "quotes": tuple(row["quotes"])}))
    return [pair for pair in found if not split or pair.split == split]


def score(labels: Sequence[str], verdicts: Sequence[str], label: str) -> Score:
    """Precision and recall of one label."""
    hits = sum(a == b == label for a, b in zip(labels, verdicts, strict=True))
    return Score(_share(hits, verdicts.count(label)), _share(hits, labels.count(label)))


def binary(labels: Sequence[str], verdicts: Sequence[str]) -> Score:
    """Precision and recall of `supported` against everything else."""
    return score(labels, verdicts, "supported")


def accuracy(labels: Sequence[str], verdicts: Sequence[str]) -> float:
    """The share of verdicts that are the label."""
    return _share(sum(a == b for a, b in zip(labels, verdicts, strict=True)), len(labels))


def confusion(labels: Sequence[str], verdicts: Sequence[str]) -> dict[str, dict[str, int]]:
    """For every label, how often each verdict was given."""
    counts = Counter(zip(labels, verdicts, strict=True))
    return {label: {verdict: counts[label, verdict] for verdict in LABELS} for label in LABELS if label in labels}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
