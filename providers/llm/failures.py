"""Failed requests: whether to try again and when, and as what error of the tree they end."""

from __future__ import annotations

import openai

from providers.llm.answers import error_in
from providers.upstream import retry_after_seconds

_NO_CREDIT = ("insufficient_quota", "billing", "credit balance", "insufficient balance")
_CONTEXT = ("context_length", "context length", "context window", "maximum context", "context size")
_FORM = ("response_format", "json_schema", "json_object", "structured output", "guided", "grammar", "tool", "function", "schema")
_LIMIT = ("max_tokens", "max_completion_tokens")
_LONGEST_MESSAGE = 200  # characters of the server's own words in ours


def is_transient(error: openai.APIStatusError) -> bool:
    """Whether the same request may succeed later: 408, 409, 429 (unless the quota is used up) and 5xx but 501."""
    if error.status_code == 429:
        return not _mentions(error, _NO_CREDIT)
    return error.status_code in {408, 409} or (error.status_code >= 500 and error.status_code != 501)


def rejects_form(error: openai.APIStatusError) -> bool:
    """Whether the server may refuse the form of structured output. A 404 and a 501 must say so; a 400 is taken for it."""
    if error.status_code in {400, 415, 422}:
        return not _mentions(error, _CONTEXT + _LIMIT) and not _unknown_model(error)
    return error.status_code in {404, 501} and _mentions(error, _FORM)


def may_have_been_billed(error: openai.APIConnectionError) -> bool:
    """False when the connection was never made."""
    return type(error.__cause__).__name__ not in {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"}


def asked_pause(error: openai.APIStatusError) -> float | None:
    """Seconds that the server asks to wait before another try; None when it asks for nothing."""
    milliseconds = retry_after_seconds(error.response.headers.get("retry-after-ms", ""))
    return retry_after_seconds(error.response.headers.get("retry-after", "")) if milliseconds is None else milliseconds / 1000


def cause_and_fix(error: openai.APIStatusError, model: str, host: str, secret: str) -> str:
    """One line about a status that no retry cures. Never holds the key."""
    status = error.status_code
    if status == 401:
        return f"the model server {host} rejected the key (401): check OPENAI_API_KEY"
    if status == 403:
        return f"the model server {host} refused access to {model!r} (403): check OPENAI_API_KEY and what it may use"
    if status == 402 or (status == 429 and _mentions(error, _NO_CREDIT)):
        return f"the account at the model server {host} has no credit left ({status}): add credit or change OPENAI_API_KEY"
    said = words_of(error, secret)
    if status == 404 or _unknown_model(error):
        return f"the model server {host} has no model {model!r} ({status}): check LLM_MODEL and OPENAI_BASE_URL{said}"
    if _mentions(error, _CONTEXT):
        return f"the prompt and answer do not fit the context window of {model!r} ({status}): lower LLM_CONTEXT_TOKENS{said}"
    if _mentions(error, _LIMIT):
        return f"the model server {host} does not let {model!r} write that much ({status}): lower LLM_MAX_OUTPUT_TOKENS{said}"
    return f"the model server {host} rejected the request to {model!r} ({status}){said}"


def words_of(error: openai.APIError, secret: str) -> str:
    """What the server said, for the end of a message; empty when it said nothing."""
    message = " ".join(_said(error).split())
    if secret:
        message = message.replace(secret, "***")
    return f'; it said "{message[:_LONGEST_MESSAGE]}"' if message else ""


def rejection(error: openai.APIStatusError) -> str:
    """Everything in an error that may name the parameter it is about."""
    return f"{error.param or ''} {_said(error)}"


def _said(error: openai.APIError) -> str:
    return error_in(error.body)[0]


def _mentions(error: openai.APIStatusError, words: tuple[str, ...]) -> bool:
    said = f"{error.code or ''} {error.type or ''} {rejection(error)}".lower()
    return any(word in said for word in words)


def _unknown_model(error: openai.APIStatusError) -> bool:
    said = _said(error).lower()
    return error.code == "model_not_found" or (
        "model" in said and any(word in said for word in ("not found", "not exist", "unknown model"))
    )
