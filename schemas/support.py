"""Whether what an answer says stands in its evidence: sentence by sentence, and in sum."""

from typing import List, Literal

from docarray import BaseDoc, DocList

from schemas.knowledge import Evidence, Knowledge
from schemas.usage import Allowance, Usage

Verdict = Literal["supported", "partly", "unsupported", "contradicted", "no_claim"]
"""`supported`: its evidence says it; `partly`: its evidence says some of it; `unsupported`: no evidence says it;
`contradicted`: evidence says the opposite; `no_claim`: a heading, a question or a transition, which nothing has to support."""

Citations = Literal["strict", "flag", "off"]
"""What happens to a sentence that no evidence supports: `strict` removes it, `flag` marks it, `off` leaves it unchecked."""


class CheckRequest(BaseDoc):
    """A text and the evidence it may rest on."""

    question: str = ""
    text: str = ""
    """Markdown that cites evidence as `[e1]`."""
    knowledge: DocList[Knowledge] = DocList[Knowledge]()
    evidence: DocList[Evidence] = DocList[Evidence]()
    """Evidence beside that inside `knowledge`."""
    use_model: bool = True
    """False: judge by rules even when a model is configured."""
    allowance: Allowance = Allowance()


class Statement(BaseDoc):
    """A sentence, list item or table row of a text, held against the evidence."""

    start: int = 0
    end: int = 0
    """Span in the text that was checked, in characters, its citations included."""
    text: str = ""
    """The words, without citations and markup."""
    verdict: Verdict = "no_claim"
    score: float = 0.0
    """How much of it its evidence says, 0 to 1."""
    cited: List[str] = []
    """Ids of the evidence that it cites."""
    evidence: List[str] = []
    """Ids of the evidence that says it, best first, cited or not; of what speaks against it when it is contradicted."""
    missing: List[str] = []
    """Numbers, dates, units and names in it that none of its evidence holds."""
    removed: bool = False
    """True in the report of a finished answer: it was taken out, and its span is where it stood."""
    judged_by: Literal["rules", "model"] = "rules"
    reason: str = ""
    """Why it is not supported, in one line."""


class Contradiction(BaseDoc):
    """Two pieces of evidence that disagree about something the text says."""

    statement: int = 0
    """Which statement of the report, counted from 0."""
    supporting: str = ""
    """Id of the evidence that says what the text says."""
    opposing: str = ""
    """Id of the evidence that says otherwise."""
    quote: str = ""
    """The words of the opposing evidence, verbatim."""
    reason: str = ""


class SupportReport(BaseDoc):
    """Every statement of a text with its verdict. Of statements without a claim, the sums say nothing."""

    statements: DocList[Statement] = DocList[Statement]()
    contradictions: DocList[Contradiction] = DocList[Contradiction]()
    supported: int = 0
    partly: int = 0
    unsupported: int = 0
    """Statements that are unsupported or contradicted and still stand in the text."""
    removed: int = 0
    judged_by: Literal["rules", "model"] = "rules"
    """`model` when a model judged at least one statement."""
    usage: Usage = Usage()
