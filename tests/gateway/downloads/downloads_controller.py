"""A controller that knows a few runs: with an answer, under way, failed, and one whose page is hostile."""

from docarray import DocList
from jina import Executor, requests

from schemas.errors import RunNotFound
from schemas.research import Reference, ResearchAnswer, RunQuery, RunReport, RunSummary

REFERENCE = Reference(number=1, url="https://a.org/snow", title="Snow", quote="Snow is frozen water.", read_at="2026-01-31T00:00:00Z")
HOSTILE = Reference(number=1, url="javascript:alert(1)", title="<script>alert(1)</script>", quote="</q><script>alert(2)</script>")


def _answer(run_id: str, question: str, reference: Reference) -> ResearchAnswer:
    references = DocList[Reference]([reference])
    return ResearchAnswer(
        run_id=run_id, question=question, text="Snow is **frozen** water [^1].", references=references, stop_reason="answered", mode="model"
    )


ANSWERS = {
    "done": _answer("done", "What is snow?", REFERENCE),
    "chinese": _answer("chinese", "雪是什么？", REFERENCE),
    "hostile": _answer("hostile", 'x"\r\nSet-Cookie: a=b', HOSTILE),
}
STATES = {"running": "running", "failed": "failed", **dict.fromkeys(ANSWERS, "finished")}


class DownloadsController(Executor):
    """Only what a download asks of a controller."""

    @requests(on="/run")
    async def run(self, doc: RunQuery, **kwargs) -> RunReport:
        if doc.run_id not in STATES:
            raise RunNotFound(f"no run {doc.run_id!r}", field="run_id")
        message = "the model failed" if doc.run_id == "failed" else ""
        return RunReport(run=RunSummary(run_id=doc.run_id, state=STATES[doc.run_id]), answer=ANSWERS.get(doc.run_id), message=message)
