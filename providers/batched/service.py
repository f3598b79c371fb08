"""Many texts through a service that takes some at a time: several requests at once, and what is missing is asked for again."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import httpx

from providers.batched.bill import Bill
from providers.http import Endpoint, count_field, post_json
from providers.policies import text_service
from providers.upstream import Upstream
from schemas.errors import BudgetExceeded, ConfigurationError, UpstreamError

_AT_ONCE = 4
"""Requests of one call that run at the same time; Jina's free tier allows 5."""

_TRIES = 3

Item = TypeVar("Item")


@dataclass(frozen=True)
class Service(Generic[Item]):
    """A service that answers a list of texts with an item for each."""

    endpoint: Endpoint
    client: httpx.AsyncClient
    timeout_seconds: float
    """Longest that all requests of one call may take together."""
    item: str
    """What it gives for a text, in messages."""
    payload: Callable[[Sequence[str]], Mapping[str, Any]]
    """The request for some texts."""
    read: Callable[[Mapping[str, Any], int], Mapping[int, Item]]
    """The items of an answer to so many texts, by their place among them, without those that cannot be used."""


def service_url(base_url: str, path: str, setting: str) -> str:
    """The URL of `path` under `base_url`. Raises `ConfigurationError` naming `setting` when that is no web address."""
    try:
        parts = urlsplit(base_url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError(f"{setting} is no URL such as http://localhost:8000/v1", field=setting)
    return f"{base_url.rstrip('/')}/{path}"


def spared(timeout_seconds: float) -> Upstream:
    """How such a service is spared."""
    return Upstream(text_service(timeout_seconds))


async def ask(service: Service[Item], batches: Sequence[Sequence[str]], bill: Bill) -> list[Item]:
    """The items of all texts of all `batches`, in order. One batch is one request, at most four run at the same time.

    Texts that an answer leaves out are sent again, without the others, up to three times in all. Raises the error of
    `service.endpoint`, or `BudgetExceeded` before anything is sent that would not fit `bill`; either carries what was
    billed.
    """
    tasks: list[asyncio.Task[list[Item]]] = []
    slots = asyncio.Semaphore(_AT_ONCE)
    try:
        bill.check([text for batch in batches for text in batch])
        deadline = time.monotonic() + service.timeout_seconds
        tasks += [asyncio.create_task(_answered(service, batch, bill, slots, deadline)) for batch in batches]
        answers = await asyncio.gather(*tasks)
    except (UpstreamError, BudgetExceeded) as failure:
        raise type(failure)(failure.message, field=failure.field, usage=bill.spent) from failure
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [item for answer in answers for item in answer]


async def _answered(service: Service[Item], batch: Sequence[str], bill: Bill, slots: asyncio.Semaphore, deadline: float) -> list[Item]:
    found: dict[int, Item] = {}
    missing = list(range(len(batch)))
    async with slots:
        for _ in range(_TRIES):
            answer = await _request(service, [batch[place] for place in missing], bill, deadline)
            found |= {missing[place]: item for place, item in service.read(answer, len(missing)).items()}
            missing = [place for place in missing if place not in found]
            if not missing:
                return [found[place] for place in range(len(batch))]
    raise service.endpoint.fails(f"left {len(missing)} of {len(batch)} texts without a {service.item}, asked {_TRIES} times")


async def _request(service: Service[Item], texts: Sequence[str], bill: Bill, deadline: float) -> dict[str, Any]:
    # In whole tenths, so that a message names the limit as it was set and the deadline is over when this is.
    patience = max(1, math.ceil(10 * (deadline - time.monotonic()))) / 10
    opened = bill.open(texts)
    try:
        answer = await post_json(
            service.client, service.endpoint, service.payload(texts), timeout_seconds=min(patience, service.timeout_seconds)
        )
    except UpstreamError:
        if time.monotonic() < deadline:  # refused; what was only too slow may be billed
            bill.release(opened)
        raise
    usage = answer.get("usage")
    bill.settle(opened, count_field(usage.get("total_tokens")) if isinstance(usage, dict) else 0)
    return answer
