"""A request for each of the most used routes, as the OpenAPI document shows it; each works when it is sent as it stands."""

from __future__ import annotations

from typing import Any

_QUESTION = "How do I scale the page readers?"
_EVIDENCE = {
    "evidence_id": "e1",
    "url": "https://example.org/readers",
    "title": "Scaling page readers",
    "quote": "Page readers scale by their number of replicas.",
}
_KNOWLEDGE = {"kind": "url", "question": _QUESTION, "answer": _EVIDENCE["quote"], "evidence": [_EVIDENCE]}
_ANSWER = "Page readers scale by their number of replicas [e1]."
_PAGE = {
    "url": "https://example.org/readers",
    "title": "Scaling page readers",
    "text": "Page readers scale by their number of replicas. Give each replica a port of its own.",
}
_DIGEST = {"url": _PAGE["url"], "title": _PAGE["title"], "findings": [_ANSWER]}
_SECTION = {"heading": "Replicas", "brief": "How many page readers there are.", "evidence": ["e1"]}
_FINISHED = {
    "question": _QUESTION,
    "text": "Page readers scale by their number of replicas [^1].",
    "references": [{"number": 1, "evidence_id": "e1", "url": _PAGE["url"], "title": _PAGE["title"], "quote": _EVIDENCE["quote"]}],
    "stop_reason": "answered",
    "mode": "extractive",
}
_TEXTS = ["scale page readers", "how to scale the page readers"]

EXAMPLES: dict[tuple[str, str], dict[str, Any]] = {
    ("post", "/research"): {"data": [{"question": _QUESTION, "reasoning_effort": "low"}]},
    ("get", "/research/stream"): {"question": _QUESTION, "reasoning_effort": "low"},
    ("post", "/submit"): {"data": [{"question": _QUESTION}]},
    ("post", "/runs"): {"data": [{"limit": 5}]},
    ("post", "/understand"): {"data": [{"question": _QUESTION}]},
    ("post", "/search"): {"data": [{"queries": [{"text": "scale page readers"}], "max_results": 5}]},
    ("post", "/read"): {"data": [{"url": _PAGE["url"], "question": _QUESTION, "page": _PAGE}]},
    ("post", "/rank"): {
        "data": [
            {
                "question": _QUESTION,
                "candidates": [
                    {"url": _PAGE["url"], "title": _PAGE["title"], "description": "Give each replica a port."},
                    {"url": "https://example.com/kettles", "title": "Kettles", "description": "Boiling water."},
                ],
            }
        ]
    },
    ("post", "/dedupe"): {"data": [{"texts": _TEXTS, "existing": []}]},
    ("post", "/evaluate"): {
        "data": [{"question": _QUESTION, "answer": _ANSWER, "criteria": ["definitive"], "knowledge": [_KNOWLEDGE], "date": "2026-01-31"}]
    },
    ("post", "/check"): {"data": [{"question": _QUESTION, "text": _ANSWER, "evidence": [_EVIDENCE]}]},
    ("post", "/decompose"): {"data": [{"question": "How are the page readers and the rankers scaled?", "team_size": 2}]},
    ("post", "/reduce"): {
        "data": [{"question": _QUESTION, "parts": [{"question": _QUESTION, "text": _ANSWER}], "knowledge": [_KNOWLEDGE]}]
    },
    ("post", "/digest"): {"data": [{"question": _QUESTION, "url": _PAGE["url"], "title": _PAGE["title"], "evidence": [_EVIDENCE]}]},
    ("post", "/synthesize"): {"data": [{"question": _QUESTION, "digests": [_DIGEST], "evidence": [_EVIDENCE]}]},
    ("post", "/outline"): {"data": [{"question": _QUESTION, "digests": [_DIGEST], "evidence": [_EVIDENCE]}]},
    ("post", "/section"): {
        "data": [{"question": _QUESTION, "outline": {"title": "Scaling", "sections": [_SECTION]}, "knowledge": [_KNOWLEDGE]}]
    },
    ("post", "/illustrate"): {"data": [{"text": _FINISHED["text"], "images": []}]},
    ("post", "/export"): {"data": [{"answer": _FINISHED, "format": "markdown"}]},
    ("get", "/finalize"): {"question": _QUESTION, "draft": _ANSWER, "knowledge": [_KNOWLEDGE]},
    ("post", "/v1/research"): {"question": _QUESTION, "reasoning_effort": "low"},
    ("get", "/v1/research"): {"limit": 5},
    ("get", "/v1/models/{name}"): {"name": "deepsearch"},
    ("post", "/v1/chat/completions"): {
        "model": "deepsearch",
        "messages": [{"role": "user", "content": _QUESTION}],
        "reasoning_effort": "low",
    },
    ("post", "/v1/responses"): {"model": "deepsearch", "input": _QUESTION, "reasoning": {"effort": "low"}},
}
"""By method and path: the body of a POST, the parameters of a GET."""
