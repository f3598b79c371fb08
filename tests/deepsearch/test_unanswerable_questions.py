"""Without a model: a question that no document answers is given up soon, and nothing unrelated is listed."""

from __future__ import annotations

from pathlib import Path

from deepsearch.local import LocalDeepSearch
from schemas.research import ResearchRequest
from schemas.settings import Settings


async def test_an_unanswerable_question_ends_after_a_few_steps(tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    for number in range(12):
        text = f"# Harbour {number}\n\nThe meeting point of harbour {number} is pier {number}. Ferry Albatros {number} leaves at noon.\n"
        (documents / f"harbour{number}.md").write_text(text, "utf-8")
    settings = Settings(_env_file=None, deepsearch_home=tmp_path / "home", deepsearch_corpus=documents, use_duckduckgo=False)
    async with LocalDeepSearch(settings) as local:
        answer = await local.ask(ResearchRequest(question="What is the boiling point of mercury?", search_provider="local"))
    assert answer.stop_reason == "no_evidence" and not answer.references
    assert "Nothing that was read is about it." in answer.text and "Harbour" not in answer.text
    assert answer.steps <= 9
    assert not any("Albatros" in query or "Harbour" in query for query in answer.queries)


async def test_pages_about_the_subject_are_listed_though_none_answers(tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    for name, text in {
        "anvils": "Acme makes anvils of steel.",
        "office": "The office of Acme is in Ghent.",
        "staff": "Acme has 40 workers.",
    }.items():
        (documents / f"{name}.md").write_text(f"# {name.title()}\n\n{text}\n", "utf-8")
    settings = Settings(_env_file=None, deepsearch_home=tmp_path / "home", deepsearch_corpus=documents, use_duckduckgo=False)
    async with LocalDeepSearch(settings) as local:
        answer = await local.ask(ResearchRequest(question="Who founded Acme?", search_provider="local"))
    assert all(f"“{title}”" in answer.text for title in ("Anvils", "Office", "Staff"))
