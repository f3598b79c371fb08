"""The plan of a report: its sections, what each rests on, and how long each is to be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate, pairwise

from docarray import DocList
from pydantic import BaseModel, Field

from executors.query_planner.findings import Finding, findings_of, grouped, heading_of
from executors.query_planner.fitting import prompt_tokens
from executors.query_planner.keywords import one_line
from executors.query_planner.languages import answer_language, language_name
from executors.query_planner.section_names import SECTION_NAMES
from executors.query_planner.wanted_words import wanted_words
from providers.lexical import SURE, identify
from providers.llm.base import ChatModel, Prompt
from providers.llm.prompts import PromptFile
from schemas.errors import InvalidRequest, ModelOutputInvalid
from schemas.reporting import Outline, OutlineRequest, Section
from schemas.settings import Settings

LEAST_SECTIONS = 2
MOST_SECTIONS = 12
# A section of fewer words is a paragraph.
_WORDS_PER_SECTION = 60
_TITLE_CHARACTERS = 200
_HEADING_CHARACTERS = 120
_BRIEF_CHARACTERS = 500
_TURNS = 6
_TURN_CHARACTERS = 2_000
_NOTES = 50
# How many findings of each page a prompt may have; the next number is tried when it would be too long.
_FINDINGS_PER_PAGE = (50, 8, 4, 2, 1)
# Headings are a few words: between these, even a sure verdict may be wrong.
_RELATIVES = ({"no", "da", "sv"}, {"id", "ms"}, {"cs", "sk"}, {"hr", "sr", "sl"}, {"bg", "mk", "sr", "ru", "uk"}, {"pt", "es", "ca", "it"})


class SectionOutput(BaseModel):
    """One section, as the model plans it."""

    heading: str = Field(description="Its subject in a few words, at most 120 characters")
    brief: str = Field(description="What it is to tell, one or two sentences, at most 500 characters")
    evidence: list[str] = Field(description="Ids of the evidence it rests on, such as e3")
    words: int = Field(0, description="Its length in words")


class OutlineOutput(BaseModel):
    """The model's plan."""

    think: str = Field(description="Why the report is divided this way, at most 500 characters")
    title: str = Field(description="Title of the report, at most 200 characters")
    sections: list[SectionOutput] = Field(description="2 to 12 sections in reading order")


async def outline(request: OutlineRequest, model: ChatModel | None, prompts: Mapping[str, PromptFile], settings: Settings) -> Outline:
    """Plan a report of 2 to 12 sections; their words sum to the length that was asked for, and are 0 when none was.

    When the model's output stays invalid, the rules' plan replaces it, usage kept. Raises `InvalidRequest` without a question or
    without anything found, and whatever else the model raises.
    """
    if not request.question.strip():
        raise InvalidRequest("question is empty: say what the report is about", field="question")
    found = findings_of(request)
    if not found:
        raise InvalidRequest("digests and evidence are empty: nothing was found that a report could tell", field="digests")
    words = request.words or wanted_words(request.question) or 0
    most = min(MOST_SECTIONS, max(LEAST_SECTIONS, words // _WORDS_PER_SECTION)) if words else MOST_SECTIONS
    language, sure = answer_language(request.language_style, request.question)
    language_said = language_name(language) if sure else "the question's"
    if model is None:
        return _by_rules(request, found, language, words, most)
    real = {evidence.evidence_id for evidence in request.evidence}

    def problem(output: OutlineOutput) -> str | None:
        sections = _usable(output.sections, real)
        if not LEAST_SECTIONS <= len(sections) <= most:
            return f"there are {len(sections)} sections with different headings; give {LEAST_SECTIONS} to {most}"
        return _wrong_language(". ".join([output.title, *(section.heading for section in sections)]), language) if sure else None

    def render(findings: Sequence[Finding]) -> Prompt:
        turns = [(turn.role, turn.content[:_TURN_CHARACTERS]) for turn in request.messages[-_TURNS:]]
        notes = {name: getattr(request.synthesis, name)[:_NOTES] for name in ("agreements", "conflicts", "gaps")}
        return prompts["outline"].render(
            request=request, turns=turns, notes=notes, findings=findings, words=words, most=most, language=language_said
        )

    tokens = prompt_tokens(request.allowance, settings.llm_context_tokens, settings.llm_max_output_tokens)
    try:
        generated = await model.generate(
            "planner", _fitting(render, found, tokens, model.count_tokens), OutlineOutput, request.allowance, check=problem
        )
    except ModelOutputInvalid as error:
        planned = _by_rules(request, found, language, words, most)
        planned.usage = error.usage
        return planned
    sections = _usable(generated.value.sections, real)
    _allot(sections, [section.words for section in sections], words)
    title = one_line(generated.value.title, _TITLE_CHARACTERS) or one_line(request.question, _TITLE_CHARACTERS)
    return Outline(title=title, sections=DocList[Section](sections), usage=generated.usage)


def _usable(sections: Iterable[SectionOutput], real: set[str]) -> list[Section]:
    """The sections with a heading, cut to the limits, with real evidence only; those of the same heading become one."""
    kept: dict[str, Section] = {}
    for section in sections:
        heading = one_line(section.heading.lstrip("# "), _HEADING_CHARACTERS)
        ids = [found for name in section.evidence if (found := name.strip("[] ")) in real]
        if not heading:
            continue
        known = kept.setdefault(heading.casefold(), Section(heading=heading))
        known.brief = one_line(f"{known.brief} {section.brief}", _BRIEF_CHARACTERS)
        known.evidence = list(dict.fromkeys([*known.evidence, *ids]))
        known.words += max(0, section.words)
    return list(kept.values())


def _wrong_language(headings: str, wanted: str) -> str | None:
    found, certainty = identify(headings)
    alike = found == wanted[:2] or any({found, wanted[:2]} <= relatives for relatives in _RELATIVES)
    if certainty < SURE or alike:
        return None
    return f"title and headings are in {language_name(found)}; write them in {language_name(wanted)}"


def _allot(sections: Sequence[Section], weights: Sequence[float], words: int) -> None:
    """Share `words` among the sections by weight, so that they sum to it; the least weight counts as a quarter of the mean one."""
    least = sum(weights) / len(weights) / 4 or 1
    ends = list(accumulate(max(weight, least) for weight in weights))
    bounds = [0, *(round(words * end / ends[-1]) for end in ends)]
    for section, (start, end) in zip(sections, pairwise(bounds), strict=True):
        section.words = end - start


def _fitting(render: Callable[[Sequence[Finding]], Prompt], found: Sequence[Finding], tokens: int, count: Callable[[str], int]) -> Prompt:
    """The prompt with as many findings of every page as `tokens` permit, and then of as many pages."""
    shown: Sequence[Finding] = found
    for most in _FINDINGS_PER_PAGE:
        seen: dict[str, int] = {}
        shown = []
        for finding in found:
            seen[finding.url] = seen.get(finding.url, 0) + 1
            if seen[finding.url] <= most:
                shown.append(finding)
        prompt = render(shown)
        if count(prompt.system) + count(prompt.user) <= tokens:
            return prompt
    while len(shown) > 1:
        shown = shown[: len(shown) // 2]
        prompt = render(shown)
        if count(prompt.system) + count(prompt.user) <= tokens:
            break
    return prompt


def _by_rules(request: OutlineRequest, found: Sequence[Finding], language: str, words: int, most: int) -> Outline:
    """First the answer in short, then a section for each group of findings that are alike, last what is still open."""
    short, still_open = SECTION_NAMES.get(language) or SECTION_NAMES.get(language[:2]) or SECTION_NAMES["en"]
    gaps = [gap for gap in request.synthesis.gaps if gap.strip()]
    groups = grouped(found, request.question, language, max(1, most - 1 - bool(gaps)))
    outputs = [SectionOutput(heading=short, brief=request.question, evidence=[i for group in groups for i in group[0].evidence[:1]])]
    for group in groups:
        ids = [found_id for finding in group for found_id in finding.evidence]
        brief = " ".join(finding.text for finding in group[:2])
        heading = heading_of(group, request.question, language)
        if heading.casefold() in ("", short.casefold(), still_open.casefold()):
            heading = one_line(request.question, _HEADING_CHARACTERS)
        outputs.append(SectionOutput(heading=heading, brief=brief, evidence=ids, words=len(ids)))
    if gaps:
        outputs.append(SectionOutput(heading=still_open, brief=" ".join(gaps), evidence=[], words=len(gaps)))
    sections = _usable(outputs, {evidence.evidence_id for evidence in request.evidence})
    _allot(sections, [section.words for section in sections], words)
    return Outline(title=one_line(request.question, _TITLE_CHARACTERS), sections=DocList[Section](sections))
