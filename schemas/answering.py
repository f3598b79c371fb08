"""From knowledge to a draft, from a draft to the finished, cited answer."""

from typing import Literal

from docarray import BaseDoc, DocList

from schemas.knowledge import Evidence, Knowledge
from schemas.research import Message, Reference
from schemas.usage import Allowance, Usage


class ComposeRequest(BaseDoc):
    """A question and all that is known about it."""

    question: str = ""
    messages: DocList[Message] = DocList[Message]()
    language_style: str = ""
    knowledge: DocList[Knowledge] = DocList[Knowledge]()
    allowance: Allowance = Allowance()


class Draft(BaseDoc):
    """Markdown that cites evidence as `[e1]`; empty when the knowledge holds nothing that answers."""

    text: str = ""
    composed_by: Literal["model", "rules"] = "rules"
    usage: Usage = Usage()


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
    use_model: bool = True
    """False: compose by rules even when a model is configured (it failed, or no budget is left)."""
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
    usage: Usage = Usage()
