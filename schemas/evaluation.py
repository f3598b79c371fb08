"""Answers held against criteria, and why one failed."""

from typing import List, Optional

from docarray import BaseDoc, DocList

from schemas.knowledge import DiaryEntry, Knowledge
from schemas.planning import Criterion
from schemas.support import SupportReport
from schemas.usage import Allowance, Usage


class EvaluateRequest(BaseDoc):
    """An answer and the criteria it must pass; of those that fail, the first in this order is the verdict."""

    question: str = ""
    answer: str = ""
    """Markdown that cites evidence as `[e1]`."""
    criteria: List[Criterion] = []
    knowledge: DocList[Knowledge] = DocList[Knowledge]()
    date: str = ""
    """Today, ISO 8601, UTC."""
    language_style: str = ""
    allowance: Allowance = Allowance()


class Evaluation(BaseDoc):
    """The verdict."""

    passed: bool
    failed_criterion: Optional[Criterion] = None
    think: str = ""
    """The reasoning behind the verdict."""
    improvement_plan: str = ""
    """strict only: what would make the answer pass."""
    support: Optional[SupportReport] = None
    """attribution only: the verdict on every statement of the answer."""
    judged_by: str = "rules"
    """`model` or `rules`."""
    usage: Usage = Usage()


class AnalyzeRequest(BaseDoc):
    """A run's steps up to a rejected answer."""

    question: str = ""
    diary: DocList[DiaryEntry] = DocList[DiaryEntry]()
    language_style: str = ""
    allowance: Allowance = Allowance()


class Analysis(BaseDoc):
    """What went wrong, each part at most 500 characters."""

    recap: str = ""
    blame: str = ""
    improvement: str = ""
    usage: Usage = Usage()
