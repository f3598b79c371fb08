"""How well statements are judged by rules, against lexical baselines in the same run. See README.md beside this file."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

from docarray import DocList

from benchmarks.claims.labelled import LABELS, PAIRS, Pair, accuracy, binary, confusion, pairs, score
from executors.evaluator.executor import Evaluator
from providers.lexical import coverage, relevance, terms
from providers.support import judge
from providers.support.language import sentence_language
from schemas.knowledge import Evidence
from schemas.settings import Settings
from schemas.support import CheckRequest

Judge = Callable[[Pair], str]
_AT_ONCE = 8
_RANK = ["contradicted", "unsupported", "partly", "supported"]
# The thresholds of the baselines are the best on the pairs to tune on, by F1 of `supported`.
_THRESHOLDS = [i / 20 for i in range(1, 21)]


def by_rules(pair: Pair) -> str:
    """The verdict of the rules."""
    return judge(pair.statement, pair.quotes).verdict


def covered(pair: Pair) -> float:
    """The share of the statement's content terms that stand in its quotes."""
    return coverage(pair.statement, "\n".join(pair.quotes), sentence_language(pair.statement) or "en")


def bm25(background: list[Pair]) -> Callable[[Pair], float]:
    """BM25 relevance of the quotes to the statement, terms weighed by how rare they are in the quotes of all pairs."""
    quotes = list(dict.fromkeys("\n".join(pair.quotes) for pair in background))

    def scored(pair: Pair) -> float:
        own = "\n".join(pair.quotes)
        return relevance(pair.statement, [own, *quotes], sentence_language(pair.statement) or "en")[0]

    return scored


def above(measure: Callable[[Pair], float], tuning: list[Pair]) -> tuple[float, Judge]:
    """Supported from the threshold on that is best on `tuning`, unsupported below."""

    def f1(threshold: float) -> float:
        found = binary([pair.label for pair in tuning], ["supported" if value >= threshold else "unsupported" for value in values])
        return 2 * found.precision * found.recall / (found.precision + found.recall or 1)

    values = [measure(pair) for pair in tuning]
    best = max(_THRESHOLDS, key=f1)
    return best, lambda pair: "supported" if measure(pair) >= best else "unsupported"


def measured(judged: Judge, wanted: list[Pair]) -> dict[str, object]:
    """Every figure of one way to judge."""
    labels = [pair.label for pair in wanted]
    began = time.perf_counter()
    verdicts = [judged(pair) for pair in wanted]
    seconds = time.perf_counter() - began
    found = binary(labels, verdicts)
    return {
        "accuracy": round(accuracy(labels, verdicts), 3),
        "supported_or_not": {"precision": round(found.precision, 3), "recall": round(found.recall, 3)},
        "labels": {
            label: {"precision": round(one.precision, 3), "recall": round(one.recall, 3)}
            for label in LABELS
            if label in labels
            for one in [score(labels, verdicts, label)]
        },
        "confusion": confusion(labels, verdicts),
        "by_language": _grouped(wanted, verdicts, lambda pair: pair.language),
        "by_kind": _grouped(wanted, verdicts, lambda pair: pair.kind),
        "microseconds": round(seconds / max(1, len(wanted)) * 1e6),
    }


def _grouped(wanted: list[Pair], verdicts: list[str], key: Callable[[Pair], str]) -> dict[str, str]:
    """Verdicts that are right out of all, and how many are right about supported or not, by `key`."""
    found = {}
    for group in dict.fromkeys(key(pair) for pair in wanted):
        inside = [(pair.label, verdict) for pair, verdict in zip(wanted, verdicts, strict=True) if key(pair) == group]
        exact = sum(a == b for a, b in inside)
        either = sum((a == "supported") == (b == "supported") for a, b in inside)
        found[group or "-"] = f"{exact}/{len(inside)} right, {either} as to supported or not"
    return found


def by_model(wanted: list[Pair], settings: Settings) -> Judge:
    """The verdicts of rules and configured model together, as runs use them; all pairs are asked about beforehand."""

    async def judged() -> dict[str, str]:
        evaluator = Evaluator(settings=settings)
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(pair: Pair) -> tuple[str, str]:
            evidence = [Evidence(evidence_id=f"e{n}", page_id=f"p{n}", quote=quote) for n, quote in enumerate(pair.quotes, start=1)]
            text = pair.statement + "".join(f"[{item.evidence_id}]" for item in evidence)
            async with slots:
                report = await evaluator.check(CheckRequest(text=text, evidence=DocList[Evidence](evidence)))
            worst = [statement.verdict for statement in report.statements if statement.verdict != "no_claim"]
            return pair.id, min(worst, key=_RANK.index, default="unsupported")

        try:
            return dict(await asyncio.gather(*map(one, wanted)))
        finally:
            await evaluator.close()

    verdicts = asyncio.run(judged())
    return lambda pair: verdicts[pair.id]


def main() -> None:
    """Print all figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=Path, help="another file of pairs, all of which are measured")
    parser.add_argument("--split", default="held_out", choices=["held_out", "tune", "fresh_held_out", "fresh_tune"])
    parser.add_argument("--wrong", action="store_true", help="only list what the rules judge otherwise than labelled")
    parser.add_argument("--model", action="store_true", help="also with the configured model (LLM_MODEL, OPENAI_BASE_URL …)")
    arguments = parser.parse_args()
    settings = Settings()
    if arguments.model and settings.llm_model is None:
        parser.error("--model needs LLM_MODEL")
    own = sorted(PAIRS.glob("*.jsonl"))
    wanted = pairs([arguments.pairs]) if arguments.pairs else pairs(own, arguments.split)
    if arguments.wrong:
        for pair in wanted:
            judgement = judge(pair.statement, pair.quotes)
            if judgement.verdict != pair.label:
                print(f"{pair.id} ({pair.kind}) is {pair.label}, judged {judgement.verdict} {judgement.score}: {judgement.reason}")
                print(f"    {pair.statement}")
        return
    tuning = pairs(own, "tune")
    coverage_from, by_coverage = above(covered, tuning)
    bm25_from, by_bm25 = above(bm25(tuning), tuning)
    for pair in wanted:
        terms(pair.statement)  # the stemmers are loaded before anything is timed
    report = {
        "pairs": len(wanted),
        "rules": measured(by_rules, wanted),
        f"lexical coverage from {coverage_from}": measured(by_coverage, wanted),
        f"BM25 relevance from {bm25_from}": measured(by_bm25, wanted),
    }
    if arguments.model:
        report[f"rules and {settings.llm_model}"] = measured(by_model(wanted, settings), wanted)
    print(json.dumps(report, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
