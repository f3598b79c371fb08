"""Calls of a language model as spans, in the words of OpenTelemetry's semantic conventions for generative AI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from urllib.parse import urlsplit

from typing_extensions import Self

from schemas.usage import Usage
from telemetry import tracing
from telemetry.tracing import Span


class ModelCall:
    """One turn of a model with all its attempts. As a context manager it is current inside, see `Span`, and ends afterwards.

    For a turn that is streamed there are `span.current()`, around sending it, and `ending()`, around all of it.
    """

    def __init__(self, model: str, temperature: float, url: str, spent: Callable[[], Usage]) -> None:
        """`spent` gives all that was spent so far by whom the turn is for: what is added meanwhile is this call's."""
        self.span: Span = tracing.NOTHING
        if not tracing.is_on():
            return
        self._spent = spent
        self._before = spent()
        parts = urlsplit(url)
        self.span = tracing.span(f"chat {model}", "client", {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",  # whose protocol it is; the address says whose server
            "gen_ai.request.model": model,
            "gen_ai.request.temperature": temperature,
            "server.address": parts.hostname or "",
            "server.port": parts.port or (443 if parts.scheme == "https" else 80),
        })  # fmt: skip

    @contextmanager
    def ending(self) -> Iterator[None]:
        """It ends afterwards; it is not current inside."""
        try:
            yield
        except BaseException as error:
            self._end(error)
            raise
        self._end(None)

    def _end(self, error: BaseException | None) -> None:
        if self.span is tracing.NOTHING:
            return
        spent, before = self._spent(), self._before
        self.span.set({
            "gen_ai.usage.input_tokens": spent.prompt_tokens - before.prompt_tokens,
            "gen_ai.usage.output_tokens": spent.completion_tokens - before.completion_tokens,
            "gen_ai.usage.cache_read.input_tokens": spent.cached_tokens - before.cached_tokens,
            "deepsearch.cost_usd": spent.cost_usd - before.cost_usd,
        })  # fmt: skip
        if error is not None:
            self.span.fail(error)
        self.span.end()

    def __enter__(self) -> Self:
        self._current = self.span.current()
        self._current.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._current.__exit__(None, None, None)
        self._end(error)
