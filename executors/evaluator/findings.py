"""Findings: single sentences that end with the evidence they rest on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import regex

from executors.evaluator.checking import ClaimCheck
from executors.evaluator.figures import missing_figures
from providers.citations import MARKER, cited_ids
from schemas.knowledge import Evidence
from schemas.support import Statement
from schemas.usage import Allowance, Usage

_MARKER = regex.compile(rf"\s*{MARKER}")
_MOST_CHARACTERS = 600


def plain(finding: str) -> str:
    """The words of a finding, in one line, without its citations."""
    return " ".join(_MARKER.sub("", finding).split())


def finding(text: str, known: Collection[str], least: int = 1) -> str | None:
    """`text` as a finding in one line that cites `known` evidence only; None when it cites too little, says nothing, or is too long.

    `least` is how many different ids it must cite.
    """

    def known_only(marker: regex.Match[str]) -> str:
        cited = "".join(f"[{key}]" for key in cited_ids(marker.group(), known))
        space = marker.group()[: len(marker.group()) - len(marker.group().lstrip())]
        return f"{space}{cited}" if cited else ""

    line = " ".join(_MARKER.sub(known_only, text).split()).lstrip("-*• ")
    words = plain(line)
    fits = len(cited_ids(line, known)) >= least and any(map(str.isalnum, words)) and len(words) <= _MOST_CHARACTERS
    return line if fits else None


async def supported(
    findings: Sequence[str], question: str, evidence: Mapping[str, Evidence], check: ClaimCheck, allowance: Allowance
) -> tuple[list[str], Usage]:
    """Those of `findings` that the claim check finds supported, at least in part and with every figure; and its usage.

    A model is asked only about what the rules do not find supported.
    """
    text = ""
    ends: list[int] = []
    for line in findings:
        text += f"- {line}\n"
        ends.append(len(text))
    report = await check.report(question, text, evidence, allowance, _may_be_raised, contradictions=False)
    kept = []
    for line, start, end in zip(findings, [0, *ends], ends, strict=False):
        claims = [found for found in report.statements if start <= found.start < end and found.verdict != "no_claim"]
        stands = claims and all(claim.verdict in ("supported", "partly") for claim in claims)
        if stands and not missing_figures(plain(line), [evidence[key].quote for key in cited_ids(line, evidence)]):
            kept.append(line)
    return kept, report.usage


def _may_be_raised(claim: Statement) -> bool:
    return claim.verdict in ("unsupported", "partly")
