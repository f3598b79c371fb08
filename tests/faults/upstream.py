"""What is outside: a model, a search and a reader with storms of refusals, and the bill of all that they answered."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.scripted.every_mode import add_every_mode, subject_of
from tests.scripted.replies import Delay, Drop, Reply, Status
from tests.scripted.server import ScriptedServer

Storm = Literal["429", "503", "reset", "timeout"]
STORMS: tuple[Storm, ...] = ("429", "503", "reset", "timeout")


@dataclass
class Account:
    """What was asked and answered about one subject. A request is answered when its whole answer has been sent."""

    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    """Requests that a storm hit."""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Upstream(ScriptedServer):
    """`model`, `search` and `reader` are what requests are counted as."""

    def __init__(self, seed: int) -> None:
        super().__init__(record=False)
        self.accounts: defaultdict[str, Account] = defaultdict(Account)
        self._chance = random.Random(seed)
        self._storm: tuple[Storm, float] | None = None
        self._counting = threading.Lock()
        add_every_mode(self)
        for kind, service in (("model", self.llm), ("search", self.search), ("reader", self.reader)):
            self._count(kind, service)

    def storm(self, kind: Storm | None, part: float = 0.0) -> None:
        """From now on that part of all requests is refused in this way; None: the storm is over."""
        self._storm = (kind, part) if kind else None

    @property
    def total(self) -> int:
        """Requests so far."""
        return sum(account.asked.total() for account in list(self.accounts.values()))

    @property
    def storms_hit(self) -> int:
        return sum(account.refused for account in list(self.accounts.values()))

    def _count(self, kind: str, service: Any) -> None:
        body, events = service.body, getattr(service, "events", None)

        def counted(request: Any, reply: Any) -> bytes:
            sent: bytes = body(request, reply)
            self._answered_with(kind, request, json.loads(sent).get("usage") or {})
            return sent

        service.body = counted
        if events is not None:

            def streamed(request: Any, reply: Any) -> Any:
                usage = service._usage(request, reply, service._message(request, reply)[0])
                yield from events(request, reply)
                self._answered_with(kind, request, usage)

            service.events = streamed

    def _answered_with(self, kind: str, request: Any, usage: dict[str, int]) -> None:
        with self._counting:
            account = self.accounts[subject_of(request)]
            account.answered[kind] += 1
            account.prompt_tokens += usage.get("prompt_tokens", 0)
            account.completion_tokens += usage.get("completion_tokens", 0)

    def _reply(self, path: str, parameters: str, headers: dict[str, str], body: bytes) -> tuple[Any, Any, Reply]:
        service, request, reply = super()._reply(path, parameters, headers, body)
        kind = "model" if path.startswith("/v1/chat") else path.split("/")[1]
        account = self.accounts[subject_of(request)]
        with self._counting:
            account.asked[kind] += 1
        storm = self._storm
        if storm is None or self._chance.random() >= storm[1]:
            return service, request, Delay(self._chance.uniform(0.02, 0.08), reply)
        with self._counting:
            account.refused += 1
        refusals: dict[Storm, Reply] = {
            "429": Status(429, {"error": {"message": "too many requests"}}, {"retry-after": "0.3"}),
            "503": Status(503, {"error": {"message": "overloaded"}}),
            "reset": Drop(),
            "timeout": Delay(3600, reply),
        }
        return service, request, refusals[storm[0]]
