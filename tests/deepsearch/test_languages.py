"""Whole runs in several languages over a folder of documents: found, answered, abstained and told in the language of the question."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepsearch.indexing import index_folder
from deepsearch.local import LocalDeepSearch
from executors.answer_finalizer.citations.notices import notices
from executors.controller.notices import notice
from schemas.research import ResearchAnswer, ResearchRequest
from schemas.settings import Settings

MakeSettings = Callable[..., Settings]

DOCUMENTS = {
    "en": "# The lighthouse\n\nThe lighthouse of Brenock was built in 1887. It is 42 metres high and stands on a rock.\n",
    "de": "# Der Leuchtturm\n\nDer Leuchtturm von Brenock wurde 1887 gebaut. Er ist 42 Meter hoch und steht auf einem Felsen.\n",
    "zh": "# 布伦诺克灯塔\n\n布伦诺克灯塔建于1887年。灯塔高42米，建在岩石上。\n",
    "ja": "# ブレノック灯台\n\nブレノック灯台は1887年に建てられました。高さは42メートルで、岩の上に立っています。\n",
    "ar": "# منارة برينوك\n\nبنيت منارة برينوك عام 1887. يبلغ ارتفاع المنارة 42 مترا وتقف على صخرة.\n",
}
ANSWERED = {
    "en": "When was the lighthouse of Brenock built?",
    "de": "Wann wurde der Leuchtturm von Brenock gebaut?",
    "zh": "布伦诺克灯塔建于哪一年？",
    "ja": "ブレノック灯台はいつ建てられましたか？",
    "ar": "متى بنيت منارة برينوك؟",
}
UNANSWERED = {
    "en": "Who paid for the opera of Grauwick?",
    "de": "Wer bezahlte die Oper in Graustadt?",
    "zh": "谁资助了格劳维克歌剧院？",
    "ja": "グラウヴィクの歌劇場は誰が建てましたか？",
    "ar": "من مول دار الأوبرا في غراوفيك؟",
}


@pytest.fixture
async def ask(tmp_path: Path, make_settings: MakeSettings) -> Any:
    folder = tmp_path / "documents"
    folder.mkdir()
    for code, text in DOCUMENTS.items():
        (folder / f"{code}.md").write_text(text, encoding="utf-8")
    configured = make_settings(deepsearch_corpus=folder, use_duckduckgo=False)
    await index_folder(folder, configured)
    async with LocalDeepSearch(configured) as local:

        async def asked(question: str, **fields: Any) -> ResearchAnswer:
            return await local.ask(ResearchRequest(question=question, **fields))

        yield asked


@pytest.mark.parametrize("code", DOCUMENTS)
async def test_a_question_is_answered_in_its_language(code: str, ask: Any) -> None:
    answer = await ask(ANSWERED[code])
    assert answer.language_code.partition("-")[0] == code
    assert "1887" in answer.text and answer.references[0].quote in DOCUMENTS[code]
    assert answer.support.unsupported == answer.support.removed == 0 < answer.support.supported
    assert answer.notice.startswith(notice(code, "extractive"))
    assert code == "en" or notice(code, "extractive") != notice("en", "extractive")


@pytest.mark.parametrize("code", DOCUMENTS)
async def test_what_nothing_answers_is_said_in_its_language(code: str, ask: Any) -> None:
    answer = await ask(UNANSWERED[code])
    assert answer.stop_reason == "no_evidence" and answer.text.startswith(notices(code).no_answer)
    assert notices(code).searched in answer.text and notice(code, "no_evidence") in answer.notice


async def test_the_language_that_is_asked_for_wins(ask: Any) -> None:
    answer = await ask(UNANSWERED["en"], language_code="fr")
    assert answer.language_code == "fr" and answer.text.startswith(notices("fr").no_answer)
