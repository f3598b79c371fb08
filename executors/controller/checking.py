"""What a request must be before a run begins."""

from __future__ import annotations

import re
import unicodedata
import uuid
from datetime import date, datetime, timezone

from docarray import DocList

from executors.controller.attachments import attached
from providers.corpus import corpus_folder
from providers.json_schemas import JsonSchema
from schemas.errors import InvalidRequest
from schemas.reading import Attachment
from schemas.reporting import Outline, Section
from schemas.research import Message, ResearchRequest
from schemas.settings import Settings

MOST_QUESTION_CHARACTERS = 20_000
MOST_CONVERSATION_CHARACTERS = 400_000
MOST_HOSTNAMES = 100
MOST_ATTACHMENTS = 20
MOST_ATTACHED_BYTES = 20_000_000
MOST_NAME_CHARACTERS = 200
MOST_RESEARCHERS = 8
MOST_WORDS = 20_000
MOST_SECTIONS = 20
MOST_HEADING_CHARACTERS = 300
MOST_BRIEF_CHARACTERS = 2_000
MOST_RUNS = 1_000
"""In one list."""
MOST_SEQUENCE = 2**31 - 1
_MOST_EVIDENCE_PER_SECTION = 200
_MOST_TEAM_ID = 60
"""The runs of a team have the id of their run with a number after it."""
_MOST_REFERENCES = {"answer": 10, "report": 100}
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def checked_limit(limit: int) -> int:
    """How many runs are listed, or `InvalidRequest`."""
    if not 1 <= limit <= MOST_RUNS:
        raise InvalidRequest(f"limit is {limit}; it must be from 1 to {MOST_RUNS:,}", field="limit")
    return limit


def check_position(after: int, after_offset: int) -> None:
    """Raise `InvalidRequest` unless these can say how much of a run is known already."""
    for field, value in (("after", after), ("after_offset", after_offset)):
        if not 0 <= value <= MOST_SEQUENCE:
            raise InvalidRequest(f"{field} is {value}; it must be from 0 to {MOST_SEQUENCE:,}", field=field)


def checked(request: ResearchRequest, settings: Settings) -> ResearchRequest:
    """The request with its id, its question and its defaults, or `InvalidRequest` naming what is wrong."""
    question = (request.question or next((m.content for m in reversed(request.messages) if m.role == "user"), "")).strip()
    if not question:
        raise InvalidRequest("question is empty: ask something", field="question")
    for field, text in (("question", question), *(("messages", message.content) for message in request.messages)):
        if not _is_unicode(text):
            raise InvalidRequest(f"{field} holds characters that are no text (lone surrogates): send it as UTF-8", field=field)
    if sum(len(message.content) for message in request.messages) > MOST_CONVERSATION_CHARACTERS:
        raise InvalidRequest(f"messages have more than {MOST_CONVERSATION_CHARACTERS:,} characters: shorten them", field="messages")
    _check_attachments(request)
    for field in ("boost_hostnames", "bad_hostnames", "only_hostnames"):
        if len(getattr(request, field)) > MOST_HOSTNAMES:
            raise InvalidRequest(f"{field} has more than {MOST_HOSTNAMES} entries", field=field)
    if len(question) > MOST_QUESTION_CHARACTERS:
        raise InvalidRequest(f"question has {len(question):,} characters; the most is {MOST_QUESTION_CHARACTERS:,}", field="question")
    if request.messages and request.messages[-1].role != "user":
        raise InvalidRequest("messages must end with a user message", field="messages")
    if request.run_id and not _RUN_ID.fullmatch(request.run_id):
        raise InvalidRequest("run_id may hold letters, digits, - and _, at most 64", field="run_id")
    if request.max_references is not None and request.max_references < 0:
        raise InvalidRequest("max_references must be 0 or more", field="max_references")
    if not 1 <= request.team_size <= MOST_RESEARCHERS:
        raise InvalidRequest(f"team_size is {request.team_size}; it must be from 1 to {MOST_RESEARCHERS}", field="team_size")
    if request.words is not None and not 100 <= request.words <= MOST_WORDS:
        raise InvalidRequest(f"words is {request.words}; it must be from 100 to {MOST_WORDS:,}", field="words")
    if request.team_size > 1 and request.mode == "report":
        raise InvalidRequest("team_size is for answers: leave it at 1 in a report", field="team_size")
    if request.team_size > 1 and len(request.run_id) > _MOST_TEAM_ID:
        raise InvalidRequest(f"run_id of a team may have {_MOST_TEAM_ID} characters at most", field="run_id")
    for field in ("words", "plan_first"):
        if getattr(request, field) and request.mode != "report":
            raise InvalidRequest(f'{field} is for reports: set mode to "report" too', field=field)
    if request.today is not None and not _is_date(request.today):
        raise InvalidRequest(f"today is {request.today[:40]!r}; it must be a date such as 2026-01-31", field="today")
    if request.json_schema:
        JsonSchema(request.json_schema)
    corpus = corpus_folder(settings, request.corpus) if request.corpus else None
    # The date belongs to the request from here on: prompts keep it past midnight, and when the run is resumed or replayed later.
    today = request.today or datetime.now(timezone.utc).date().isoformat()
    most = request.max_references
    return request.model_copy(
        update={
            "run_id": request.run_id or uuid.uuid4().hex[:16],
            "question": question,
            "corpus": str(corpus or ""),
            "today": today,
            "max_references": _MOST_REFERENCES[request.mode] if most is None else most,
            "citations": request.citations or settings.deepsearch_citations,
        }
    )


def checked_outline(outline: Outline) -> Outline:
    """A plan that somebody approved, white space and control characters made single spaces, or `InvalidRequest` naming what is wrong.

    Sections without a heading are left out.
    """
    if len(outline.sections) > MOST_SECTIONS:
        raise InvalidRequest(f"the outline has {len(outline.sections):,} sections; the most is {MOST_SECTIONS}", field="outline")
    sections = []
    for number, section in enumerate(outline.sections, start=1):
        where = f"of section {number}"
        if not 0 <= section.words <= MOST_WORDS:
            raise InvalidRequest(f"words {where} must be from 0 to {MOST_WORDS:,}", field="outline")
        if len(section.evidence) > _MOST_EVIDENCE_PER_SECTION:
            raise InvalidRequest(f"evidence {where} has more than {_MOST_EVIDENCE_PER_SECTION} ids", field="outline")
        heading = _line(section.heading, f"the heading {where}", MOST_HEADING_CHARACTERS)
        brief = _line(section.brief, f"the brief {where}", MOST_BRIEF_CHARACTERS)
        ids = [_line(key, f"an id {where}", MOST_HEADING_CHARACTERS) for key in section.evidence]
        if heading:
            sections.append(Section(heading=heading, brief=brief, evidence=ids, words=section.words))
    if outline.sections and not sections:
        raise InvalidRequest("no section of the outline has a heading", field="outline")
    return Outline(title=_line(outline.title, "the title", MOST_HEADING_CHARACTERS), sections=DocList[Section](sections))


def _line(text: str, what: str, most: int) -> str:
    if not _is_unicode(text) or len(text) > most:
        raise InvalidRequest(f"{what} is no text, or has more than {most:,} characters", field="outline")
    return " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in text).split())


def _check_attachments(request: ResearchRequest) -> None:
    files = list(attached(request).values())
    if len(files) > MOST_ATTACHMENTS:
        raise InvalidRequest(f"messages have {len(files)} attachments; the most is {MOST_ATTACHMENTS}", field="messages")
    if sum(len(file.content) for file in files) * 3 // 4 > MOST_ATTACHED_BYTES:
        raise InvalidRequest(f"the attachments of messages have more than {MOST_ATTACHED_BYTES:,} bytes together", field="messages")
    for number, file in enumerate(files, start=1):
        if not file.name.strip() or not file.content:
            raise InvalidRequest(f"attachment {number} of messages needs a name and content", field="messages")
        if not _is_unicode(file.name) or len(file.name) > MOST_NAME_CHARACTERS:
            raise InvalidRequest(f"attachment {number} of messages has a name that is too long or no text", field="messages")


def without_contents(request: ResearchRequest) -> ResearchRequest:
    """The request as it is told in events: attachments are named only."""
    messages = [
        message.model_copy(
            update={"attachments": DocList[Attachment](file.model_copy(update={"content": ""}) for file in message.attachments)}
        )
        for message in request.messages
    ]
    return request.model_copy(update={"messages": DocList[Message](messages)})


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
