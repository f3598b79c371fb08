"""What the model reports for each criterion, and the verdict that code draws from the report."""

from __future__ import annotations

from pydantic import BaseModel, Field

from schemas.planning import Criterion

_THINK = "The reasons for the verdict, at most 500 characters"


class CriterionOutput(BaseModel):
    """A report on one criterion. `passed` counts only where the report's own figures cannot decide."""

    think: str = Field(description=_THINK)
    passed: bool = Field(description="Whether the answer meets the criterion")

    def verdict(self) -> bool:
        """Whether the answer passes."""
        return self.passed

    def problem(self) -> str | None:
        """What is wrong with the report itself, or None."""
        return None


class DefinitiveOutput(CriterionOutput):
    """Whether the answer commits itself."""


class FreshnessOutput(CriterionOutput):
    """How old the answer's information is, and how old it may be."""

    days_ago: float | None = Field(
        None, allow_inf_nan=False, description="Age in days of the information the answer rests on; null when unknown"
    )
    max_age_days: float | None = Field(
        None, allow_inf_nan=False, description="Most days it may be old, from the table; null when age does not matter"
    )

    def verdict(self) -> bool:
        """Both figures decide; age that does not matter passes; unknown age is the model's judgement."""
        if self.max_age_days is None:
            return True
        return self.passed if self.days_ago is None else self.days_ago <= self.max_age_days

    def problem(self) -> str | None:
        """Ages are never negative."""
        negative = min(self.days_ago or 0, self.max_age_days or 0) < 0
        return "days_ago and max_age_days must not be negative" if negative else None


class PluralityOutput(CriterionOutput):
    """How many items were asked for, and how many are there."""

    minimum_count_required: int = Field(description="From the table")
    actual_count_provided: int = Field(description="Distinct items in the answer")

    def verdict(self) -> bool:
        """The counts decide."""
        return self.actual_count_provided >= self.minimum_count_required

    def problem(self) -> str | None:
        """Counts are never negative."""
        negative = min(self.minimum_count_required, self.actual_count_provided) < 0
        return "minimum_count_required and actual_count_provided must not be negative" if negative else None


class CompletenessOutput(CriterionOutput):
    """Which aspects the question names, and which of them the answer covers."""

    aspects_expected: list[str] = Field(description="Aspects the question names, each in a few words")
    aspects_provided: list[str] = Field(description="Those of aspects_expected that the answer covers, spelled the same")

    def verdict(self) -> bool:
        """Every expected aspect must be among the provided ones; where none is named, the model judges."""
        expected = {_plain(aspect) for aspect in self.aspects_expected} - {""}
        return expected <= {_plain(aspect) for aspect in self.aspects_provided} if expected else self.passed


class StrictOutput(CriterionOutput):
    """An adversarial reviewer's view."""

    improvement_plan: str = Field(description="What would make the answer pass, at most 1000 characters; empty when it passes")


OUTPUTS: dict[Criterion, type[CriterionOutput]] = {
    "definitive": DefinitiveOutput,
    "freshness": FreshnessOutput,
    "plurality": PluralityOutput,
    "completeness": CompletenessOutput,
    "strict": StrictOutput,
}


def _plain(aspect: str) -> str:
    return " ".join(aspect.split()).casefold().strip(" .,;:")
