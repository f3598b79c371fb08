"""Whether a text says what its evidence says: its statements, each judged against the quotes by rules, without a model."""

from providers.support.checking import check
from providers.support.judging import Judgement, judge
from providers.support.segmenting import StatementSpan, statements

__all__ = ["Judgement", "StatementSpan", "check", "judge", "statements"]
