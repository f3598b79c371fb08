"""The OpenAPI document: what FastAPI makes of the routes, with what it cannot know, and without what is only jina's.

jina rebuilds every document class from its schema, and what reaches FastAPI has lost the fields' descriptions, has references
that lead nowhere and defaults with a new random id at each start. So the documents are described here from `schemas`.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from typing import Any

from docarray import BaseDoc
from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from gateway import carriable, downloads, outlines
from gateway.api_examples import EXAMPLES
from gateway.guard import owners
from schemas import answering, evaluation, events, planning, ranking, reading, reporting, research, search, support
from schemas.errors import ERRORS

Json = dict[str, Any]

DESCRIPTION = """\
Answers a question by searching, reading and reasoning; every sentence is cited by a verbatim quote of a page that was read.

The stages' endpoints take and give documents in jina's envelope: `{"data": [{...}]}`. A streaming endpoint is a GET whose answer
is server-sent events: `update` with one document each, `error` when it fails in the middle, and `end`; its document travels as
query parameters, or, with what these cannot hold, as the JSON body of the GET, which is what `jina.Client` sends.

A run belongs to the key that asked for it: for other keys it is not listed, and cannot be cancelled, deleted, approved, resumed or
continued (404). To read one, its id is enough.

A failure is `{"error": {"code", "message", "field"}}`; below `/v1/chat`, `/v1/responses` and `/v1/models` it has OpenAI's form.
Whole numbers have 32 bits, text is Unicode.
"""
TAGS = {
    "Research": "A whole run.",
    "Research jobs": "Runs that go on by themselves: begin one, look at it, follow it, stop it.",
    "OpenAI-compatible API": "For OpenAI's clients.",
    "Stages": "Each stage by itself.",
    "Health": "For probes and monitoring; these need no key, but for `/metrics` from another machine.",
}

STAGES: dict[str, tuple[str, str, str]] = {
    "/research": ("Research", "Answer a question", "Waits until the run has ended."),
    "/research/stream": ("Research", "Answer a question and stream the run's events", "A client that leaves interrupts the run."),
    "/resume": ("Research", "Stream the rest of an interrupted run", "A run that has ended gives its last event."),
    "/continue": (
        "Research",
        "Follow a run to its end, and go on with it when nobody does",
        "Past events after `after`, and those to come, each once: for a client that lost its connection.",
    ),
    "/submit": ("Research", "Begin a run that nobody waits for", "`/events` follows it. As `POST /v1/research`."),
    "/events": ("Research", "Follow a run's events", "Past ones after `after`, and those to come; the last is `run_ended`."),
    "/run": ("Research", "A run as far as it has come", "With its answer when it has ended."),
    "/runs": ("Research", "The newest runs, or one of them", "Of the key that asks, and those that nobody's key asked for."),
    "/cancel": ("Research", "Stop a run for good", ""),
    "/forget": ("Research", "Delete all that is kept of a run", "As `DELETE /v1/research/{run_id}/record`; not of one that is under way."),
    "/approve": ("Research", "Let a run that waits go on with its outline", "As `POST /v1/research/{run_id}/outline`."),
    "/page": ("Research", "A page as it was read in a run", ""),
    "/understand": ("Stages", "Planner: language, style and criteria of a question", ""),
    "/decide": ("Stages", "Planner: the next action of a run", ""),
    "/rewrite": ("Stages", "Planner: search requests as queries", "At most as many as `most`."),
    "/cluster": ("Stages", "Planner: what search results say together", "No clusters without a language model."),
    "/code": ("Stages", "Planner: a computation, by a program in a sandbox", "Needs a language model."),
    "/describe": ("Stages", "Planner: what an image shows", "Needs a language model that sees images."),
    "/decompose": ("Stages", "Planner: a question as sub-problems", "One, when it cannot be split."),
    "/outline": ("Stages", "Planner: the outline of a report", ""),
    "/search": ("Stages", "Searcher: results of up to twenty queries", ""),
    "/read": ("Stages", "Reader: a page and its best passages for a question", ""),
    "/illustrate": ("Stages", "Reader: the images that fit an answer", ""),
    "/rank": ("Stages", "Ranker: the best candidates for a question", "At most `per_hostname` of one host."),
    "/dedupe": ("Stages", "Ranker: the texts that say something new", ""),
    "/evaluate": ("Stages", "Evaluator: an answer held against criteria", "The first criterion that fails ends it."),
    "/analyze": ("Stages", "Evaluator: why an answer was rejected", ""),
    "/check": ("Stages", "Evaluator: every statement of a text held against its evidence", "By rules, where no model is configured."),
    "/digest": ("Stages", "Evaluator: what one page says about a question", ""),
    "/synthesize": ("Stages", "Evaluator: what pages say together", "Agreements, conflicts, and what is still open."),
    "/compose": ("Stages", "Finalizer: a draft from what is known", "It cites evidence as `[e1]`."),
    "/revise": ("Stages", "Finalizer: a draft put right where its evidence does not support it", ""),
    "/reduce": ("Stages", "Finalizer: answers to sub-problems as one draft", ""),
    "/section": ("Stages", "Finalizer: one section of a report", "It cites evidence as `[e1]`."),
    "/finalize": ("Stages", "Finalizer: the finished answer as it is written", "Deltas, then one chunk with `done` and everything."),
    "/structure": ("Stages", "Finalizer: an answer as JSON of a schema", "Needs a language model."),
    "/export": ("Stages", "Finalizer: a finished answer as a file", "Markdown, HTML, plain text, PDF or Word."),
}
"""Of each endpoint of the Flow: its tag, what it is, and more of it."""

_JINA = {
    "/dry_run": ("jina's own probe", "Reaches no stage; `/health/ready` does."),
    "/status": ("Versions of jina and what it runs on", ""),
}
_OPEN = ("/health/live", "/health/ready")
_OPENAI = ("/v1/chat", "/v1/responses", "/v1/models")
_FAILURES = {
    400: "The request cannot be served as it stands; `field` names what to change.",
    401: "A key is missing or wrong.",
    403: "A page of another site may not ask without a key.",
    404: "There is no such thing.",
    405: "The path does not take this method.",
    408: "The body did not arrive in time.",
    409: "The run is not in a state for this.",
    413: "The request, or what is attached to it, is too large.",
    422: "The document is not of its form; `field` names where.",
    429: "A limit is used up; `Retry-After` says when there is room again.",
    502: "Something outside failed: a model, a search service, a page.",
    503: "A stage cannot be reached, or as many runs wait as are taken.",
    504: "The time allowed is over.",
}
_PLAIN = (400, 401, 403, 405, 408, 413, 429)
"""What the door itself may answer to any request."""


def install(app: FastAPI) -> None:
    """Let `/openapi.json` of `app` be the completed document."""
    generated = app.openapi

    def document() -> Json:
        if not app.openapi_schema:
            with warnings.catch_warnings():  # jina writes its pydantic models in the words of pydantic 1
                warnings.filterwarnings("ignore", message="Valid config keys have changed in V2")
                app.openapi_schema = complete(generated())
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def complete(document: Json) -> Json:
    """The document that FastAPI generated from the routes, completed."""
    documents, schemas = _documents()
    generated = document.get("components", {}).get("schemas", {})
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if path in STAGES:
                _describe_stage(path, method, operation, documents, generated)
            elif path in _JINA:
                summary, description = _JINA[path]
                operation.update(summary=summary, description=description, tags=["Health"])
                operation["responses"] = {"200": _json("Its state.", {"type": "object"})}
            _add_failures(path, method, operation)
            _add_example(path, method, operation)
    components = {"schemas": {**generated, **schemas, **_ERROR_SCHEMAS}}
    _rename(document["paths"], components["schemas"])
    used = _reachable(document["paths"], components["schemas"])
    components["schemas"] = {name: components["schemas"][name] for name in sorted(used)}
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "One of DEEPSEARCH_API_KEYS, where any are configured."}
    }
    return {
        **document,
        "info": {"title": "DeepSearch", "description": DESCRIPTION, "version": _version(), "license": {"name": "Apache-2.0"}},
        "tags": [{"name": name, "description": description} for name, description in TAGS.items()],
        "components": components,
        "security": [{"bearer": []}, {}],
    }


def _describe_stage(path: str, method: str, operation: Json, documents: dict[str, type[BaseDoc]], generated: Json) -> None:
    tag, summary, description = STAGES[path]
    operation.update(tags=[tag], summary=summary, operationId=path.strip("/").replace("/", "_"))
    if description:
        operation["description"] = description
    if method == "get":
        body = operation.pop("requestBody")["content"]["application/json"]["schema"]
        name = _class_name(next(one for one in body.get("anyOf", [body]) if "$ref" in one), generated)
        operation["parameters"] = list(_query_parameters(documents[name]))
        if path in _BODIES:
            operation["requestBody"] = {"content": {"application/json": {"schema": _reference(name)}}}
        operation["responses"] = {"200": _EVENT_STREAM}
        return
    asked = _class_name(operation["requestBody"]["content"]["application/json"]["schema"], generated, "data")
    given = _class_name(operation["responses"]["200"]["content"]["application/json"]["schema"], generated, "data")
    one_or_more = {"anyOf": [{"type": "array", "items": _reference(asked), "maxItems": 100}, _reference(asked)]}
    envelope = {"type": "object", "required": ["data"], "properties": {"data": one_or_more}}
    operation["requestBody"]["content"]["application/json"]["schema"] = envelope
    answers = {"type": "object", "required": ["data"], "properties": {"data": {"type": "array", "items": _reference(given)}}}
    operation["responses"] = {"200": _json("The answers, in the order of the documents.", answers)}


_BODIES = ("/finalize",)
"""Streaming endpoints of which little can be asked without a body. Browsers send none with a GET."""
_EVENT_STREAM = {"description": "Server-sent events.", "content": {"text/event-stream": {}}}


def _class_name(schema: Json, generated: Json, inside: str = "") -> str:
    """The name of the document class that a generated schema is about, or its field `inside`."""
    name = schema["$ref"].rpartition("/")[2]
    if inside:
        options = generated[name]["properties"][inside]["anyOf"]
        return _class_name(next(one for one in options if "$ref" in one), generated)
    title: str = generated[name]["title"]
    return title


def _query_parameters(document: type[BaseDoc]) -> Iterator[Json]:
    schema = _cleaned(document.model_json_schema(), document)
    for name, field in schema["properties"].items():
        kinds = field.get("anyOf", [field])
        if all(kind.get("type") in ("string", "integer", "number", "boolean", "null") for kind in kinds):
            plain = [kind for kind in kinds if kind["type"] != "null"]  # a query has no null
            described = {key: field[key] for key in ("description",) if key in field}
            given = {key: value for key, value in plain[0].items() if key not in ("description", "title")}
            yield {"name": name, "in": "query", "required": False, **described, "schema": given}


def _add_failures(path: str, method: str, operation: Json) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    openai = path.startswith(_OPENAI)
    statuses = set() if path in _OPEN else set(_PLAIN)
    if path in STAGES or (path.startswith("/v1/") and not path.startswith("/v1/models")):
        statuses |= {404, 502, 503, 504} | ({409} if openai else {422})
    elif path.startswith("/v1/models/"):
        statuses |= {404}
    elif path == "/health/ready":
        statuses |= {503}
    if path.startswith(("/v1/research/{run_id}/outline", "/v1/research/{run_id}/answer", "/v1/research/{run_id}/record")):
        statuses |= {409}
    if path == "/v1/research/{run_id}/events":
        responses["204"] = {"description": "The stream had ended already."}
    for status in sorted(statuses):
        description = "A stage is down." if path == "/health/ready" else _FAILURES[status]
        responses[str(status)] = _json(description, _reference("OpenAIError" if openai else "Error"))


def _add_example(path: str, method: str, operation: Json) -> None:
    example = EXAMPLES.get((method, path))
    if example is None:
        return
    if "requestBody" in operation:
        operation["requestBody"]["content"]["application/json"]["example"] = example
        return
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in example:
            parameter["example"] = example[parameter["name"]]


def _documents() -> tuple[dict[str, type[BaseDoc]], Json]:
    """Every document class of `schemas` by its name, and their JSON Schemas."""
    rooms = (outlines, answering, evaluation, events, planning, ranking, reading, reporting, research, search, support)
    found = {
        name: one
        for room in rooms
        for name, one in vars(room).items()
        if isinstance(one, type) and issubclass(one, BaseDoc) and one is not BaseDoc
    }
    _, made = models_json_schema([(one, "validation") for one in found.values()], ref_template="#/components/schemas/{model}")
    return found, {name: _cleaned(schema, found[name]) for name, schema in made["$defs"].items() if name in found}


def _cleaned(schema: Json, document: type[BaseDoc]) -> Json:
    """The schema of a document with its fields' docstrings and the bounds of what can travel, without docarray's own field and ours."""
    texts = _docstrings(document)
    for name, field in schema["properties"].items():
        if name in texts:
            field["description"] = texts[name]
        field.pop("title", None)
        for kind in (field, *field.get("anyOf", ())):
            if kind.get("type") == "integer":
                kind |= {"format": "int32", "minimum": carriable.LEAST, "maximum": carriable.MOST}
        if isinstance(field.get("default"), dict):
            del field["default"]  # its own schema says the defaults
    for name in ("id", owners.FIELD):
        schema["properties"].pop(name, None)
    return schema


def _docstrings(document: type[BaseDoc]) -> dict[str, str]:
    """The text below each field of a class, on one line."""
    found: dict[str, str] = {}
    for one in reversed(document.__mro__[: document.__mro__.index(BaseDoc)]):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(one)))
        except OSError:  # installed without its source
            continue
        assert isinstance(tree.body[0], ast.ClassDef)
        for field, text in pairwise(tree.body[0].body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                found[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return found


def _rename(node: Any, schemas: Json) -> None:
    """Let every reference to a class that jina or pydantic has renamed lead to the documented one."""
    if isinstance(node, dict):
        target = node.get("$ref", "")
        if isinstance(target, str) and target.startswith("#/components/schemas/"):
            title = schemas.get(target.rpartition("/")[2], {}).get("title")
            if title in schemas:
                node["$ref"] = f"#/components/schemas/{title}"
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _rename(inner, schemas)


def _reachable(node: Any, schemas: Json) -> set[str]:
    """The names of the schemas that `node` refers to, directly or not."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            name = str(one.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                waiting.append(schemas[name])
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
    return found


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _version() -> str:
    try:
        return version("deepsearch")
    except PackageNotFoundError:
        return "0"


_CODES = sorted({error.code for error in ERRORS.values()} | {downloads.NoAnswer.code, "not_found", "method_not_allowed"})
_ERROR_SCHEMAS: Json = {
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message", "field"],
                "properties": {
                    "code": {"type": "string", "enum": _CODES},
                    "message": {"type": "string", "description": "One line: the cause and, where there is one, the fix."},
                    "field": {"type": ["string", "null"], "description": "Path of the field, such as `messages.0.role`."},
                },
            }
        },
    },
    "OpenAIError": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "param", "code"],
                "properties": {
                    "message": {"type": "string"},
                    "type": {"type": "string"},
                    "param": {"type": ["string", "null"]},
                    "code": {"type": "string"},
                },
            }
        },
    },
}
