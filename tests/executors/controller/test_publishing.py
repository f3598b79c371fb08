"""From a draft to the published answer: everything is checked before it is given out."""

from __future__ import annotations

from typing import Any

import pytest
from docarray import DocList
from scripted_runs import Runner, answer, search, visit
from scripted_stages import ScriptedStages, page

from schemas.answering import Draft, FinalizeChunk
from schemas.errors import ModelOutputInvalid, StageUnavailable
from schemas.evaluation import Evaluation
from schemas.planning import Decision, Understanding
from schemas.reading import Attachment, Image, ReadResponse
from schemas.research import Message
from schemas.support import Statement, SupportReport
from schemas.usage import Usage

FOUND = [search("a"), visit("https://a.test/page")]


def report(unsupported: int = 0, supported: int = 1) -> SupportReport:
    return SupportReport(
        supported=supported, unsupported=unsupported, statements=DocList[Statement]([Statement()]), usage=Usage(llm_calls=1)
    )


def types(events: list[Any]) -> list[str]:
    return [event.type for event in events if event.type not in ("stage_called", "answer_delta")]


async def test_an_accepted_answer_is_checked_before_it_is_published(runner: Runner) -> None:
    stages = ScriptedStages(decide=[*FOUND, answer()], check=[report()])
    events, final = await runner.run(stages)
    assert final is not None and final.stop_reason == "answered"
    assert types(events)[-4:] == ["evaluated", "checked", "finalized", "run_ended"]
    assert next(n for n, e in enumerate(events) if e.type == "checked") < next(n for n, e in enumerate(events) if e.type == "answer_delta")
    assert stages.of("finalize")[0].support.supported == 1 and stages.of("finalize")[0].citations == "strict"


async def test_what_attribution_has_checked_is_not_checked_again(runner: Runner) -> None:
    stages = ScriptedStages(
        understand=[Understanding(mode="model", criteria=["definitive", "attribution"])],
        decide=[*FOUND, answer()],
        evaluate=[Evaluation(passed=True, support=report())],
    )
    await runner.run(stages)
    assert stages.of("evaluate")[0].criteria == ["definitive", "attribution"]
    assert not stages.of("check") and stages.of("finalize")[0].support.supported == 1


async def test_an_answer_that_fails_attribution_is_analysed_like_any(runner: Runner) -> None:
    bad = Evaluation(passed=False, failed_criterion="attribution", improvement_plan="find the year", support=report(unsupported=2))
    stages = ScriptedStages(understand=[Understanding(mode="model", criteria=["attribution"])], decide=[*FOUND, answer()], evaluate=[bad])
    _, final = await runner.run(stages, max_attempts=2)
    assert final is not None and final.stop_reason == "answered"
    assert len(stages.of("analyze")) == 1
    assert any(request.improvements == ["find the year"] for request in stages.of("decide"))


async def test_what_is_unsupported_is_revised_once_and_checked_again(runner: Runner) -> None:
    stages = ScriptedStages(decide=[*FOUND, answer()], check=[report(1), report(1)], revise=[Draft(text="It is 43 [e1].")])
    events, _ = await runner.run(stages)
    assert types(events)[-6:] == ["evaluated", "checked", "revised", "checked", "finalized", "run_ended"]
    assert [request.text for request in stages.of("check")] == ["It is 42 [e1].", "It is 43 [e1]."]
    assert stages.of("finalize")[0].draft == "It is 43 [e1]."


async def test_a_revision_that_makes_it_worse_is_dropped(runner: Runner) -> None:
    stages = ScriptedStages(decide=[*FOUND, answer()], check=[report(1), report(2)], revise=[Draft(text="It is 43 [e1].")])
    await runner.run(stages)
    finalize = stages.of("finalize")[0]
    assert finalize.draft == "It is 42 [e1]." and finalize.support.unsupported == 1


@pytest.mark.parametrize("failing", ["check", "revise"])
async def test_a_check_or_revision_that_fails_costs_only_itself(runner: Runner, failing: str) -> None:
    script = {"check": [report(1)], "revise": [ModelOutputInvalid("garbage")]}
    script[failing] = [StageUnavailable("it is gone")]
    _, final = await runner.run(ScriptedStages(decide=[*FOUND, answer()], **script))
    assert final is not None and final.text == "It is 42 [^1]."


async def test_polish_revises_what_is_supported_too(runner: Runner) -> None:
    stages = ScriptedStages(decide=[*FOUND, answer()], check=[report(), report()], revise=[Draft(text="42 it is [e1].")])
    await runner.run(stages, polish=True)
    assert stages.of("revise")[0].polish and stages.of("finalize")[0].draft == "42 it is [e1]."


async def test_citations_off_checks_nothing(runner: Runner) -> None:
    stages = ScriptedStages(understand=[Understanding(mode="model", criteria=["definitive", "attribution"])], decide=[*FOUND, answer()])
    await runner.run(stages, citations="off")
    assert not stages.of("check") and stages.of("evaluate")[0].criteria == ["definitive"] and stages.of("finalize")[0].citations == "off"


async def test_a_direct_answer_has_nothing_to_be_held_against(runner: Runner) -> None:
    stages = ScriptedStages(decide=[answer("Hello!")])
    _, final = await runner.run(stages)
    assert final is not None and final.direct and not stages.of("check") and stages.of("finalize")[0].citations == "off"


async def test_a_guess_is_made_only_when_it_is_asked_for(runner: Runner) -> None:
    nothing = {"search": [StageUnavailable("no network")] * 20, "compose": [Draft(text="Perhaps 42.", guessed=True)]}
    stages = ScriptedStages(decide=[search(str(n)) for n in range(9)], **nothing)
    _, final = await runner.run(stages, allow_guess=True, max_searches=3)
    assert final is not None and final.guessed and final.text == "Perhaps 42." and "from the model's memory" in final.notice
    assert stages.of("compose")[0].allow_guess
    assert not (await runner.state()).answer.references


async def test_without_leave_to_guess_nothing_found_is_said(runner: Runner) -> None:
    stages = ScriptedStages(decide=[search(str(n)) for n in range(9)], search=[StageUnavailable("no network")] * 20)
    _, final = await runner.run(stages, max_searches=3)
    assert final is not None and not final.guessed and not stages.of("compose") and final.stop_reason == "no_evidence"
    assert stages.of("finalize")[0].queries


async def test_images_of_read_pages_are_matched_to_the_answer(runner: Runner) -> None:
    def with_image(request: Any) -> ReadResponse:
        read = page(request.url)
        read.images = DocList[Image]([Image(url="https://a.test/p.png", text="a picture", page_url=request.url)])
        return read

    stages = ScriptedStages(decide=[*FOUND, answer()], read=[with_image])
    _, final = await runner.run(stages, with_images=True)
    assert final is not None and [image.url for image in final.images] == ["https://a.test/p.png"]
    assert stages.of("illustrate")[0].text == final.text


ATTRIBUTED = Understanding(mode="model", criteria=["definitive", "attribution"])


@pytest.mark.parametrize(("polish", "unsupported"), [(True, 0), (False, 1)])
async def test_what_attribution_has_checked_is_put_right_like_any_draft(runner: Runner, polish: bool, unsupported: int) -> None:
    stages = ScriptedStages(
        understand=[ATTRIBUTED],
        decide=[*FOUND, answer()],
        evaluate=[Evaluation(passed=True, support=report(unsupported))],
        revise=[Draft(text="42 it is [e1].")],
    )
    events, _ = await runner.run(stages, polish=polish)
    assert types(events)[-5:] == ["evaluated", "revised", "checked", "finalized", "run_ended"]
    assert stages.of("revise")[0].polish is polish and stages.of("finalize")[0].draft == "42 it is [e1]."


async def test_polish_needs_no_check(runner: Runner) -> None:
    stages = ScriptedStages(decide=[*FOUND, answer()], revise=[Draft(text="42 it is [e1].")])
    events, _ = await runner.run(stages, polish=True, citations="off")
    assert types(events)[-4:] == ["evaluated", "revised", "finalized", "run_ended"]
    assert stages.of("finalize")[0].draft == "42 it is [e1]."


async def test_a_revision_that_changes_nothing_is_not_checked_again(runner: Runner) -> None:
    stages = ScriptedStages(decide=[*FOUND, answer()], check=[report(1)])
    events, _ = await runner.run(stages)
    assert types(events)[-4:] == ["checked", "revised", "finalized", "run_ended"]
    assert stages.of("finalize")[0].support.unsupported == 1


async def test_an_answer_is_direct_only_when_nothing_was_read(runner: Runner) -> None:
    """One that comes with the first step but has what was attached to rest on is evaluated and checked."""
    file = Attachment(name="a.txt", media_type="text/plain", content="QQ==")
    messages = [Message(content="What is the answer?", attachments=DocList[Attachment]([file]))]
    stages = ScriptedStages(decide=[answer()])
    _, final = await runner.run(stages, messages=messages)
    assert final is not None and not final.direct and len(stages.of("evaluate")) == len(stages.of("check")) == 1
    assert stages.of("finalize")[0].citations == "strict"


async def test_a_guess_that_cites_is_none(runner: Runner) -> None:
    rejected = Evaluation(passed=False, failed_criterion="definitive")
    scripted: dict[str, Any] = {"decide": [*FOUND, answer()], "evaluate": [rejected], "understand": [ATTRIBUTED]}
    stages = ScriptedStages(**scripted, compose=[Draft(text="Perhaps 42 [e1].", guessed=True)])
    _, final = await runner.run(stages, allow_guess=True, max_attempts=1, budget_tokens=100_000, max_llm_calls=9)
    assert final is not None and not final.guessed and final.text.startswith(("Perhaps 42", "It is 42"))
    assert len(stages.of("check")) == 1 and stages.of("finalize")[0].citations == "strict"


async def test_a_guess_that_nobody_allowed_is_checked(runner: Runner) -> None:
    file = Attachment(name="a.txt", media_type="text/plain", content="QQ==")
    messages = [Message(content="What is the answer?", attachments=DocList[Attachment]([file]))]
    stages = ScriptedStages(decide=[search(str(n)) for n in range(9)], compose=[Draft(text="Perhaps 42.", guessed=True)])
    _, final = await runner.run(stages, messages=messages, max_searches=0, max_pages=0)
    assert final is not None and not final.guessed and stages.of("finalize")[0].citations == "strict"


async def test_a_draft_of_which_nothing_stays_was_not_direct(runner: Runner) -> None:
    nothing = FinalizeChunk(done=True, text="No answer was found.", composed_by="rules", abstained=True)
    stages = ScriptedStages(decide=[answer("---")], finalize=[lambda request: [nothing]])
    _, final = await runner.run(stages)
    assert final is not None and not final.direct and final.stop_reason == "no_evidence"


async def test_no_json_is_asked_for_when_the_budget_is_used_up(runner: Runner) -> None:
    greedy = Draft(text="It is 42 [e1].", usage=Usage(prompt_tokens=100_000))
    stages = ScriptedStages(decide=[*FOUND, Decision(action="answer")], compose=[greedy])
    _, final = await runner.run(stages, budget_tokens=100_000, json_schema='{"type": "object"}')
    assert final is not None and final.stop_reason == "token_budget" and final.text == "It is 42 [^1]."
    assert "the budget is used up" in final.json_error and not stages.of("structure")
