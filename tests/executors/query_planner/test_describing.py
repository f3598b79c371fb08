"""Attached images in words."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable

import pytest

from executors.query_planner.executor import QueryPlanner
from schemas.errors import BudgetExceeded, ConfigurationError, InvalidRequest, ModelRejected
from schemas.planning import DescribeRequest
from schemas.reading import Attachment
from schemas.settings import Settings
from schemas.usage import Allowance
from tests.scripted import Json, ScriptedServer, Status

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 20).decode()
REQUEST = DescribeRequest(question="How tall is the tower?", image=Attachment(name="tower.png", media_type="image/png", content=PIXEL))


@pytest.fixture
async def planner(make_settings: Callable[..., Settings], scripted: ScriptedServer) -> AsyncIterator[QueryPlanner]:
    executor = QueryPlanner(settings=make_settings(llm_model="m", openai_base_url=scripted.llm_url, llm_max_retries=0))
    yield executor
    await executor.close()


async def test_the_model_sees_the_image_and_the_question(planner: QueryPlanner, scripted: ScriptedServer) -> None:
    scripted.llm.on("DescriptionOutput", Json({"description": " A tower, 330 m. "}))
    description = await planner.describe(REQUEST)
    assert description.text == "A tower, 330 m." and description.usage.llm_calls == 1
    (request,) = scripted.sent()
    text, image = request.body["messages"][1]["content"]
    assert "How tall is the tower?" in text["text"]
    assert image == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}


async def test_a_model_that_cannot_see_is_said(planner: QueryPlanner, scripted: ScriptedServer) -> None:
    scripted.llm.on("DescriptionOutput", Status(400, {"error": {"message": "this model takes no images"}}))
    with pytest.raises(ModelRejected, match="takes no images"):
        await planner.describe(REQUEST)


async def test_an_image_costs_tokens_of_the_allowance(planner: QueryPlanner, scripted: ScriptedServer) -> None:
    with pytest.raises(BudgetExceeded):
        await planner.describe(REQUEST.model_copy(update={"allowance": Allowance(tokens=1_500)}))
    assert scripted.sent() == []


@pytest.mark.parametrize("body", [b"", b"<svg/>", b"\x89PNG\r\n\x1a\n" + b"0" * 10_000_000])
async def test_what_is_no_image_is_refused(planner: QueryPlanner, scripted: ScriptedServer, body: bytes) -> None:
    image = Attachment(name="tower.png", content=base64.b64encode(body).decode() or "%")
    with pytest.raises(InvalidRequest, match=r"^tower\.png: ") as raised:
        await planner.describe(REQUEST.model_copy(update={"image": image}))
    assert raised.value.field == "image" and scripted.sent() == []


async def test_without_a_model_nothing_is_seen(make_settings: Callable[..., Settings]) -> None:
    with pytest.raises(ConfigurationError, match="LLM_MODEL"):
        await QueryPlanner(settings=make_settings()).describe(REQUEST)
