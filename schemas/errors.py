"""Every error of the project, one tree, each mapped once to its statuses.

DeepSearchError
├── InvalidRequest           the caller's request cannot be served as it stands; names the field
│   ├── RunNotFound          no run has that id
│   ├── Cancelled            the run was stopped by its owner before there was an answer
│   ├── NotWaiting           the run has no outline that waits for approval
│   ├── RunUnderWay          the run has an owner that works on it
│   ├── TooLarge             the request has more bytes than are taken
│   └── TooSlow              the request did not arrive in time
├── ConfigurationError       a setting is missing or wrong; names the setting
│   └── CorpusError          the corpus folder is missing, empty or unreadable
├── Unauthorized             the caller's key is missing or wrong
│   └── Forbidden            the caller is known for what it is, and may not ask
├── LimitReached             the caller has used up one of its limits
│   ├── TooManyRequests      in a minute
│   ├── TooManyRuns          under way
│   ├── TooManyFollowers     of runs at the same time
│   └── QuotaUsed            tokens of the day
├── BudgetExceeded           the call does not fit what is left of the budget and was not made
├── DeadlineExceeded         the time allowed is over
├── UpstreamError            something outside failed
│   ├── ModelError           the language model cannot be used
│   │   ├── ModelUnavailable     unreachable, overloaded or failing
│   │   ├── ModelRejected        wrong key, no credit, unknown model: retrying cannot help
│   │   └── ModelOutputInvalid   it answered, but never in the form asked for
│   ├── SearchError          a search provider failed
│   ├── ReadError            a page could not be read
│   │   └── PageUnavailable      not now: too slow, overloaded or unreachable; later, or for another reader, it may be
│   ├── EmbeddingError       an embedding provider failed
│   ├── RerankError          a rerank provider failed
│   └── NotRecorded          a replay needs an answer that was never recorded
├── SandboxError             generated code failed, or ran out of time or memory
├── StageUnavailable         a stage of the Flow cannot be reached
│   └── Overloaded           as many runs, or calls of a stage, are under way and waiting as are taken
│       └── ClientLeft       nobody waits any more
├── JournalError             the journal cannot be read or written
│   └── RunLost              the run belongs to another process by now
└── CacheError               the cache cannot be read or written

An error carries the usage that was spent before it happened, so that a failure is never free of charge by accident.
"""

from __future__ import annotations

from typing import ClassVar

from schemas.usage import Usage


class DeepSearchError(Exception):
    """Base of the tree.

    `code` is stable and machine-readable; `http_status`, `grpc_status` (the name of a gRPC status code) and `exit_code`
    are what each door answers with. The message is one line that names the cause and, where there is one, the fix.
    """

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    grpc_status: ClassVar[str] = "INTERNAL"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, field: str | None = None, usage: Usage | None = None, retry_after: int | None = None) -> None:
        self.message = message
        self.field = field
        self.retry_after = retry_after
        """Seconds after which it is worth trying again, None when that is not known."""
        self.usage = usage or Usage()
        # jina carries `args` across processes, as strings; `from_wire` reads them back.
        super().__init__(message, field or "", self.usage.model_dump_json(), *([] if retry_after is None else [str(retry_after)]))

    def __str__(self) -> str:
        return self.message


class InvalidRequest(DeepSearchError):
    """The request cannot be served as it stands; `field` names what to change."""

    code, http_status, grpc_status, exit_code = "invalid_request", 400, "INVALID_ARGUMENT", 2


class RunNotFound(InvalidRequest):
    """No run has the id that was asked for."""

    code, http_status, grpc_status = "run_not_found", 404, "NOT_FOUND"


class Cancelled(InvalidRequest):
    """The run was stopped by its owner before there was an answer."""

    code, http_status, grpc_status, exit_code = "cancelled", 409, "ABORTED", 1


class NotWaiting(InvalidRequest):
    """A run has no outline that waits for approval."""

    code, http_status, grpc_status, exit_code = "not_waiting", 409, "FAILED_PRECONDITION", 1


class RunUnderWay(InvalidRequest):
    """A run has an owner that works on it: one process at a time goes on with a run, cancels or forgets it."""

    code, http_status, grpc_status, exit_code = "run_under_way", 409, "FAILED_PRECONDITION", 1


class TooLarge(InvalidRequest):
    """The request has more bytes than are taken."""

    code, http_status, grpc_status = "too_large", 413, "RESOURCE_EXHAUSTED"


class TooSlow(InvalidRequest):
    """The request did not arrive in time."""

    code, http_status, grpc_status = "too_slow", 408, "DEADLINE_EXCEEDED"


class ConfigurationError(DeepSearchError):
    """A setting is missing or wrong; `field` names it."""

    code, http_status, grpc_status, exit_code = "configuration", 500, "FAILED_PRECONDITION", 2


class CorpusError(ConfigurationError):
    """The corpus folder is missing, empty or unreadable."""

    code = "corpus"


class Unauthorized(DeepSearchError):
    """The caller's key is missing or wrong."""

    code, http_status, grpc_status, exit_code = "unauthorized", 401, "UNAUTHENTICATED", 2


class Forbidden(Unauthorized):
    """The caller is known for what it is, and may not ask."""

    code, http_status, grpc_status = "forbidden", 403, "PERMISSION_DENIED"


class LimitReached(DeepSearchError):
    """The caller has used up one of its limits; `retry_after` says when there is room again."""

    code, http_status, grpc_status = "limit_reached", 429, "RESOURCE_EXHAUSTED"


class TooManyRequests(LimitReached):
    """More requests in a minute than one caller may make."""

    code = "too_many_requests"


class TooManyRuns(LimitReached):
    """More runs under way than one caller may have."""

    code = "too_many_runs"


class TooManyFollowers(LimitReached):
    """More runs followed at the same time than one caller may follow."""

    code = "too_many_followers"


class QuotaUsed(LimitReached):
    """The tokens of the day are used up."""

    code = "daily_tokens_used"


class BudgetExceeded(DeepSearchError):
    """The call's worst case does not fit what is left of the budget; it was not made."""

    code, http_status, grpc_status = "budget_exceeded", 429, "RESOURCE_EXHAUSTED"


class DeadlineExceeded(DeepSearchError):
    """The time allowed is over."""

    code, http_status, grpc_status = "deadline_exceeded", 504, "DEADLINE_EXCEEDED"


class UpstreamError(DeepSearchError):
    """Something outside failed."""

    code, http_status, grpc_status = "upstream", 502, "UNAVAILABLE"


class ModelError(UpstreamError):
    """The language model cannot be used."""

    code = "model"


class ModelUnavailable(ModelError):
    """The model's server is unreachable, overloaded or failing."""

    code, http_status = "model_unavailable", 503


class ModelRejected(ModelError):
    """Wrong key, no credit or unknown model: trying again cannot help."""

    code, grpc_status = "model_rejected", "FAILED_PRECONDITION"


class ModelOutputInvalid(ModelError):
    """The model answered, but never in the form asked for."""

    code, grpc_status = "model_output_invalid", "INTERNAL"


class SearchError(UpstreamError):
    """A search provider failed."""

    code = "search"


class ReadError(UpstreamError):
    """A page could not be read."""

    code = "read"


class PageUnavailable(ReadError):
    """The page did not answer in time, limits the rate, fails or cannot be reached: later, or for another reader, it may be."""

    code = "page_unavailable"


class EmbeddingError(UpstreamError):
    """An embedding provider failed."""

    code = "embedding"


class RerankError(UpstreamError):
    """A rerank provider failed."""

    code = "rerank"


class NotRecorded(UpstreamError):
    """A replay needs an answer that was never recorded; nothing is asked outside in its place."""

    code, grpc_status = "not_recorded", "FAILED_PRECONDITION"


class SandboxError(DeepSearchError):
    """Generated code failed, or ran out of its time or memory."""

    code, http_status, grpc_status = "sandbox", 422, "ABORTED"


class StageUnavailable(DeepSearchError):
    """A stage of the Flow cannot be reached."""

    code, http_status, grpc_status = "stage_unavailable", 503, "UNAVAILABLE"


class Overloaded(StageUnavailable):
    """As many runs, or calls of a stage, are under way and waiting as are taken; nothing was begun."""

    code = "overloaded"


class ClientLeft(Overloaded):
    """Nobody waits any more."""

    code = "client_left"


class JournalError(DeepSearchError):
    """The journal of runs cannot be read or written."""

    code, http_status, grpc_status = "journal", 503, "UNAVAILABLE"


class RunLost(JournalError):
    """A run belongs to another process by now, because its lease ran out; whoever follows the run goes on at the journal."""

    code = "run_lost"


class CacheError(DeepSearchError):
    """The cache cannot be read or written."""

    code = "cache"


def _tree(root: type[DeepSearchError]) -> dict[str, type[DeepSearchError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found.update(_tree(child))
    return found


ERRORS: dict[str, type[DeepSearchError]] = _tree(DeepSearchError)
"""Every class of the tree by its name, which is what crosses a process boundary."""


def from_wire(name: str, args: list[str], description: str = "") -> DeepSearchError:
    """Rebuild an error from the class name and string arguments that jina sent across a process boundary.

    An unknown name (an exception that is not of this tree) becomes a `DeepSearchError` with `description`.
    """
    error = ERRORS.get(name)
    if error is None or len(args) not in (3, 4):
        return DeepSearchError(description or f"{name}: {' '.join(args)}")
    retry_after = int(args[3]) if len(args) == 4 else None
    return error(args[0], field=args[1] or None, usage=Usage.model_validate_json(args[2]), retry_after=retry_after)


def from_code(code: str, message: str, field: str | None = None) -> DeepSearchError:
    """The error with that `code`; a plain `DeepSearchError` when no class has it."""
    error = next((error for error in ERRORS.values() if error.code == code), DeepSearchError)
    return error(message, field=field or None)
