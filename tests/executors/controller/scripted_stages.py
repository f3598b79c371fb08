"""Stages that answer as a test tells them to, and keep what they were asked."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any

from docarray import BaseDoc, DocList

from schemas.answering import Draft, FinalizeChunk, FinalizeRequest, ReduceRequest, ReviseRequest
from schemas.evaluation import Analysis, Evaluation
from schemas.planning import Clustering, CodeResult, DecideRequest, Decision, DecomposeRequest, Decomposition, Rewriting, Understanding
from schemas.ranking import DedupeRequest, DedupeResponse, RankedUrl, Ranking, RankRequest
from schemas.reading import IllustrateRequest, Illustration, Page, Passage, ReadRequest, ReadResponse, RelatedImage
from schemas.reporting import Digest, DigestRequest, Outline, OutlineRequest, Section, SectionRequest, Synthesis, SynthesizeRequest
from schemas.research import Reference
from schemas.search import SearchRequest, SearchResponse, SearchResult
from schemas.support import CheckRequest, Statement, SupportReport
from schemas.usage import Usage

Answer = BaseDoc | Exception | Callable[[Any], Any]


def results(*urls: str) -> SearchResponse:
    """A search response with one result per URL."""
    found = [SearchResult(url=url, title=f"title of {url}", snippet=f"snippet of {url}") for url in urls]
    return SearchResponse(results=DocList[SearchResult](found), usage=Usage(searches=1))


def page(url: str, text: str = "The answer is 42.") -> ReadResponse:
    """A page whose whole text is one passage."""
    passage = Passage(text=text, start=0, end=len(text), score=1.0)
    return ReadResponse(
        page=Page(page_id=f"page-{url}", url=url, title=f"title of {url}", text=text),
        passages=DocList[Passage]([passage]),
        usage=Usage(pages=1),
    )


class ScriptedStages:
    """Implements `Stages`. `script[kind]` is a list of answers used up in order; then the default of the kind answers."""

    def __init__(self, **script: list[Answer]) -> None:
        self.script = defaultdict(list, script)
        self.requests: list[tuple[str, BaseDoc]] = []
        self.cancelled: list[str] = []

    def of(self, kind: str) -> list[Any]:
        """What was asked of one endpoint, in order."""
        return [request for asked, request in self.requests if asked == kind]

    async def call(self, endpoint: str, request: BaseDoc, returns: type[BaseDoc], *, timeout: float) -> Any:
        kind = endpoint.strip("/")
        self.requests.append((kind, request))
        answer = self.script[kind].pop(0) if self.script[kind] else getattr(self, f"_{kind}")
        try:
            answer = answer(request) if callable(answer) and not isinstance(answer, BaseDoc) else answer
            if asyncio.iscoroutine(answer):
                answer = await answer
        except asyncio.CancelledError:
            self.cancelled.append(kind)
            raise
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, returns), (kind, answer)
        return answer

    async def stream(self, endpoint: str, request: BaseDoc, returns: type[BaseDoc], *, timeout: float) -> AsyncIterator[Any]:
        self.requests.append(("finalize", request))
        answer = self.script["finalize"].pop(0) if self.script["finalize"] else self._finalize
        if isinstance(answer, Exception):
            raise answer
        for chunk in answer(request):
            yield chunk

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        pass

    def _understand(self, request: Any) -> Understanding:
        return Understanding(language_style="formal English", criteria=["definitive", "strict"], mode="model", model="scripted")

    def _decide(self, request: DecideRequest) -> Decision:
        if "visit" in request.allowed_actions and request.urls:
            return Decision(action="visit", urls=[request.urls[0].url])
        if "answer" in request.allowed_actions and request.knowledge:
            return Decision(action="answer", answer="It is 42 [e1].")
        if "search" in request.allowed_actions:
            return Decision(action="search", queries=[f"query {len(request.queries)}"])
        return Decision(action=request.allowed_actions[0], questions=["and why?"], code_issue="6 * 7")

    def _rank(self, request: RankRequest) -> Ranking:
        urls = [RankedUrl(url=c.url, title=c.title, description=c.description, score=1.0) for c in request.candidates][: request.limit]
        return Ranking(urls=DocList[RankedUrl](urls), candidates=len(request.candidates))

    def _dedupe(self, request: DedupeRequest) -> DedupeResponse:
        return DedupeResponse(texts=[text for text in request.texts if text not in request.existing])

    def _search(self, request: SearchRequest) -> SearchResponse:
        found = results(*(f"https://{query.text.replace(' ', '-')}.test/page" for query in request.queries))
        for query, result in zip(request.queries, found.results, strict=True):
            result.query = query.text
        found.usage = Usage(searches=len(request.queries))
        return found

    def _rewrite(self, request: Any) -> Rewriting:
        return Rewriting()

    def _cluster(self, request: Any) -> Clustering:
        return Clustering()

    def _read(self, request: ReadRequest) -> ReadResponse:
        return page(request.url)

    def _code(self, request: Any) -> CodeResult:
        return CodeResult(output="42", source_code="return 6 * 7", attempts=1)

    def _compose(self, request: Any) -> Draft:
        return Draft(text="Composed [e1].")

    def _evaluate(self, request: Any) -> Evaluation:
        return Evaluation(passed=True, judged_by="model")

    def _check(self, request: CheckRequest) -> SupportReport:
        cited = [e.evidence_id for item in request.knowledge for e in item.evidence if f"[{e.evidence_id}]" in request.text]
        statement = Statement(
            end=len(request.text), text=request.text, verdict="supported" if cited else "no_claim", cited=cited, evidence=cited
        )
        return SupportReport(statements=DocList[Statement]([statement]), supported=1 if cited else 0)

    def _revise(self, request: ReviseRequest) -> Draft:
        return Draft(text=request.draft, composed_by="model")

    def _decompose(self, request: DecomposeRequest) -> Decomposition:
        return Decomposition(questions=[f"{request.question} Part {n}" for n in range(1, request.team_size + 1)], decided_by="model")

    def _reduce(self, request: ReduceRequest) -> Draft:
        return Draft(text="\n\n".join(part.text for part in request.parts), composed_by="model")

    def _digest(self, request: DigestRequest) -> Digest:
        return Digest(url=request.url, title=request.title, findings=[f"{e.quote} [{e.evidence_id}]" for e in request.evidence])

    def _synthesize(self, request: SynthesizeRequest) -> Synthesis:
        return Synthesis(agreements=[finding for digest in request.digests for finding in digest.findings][:1])

    def _outline(self, request: OutlineRequest) -> Outline:
        sections = [Section(heading=f"Section {n}", evidence=["e1"], words=100) for n in (1, 2, 3)]
        return Outline(title="The report", sections=DocList[Section](sections))

    def _section(self, request: SectionRequest) -> Draft:
        return Draft(text=f"## {request.outline.sections[request.number].heading}\n\nIt is 42 [e1].", composed_by="model")

    def _illustrate(self, request: IllustrateRequest) -> Illustration:
        images = [RelatedImage(url=image.url, text=image.text, score=1.0) for image in request.images]
        return Illustration(images=DocList[RelatedImage](images))

    def _analyze(self, request: Any) -> Analysis:
        return Analysis(recap="recap", blame="blame", improvement="improvement")

    def _finalize(self, request: FinalizeRequest) -> list[FinalizeChunk]:
        text = request.draft.replace("[e1]", "[^1]") or "The best there is [^1]."
        evidence = [e for item in request.knowledge for e in item.evidence]
        references = [
            Reference(number=1, evidence_id=e.evidence_id, page_id=e.page_id, url=e.url, quote=e.quote, end=e.end) for e in evidence[:1]
        ]
        final = FinalizeChunk(
            done=True,
            text=text,
            references=DocList[Reference](references),
            composed_by="draft" if request.draft else "rules",
            abstained=not request.draft and not evidence,
        )
        return [FinalizeChunk(delta=text), final]
