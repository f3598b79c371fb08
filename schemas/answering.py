"""From knowledge to a draft, from a draft to the finished, cited answer."""

from typing import List, Literal

from docarray import BaseDoc, DocList

from schemas.knowledge import Evidence, Knowledge
from schemas.research import Message, Reference, ResearchAnswer
from schemas.support import Citations, SupportReport
from schemas.usage import Allowance, Usage


class ComposeRequest(BaseDoc):
    """A question and all that is known about it."""

    question: str = ""
    messages: DocList[Message] = DocList[Message]()
    language_style: str = ""
    knowledge: DocList[Knowledge] = DocList[Knowledge]()
    allow_guess: bool = False
    """True: where the knowledge holds no answer, the model may answer from memory."""
    allowance: Allowance = Allowance()


class Draft(BaseDoc):
    """Markdown that cites evidence as `[e1]`; empty when the knowledge holds nothing that answers."""

    text: str = ""
    composed_by: Literal["model", "rules"] = "rules"
    guessed: bool = False
    """True: it is from the model's memory, without evidence."""
    error: str = ""
    """Why a model could not write it, or not to its end. Never instead of a text."""
    usage: Usage = Usage()


class ReviseRequest(BaseDoc):
    """A draft to be put right: statements that its evidence does not support, or its language and form."""

    question: str = ""
    draft: str = ""
    messages: DocList[Message] = DocList[Message]()
    language_style: str = ""
    knowledge: DocList[Knowledge] = DocList[Knowledge]()
    support: SupportReport = SupportReport()
    """The verdicts on the draft."""
    polish: bool = False
    """True: the whole text is to read better too, without a claim more."""
    allowance: Allowance = Allowance()


class ReducePart(BaseDoc):
    """The answer to one of several sub-problems."""

    question: str = ""
    text: str = ""
    """Markdown that cites evidence as `[e1]`."""


class ReduceRequest(BaseDoc):
    """Answers to sub-problems, to be merged into one to the question."""

    question: str = ""
    parts: DocList[ReducePart] = DocList[ReducePart]()
    messages: DocList[Message] = DocList[Message]()
    language_style: str = ""
    knowledge: DocList[Knowledge] = DocList[Knowledge]()
    allowance: Allowance = Allowance()


class StructureRequest(BaseDoc):
    """A finished answer that is wanted as JSON too."""

    question: str = ""
    text: str = ""
    json_schema: str = ""
    """JSON Schema, as text; its root is an object."""
    allowance: Allowance = Allowance()


class StructuredAnswer(BaseDoc):
    """The same answer as JSON."""

    json_text: str = ""
    """Fits the schema."""
    usage: Usage = Usage()


class FinalizeRequest(BaseDoc):
    """A draft to finish; when it is empty the answer is first composed from the knowledge, the best that it allows."""

    question: str = ""
    draft: str = ""
    messages: DocList[Message] = DocList[Message]()
    language_style: str = ""
    knowledge: DocList[Knowledge] = DocList[Knowledge]()
    evidence: DocList[Evidence] = DocList[Evidence]()
    """Everything that may be cited. Evidence inside `knowledge` counts too."""
    max_references: int = 10
    support: SupportReport = SupportReport()
    """The verdicts on the draft; what they find unsupported is dealt with as `citations` says."""
    citations: Citations = "strict"
    queries: List[str] = []
    """What was searched for; told when there is no answer."""
    language_code: str = "en"
    """Language of what is said when there is no answer."""
    partial: bool = False
    """True: more of the draft is to come; where nothing of it stays, the text is empty and nothing is put in its place."""
    done_characters: int = 0
    """Characters of the finished text that were given out before; deltas begin there. For a draft that grows."""
    allowance: Allowance = Allowance()


class FinalizeChunk(BaseDoc):
    """A piece of the answer as it is written; the last one has `done` and everything."""

    delta: str = ""
    done: bool = False
    text: str = ""
    """done: the whole answer with `[^n]` markers."""
    references: DocList[Reference] = DocList[Reference]()
    composed_by: Literal["model", "rules", "draft"] = "draft"
    error: str = ""
    """done: why a model could not write it, when the rules had to. Never instead of an answer."""
    abstained: bool = False
    """done: nothing that was read answers, and the text says so."""
    support: SupportReport = SupportReport()
    """done: the verdict on every statement of the finished text; its spans are in `text`."""
    usage: Usage = Usage()


class ExportRequest(BaseDoc):
    """A finished answer, and the format it is wanted in."""

    answer: ResearchAnswer
    format: Literal["markdown", "html", "text", "pdf", "docx"] = "markdown"


class Export(BaseDoc):
    """A finished answer as a file."""

    content: str = ""
    """The file in base64."""
    media_type: str = ""
    name: str = ""
    """A name for the file, with its ending."""
