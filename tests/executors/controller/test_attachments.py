"""Files that come with a question."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from docarray import DocList
from scripted_stages import ScriptedStages, page

from executors.controller.research import Research
from providers.journal import SQLiteJournal
from schemas.errors import InvalidRequest, ReadError
from schemas.events import ResearchEvent
from schemas.planning import Decision, Description, Understanding
from schemas.reading import Attachment
from schemas.research import Message, ResearchRequest
from schemas.settings import Settings

CONTENT = base64.b64encode(b"The answer is 42.").decode()


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SQLiteJournal]:
    made = SQLiteJournal(tmp_path / "runs.db")
    yield made
    await made.close()


def file(name: str, media_type: str = "text/plain", content: str = CONTENT) -> Attachment:
    return Attachment(name=name, media_type=media_type, content=content)


async def run(journal: SQLiteJournal, stages: ScriptedStages, *files: Attachment, **request: Any) -> list[ResearchEvent]:
    message = Message(role="user", content="What is the answer?", attachments=DocList[Attachment](files))
    research = Research(stages, journal, Settings(_env_file=None))
    return [
        event
        async for event in research.run(
            ResearchRequest(run_id="r1", messages=DocList[Message]([message]), no_direct_answer=True, **request)
        )
    ]


async def test_documents_are_read_before_the_first_step_and_can_be_cited(journal: SQLiteJournal) -> None:
    stages = ScriptedStages(decide=[Decision(action="answer", answer="It is 42 [e1].")])
    events = await run(journal, stages, file("a b.txt"), file("c.pdf", "application/pdf"))
    reads = stages.of("read")
    assert [(request.url, request.attachment.name) for request in reads] == [
        ("attachment:1/a%20b.txt", "a b.txt"),
        ("attachment:2/c.pdf", "c.pdf"),
    ]
    assert all(request.attachment.content == CONTENT for request in reads)
    assert events[-1].data["answer"]["references"][0]["url"] == "attachment:1/a%20b.txt"
    assert events[-1].data["answer"]["steps"] == 1
    assert CONTENT not in "".join(event.model_dump_json() for event in events), "events name attachments and do not carry them"
    assert (await journal.attachment("r1", "attachment:1/a%20b.txt")).content == CONTENT


async def test_images_are_put_into_words(journal: SQLiteJournal) -> None:
    stages = ScriptedStages(
        describe=[Description(text="A tower."), Description(text="A bridge.")], decide=[Decision(action="answer", answer="A tower.")]
    )
    await run(journal, stages, file("a.png", "image/png"), file("b.txt"), file("c.png", "IMAGE/PNG"))
    assert [request.image.content for request in stages.of("describe")] == [CONTENT, CONTENT]
    known = stages.of("decide")[0].knowledge
    assert [(item.kind, item.answer) for item in known][1:] == [("qa", "A tower."), ("qa", "A bridge.")]
    assert known[1].question == "What does the attached image a.png show?"


async def test_what_cannot_be_read_is_said(journal: SQLiteJournal) -> None:
    stages = ScriptedStages(
        read=[ReadError("a.zip is an archive"), page("attachment:2/b.txt")],
        describe=[ReadError("c.png cannot be looked at")],
        decide=[Decision(action="answer", answer="It is 42 [e1].")],
    )
    events = await run(journal, stages, file("a.zip", "application/zip"), file("b.txt"), file("c.png", "image/png"))
    notice = events[-1].data["answer"]["notice"]
    assert "Not read: a.zip is an archive." in notice and "Not read: c.png cannot be looked at." in notice


async def test_images_need_a_model(journal: SQLiteJournal) -> None:
    stages = ScriptedStages(understand=[Understanding(mode="extractive")])
    events = await run(journal, stages, file("a.png", "image/png"))
    assert not stages.of("describe")
    assert "images can only be looked at by a language model" in events[-1].data["answer"]["notice"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([file("x")] * 21, "21 attachments; the most is 20"),
        ([file("x", content="A" * 14_000_000)] * 2, "more than 20,000,000 bytes together"),
        ([file("")], "attachment 1 of messages needs a name and content"),
        ([file("x"), file("y", content="")], "attachment 2 of messages needs a name and content"),
        ([file("x" * 201)], "a name that is too long"),
    ],
)
async def test_too_many_too_large_or_nameless(journal: SQLiteJournal, files: list[Attachment], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as raised:
        await run(journal, ScriptedStages(), *files)
    assert raised.value.field == "messages"
