"""The claim check measured with a model: an oracle shows that the model's verdicts arrive, and how far the rules let them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from benchmarks.claims.labelled import PAIRS, binary, pairs
from benchmarks.claims.run import by_model, by_rules
from schemas.settings import Settings
from tests.scripted.replies import Json, Reply
from tests.scripted.server import ScriptedServer

MakeSettings = Callable[..., Settings]
_IDS = re.compile(r"^\[(e\d+)\]$", re.MULTILINE)


def test_precision_and_recall_with_an_oracle(scripted: ScriptedServer, make_settings: MakeSettings) -> None:
    wanted = pairs(sorted(PAIRS.glob("*.jsonl")), "held_out")
    labels = {pair.statement: pair.label for pair in wanted}

    def oracle(request: Any) -> Reply:
        prompt = request["messages"][-1]["content"]
        statement = max((text for text in labels if text in prompt.partition("## Statements")[2]), key=len)
        report = {"number": 1, "reason": "as labelled", "verdict": labels[statement], "evidence": _IDS.findall(prompt)}
        return Json({"statements": [report], "pairs": []})

    scripted.llm.script(oracle)
    configured = make_settings(openai_base_url=scripted.llm_url, openai_api_key="scripted", llm_model="oracle")
    judged = by_model(wanted, configured)
    truth = [pair.label for pair in wanted]
    rules, both = binary(truth, [by_rules(pair) for pair in wanted]), binary(truth, [judged(pair) for pair in wanted])
    assert both.precision > 0.97, "a model that knows it takes down what the rules took for supported"
    assert both.recall > rules.recall, "and raises what holds no figure, date or name that its evidence lacks"
