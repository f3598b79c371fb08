"""How well questions to the project's own documentation are answered, and how often no answer is said to be none."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from benchmarks.answers.questions import DOCUMENTS, Evidence, Question, overlap, questions
from deepsearch.local import LocalDeepSearch
from executors.controller.run import replay
from providers.lexical import coverage, language_of, relevance
from schemas.research import ResearchRequest
from schemas.settings import Settings, get_settings


@dataclass(frozen=True)
class Answered:
    """What came of one question."""

    question: Question
    text: str
    abstained: bool
    """No answer was given."""
    read: bool = False
    """A page that holds the evidence was read."""
    in_ledger: bool = False
    """The evidence itself was kept."""
    cited: bool = False
    """The evidence is quoted in a reference."""
    seconds: float = 0.0
    score: float = 0.0

    @property
    def words_found(self) -> float:
        """The share of the words that an answer must have."""
        found = [word.casefold() in self.text.casefold() for word in self.question.words]
        return sum(found) / len(found) if found else 0.0


async def ask(wanted: Sequence[Question], settings: Settings) -> list[Answered]:
    """Each question as a run of its own, one after the other."""
    found = []
    async with LocalDeepSearch(settings) as local:
        for question in wanted:
            began = time.perf_counter()
            answer = await local.ask(ResearchRequest(question=question.question, no_direct_answer=True, search_provider="local"))
            seconds = time.perf_counter() - began
            state = replay(await local.journal.events(answer.run_id))
            ledger = [(piece.url, piece.quote) for item in state.knowledge for piece in item.evidence]
            cited = [(reference.url, reference.quote) for reference in answer.references]
            found.append(
                Answered(
                    question,
                    answer.text,
                    abstained=answer.stop_reason == "no_evidence",
                    read=any(is_of(url, one) for url in answer.read_urls for one in question.evidence),
                    in_ledger=any(is_of(url, one) and overlap(quote, one.quote) for url, quote in ledger for one in question.evidence),
                    cited=any(is_of(url, one) and overlap(quote, one.quote) for url, quote in cited for one in question.evidence),
                    seconds=seconds,
                )
            )
    return found


def is_of(url: str, evidence: Evidence) -> bool:
    """Whether the URL is that of the document the evidence is from."""
    return unquote(url).rpartition("/")[2] == evidence.document


def passages() -> list[tuple[str, str]]:
    """The paragraphs of all documents with the names of these; tables are cut into rows."""
    found = []
    for path in sorted(DOCUMENTS.glob("*.md")):
        for block in path.read_text("utf-8").split("\n\n"):
            parts = block.split("\n") if block.lstrip().startswith("|") else [block]
            found += [(path.name, part) for part in parts if part.strip() and not part.startswith("#")]
    return found


def best_passages(wanted: Sequence[Question]) -> list[Answered]:
    """The baseline: the passage that BM25 puts first is the answer; its score is the share of the question's words in it."""
    ledger = passages()
    texts = [text for _, text in ledger]
    found = []
    for question in wanted:
        began = time.perf_counter()
        code = language_of(question.question)
        scores = relevance(question.question, texts, code)
        document, text = ledger[max(range(len(scores)), key=scores.__getitem__)]
        score = coverage(question.question, text, code)
        right = any(document == one.document and overlap(text, one.quote) for one in question.evidence)
        read = any(document == one.document for one in question.evidence)
        seconds = time.perf_counter() - began
        found.append(Answered(question, text, False, read=read, in_ledger=right, cited=right, seconds=seconds, score=score))
    return found


def above(threshold: float) -> Callable[[Answered], Answered]:
    """No answer where the score is below the threshold."""

    def cut(one: Answered) -> Answered:
        if one.score >= threshold:
            return one
        return Answered(one.question, "", True, read=one.read, in_ledger=one.in_ledger, seconds=one.seconds, score=one.score)

    return cut


def best_threshold(tuning: Sequence[Answered]) -> float:
    """The threshold with the most questions that are either answered with the right words or rightly not answered."""

    def right(threshold: float) -> int:
        cut = map(above(threshold), tuning)
        return sum(one.abstained if not one.question.answerable else one.words_found == 1 for one in cut)

    return max((step / 20 for step in range(21)), key=right)


def measured(found: Sequence[Answered]) -> dict[str, float]:
    """Every figure, as shares of 1 and seconds."""
    answerable = [one for one in found if one.question.answerable]
    unanswerable = [one for one in found if not one.question.answerable]
    abstained = [one for one in found if one.abstained]
    rightly = sum(not one.question.answerable for one in abstained)

    def share(count: float, of: Sequence[Answered]) -> float:
        return round(count / len(of), 3) if of else 0.0

    return {
        "evidence page read": share(sum(one.read for one in answerable), answerable),
        "evidence in ledger": share(sum(one.in_ledger for one in answerable), answerable),
        "evidence cited": share(sum(one.cited for one in answerable), answerable),
        "answer words found": share(sum(one.words_found for one in answerable), answerable),
        "abstention precision": share(rightly, abstained),
        "abstention recall": share(rightly, unanswerable),
        "seconds per question": round(statistics.median(one.seconds for one in found), 3) if found else 0.0,
    }


def extractive(home: Path) -> Settings:
    """No model, no key, nothing but the documents, whatever the environment says."""
    unset: dict[str, Any] = {name: None for name, field in Settings.model_fields.items() if field.default is None}
    nothing: dict[str, Any] = {"embedding_provider": "none", "rerank_provider": "none", "use_duckduckgo": False}
    return Settings(_env_file=None, **{**unset, **nothing, "deepsearch_home": home, "deepsearch_corpus": DOCUMENTS})


def configured(home: Path) -> Settings:
    """The model of the environment over the documents."""
    settings = get_settings()
    if settings.llm_model is None:
        raise SystemExit("no language model is configured: set LLM_MODEL")
    return settings.model_copy(update={"deepsearch_home": home, "deepsearch_corpus": DOCUMENTS, "use_duckduckgo": False})


def main(arguments: Sequence[str] | None = None) -> None:
    """Print all figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="store_true", help="answer with the configured model (LLM_MODEL)")
    parser.add_argument("--split", default="all", choices=["all", "tune", "held_out"])
    parser.add_argument("--most", type=int, help="ask only so many questions, evenly spread")
    parser.add_argument("--wrong", action="store_true", help="also list the questions that were answered wrongly")
    options = parser.parse_args(arguments)
    wanted = questions(options.split)
    if options.most:
        wanted = [wanted[number * len(wanted) // options.most] for number in range(min(options.most, len(wanted)))]
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(ask(wanted, (configured if options.model else extractive)(Path(folder))))
    threshold = best_threshold(best_passages(questions("tune")))
    baseline = list(map(above(threshold), best_passages(wanted)))
    report: dict[str, object] = {
        "questions": len(wanted),
        "unanswerable": sum(not one.question.answerable for one in found),
        "with the model" if options.model else "extractive": measured(found),
        f"BM25, from {threshold:.2f} of the question's words on": measured(baseline),
    }
    if options.wrong:
        report["wrong"] = [told(one) for one in found if is_wrong(one)]
    print(json.dumps(report, indent=1, ensure_ascii=False))


def is_wrong(one: Answered) -> bool:
    """Whether an answer is missing, lacks a word that it must have, or should not be there."""
    return one.abstained == one.question.answerable or (one.question.answerable and one.words_found < 1)


def told(one: Answered) -> dict[str, object]:
    """A question that was answered wrongly, in short."""
    what = {"read": one.read, "in ledger": one.in_ledger, "cited": one.cited, "abstained": one.abstained}
    return {"id": one.question.id, "question": one.question.question, **what, "answer": one.text[:300]}


if __name__ == "__main__":
    main()
