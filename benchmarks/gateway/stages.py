"""A controller whose runs are nothing but events at a steady rate."""

import asyncio
import time
from typing import AsyncGenerator  # noqa: UP035  (the only form jina knows)

from jina import Executor, requests

from schemas.events import ResearchEvent
from schemas.research import ResearchRequest


class SteadyController(Executor):
    """`budget_seconds` is how long a run takes, `budget_usd` the seconds between two events."""

    @requests(on="/research/stream")
    async def research_stream(self, doc: ResearchRequest, **kwargs) -> AsyncGenerator[ResearchEvent, None]:
        begin, interval, number = time.time(), doc.budget_usd or 1.0, 0
        while time.time() - begin < (doc.budget_seconds or 1.0):
            number += 1
            data = {"text": "x" * 200, "offset": 0}
            yield ResearchEvent(run_id=doc.run_id, sequence=number, time=time.time(), type="answer_delta", data=data)
            await asyncio.sleep(begin + number * interval - time.time())
        yield ResearchEvent(run_id=doc.run_id, sequence=number, time=time.time(), type="run_ended", data={"outcome": "finished"})
