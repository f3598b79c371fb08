"""Signs of life on streaming endpoints, as `jina.Client` and an EventSource read them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from gateway.sse import with_heartbeat
from gateway.streams import _BEAT, _event


async def test_a_silent_stream_shows_signs_of_life_that_no_client_takes_for_an_event() -> None:
    go_on = asyncio.Event()

    async def events() -> AsyncGenerator[bytes, None]:
        yield _event(b"update", b'{"text": "a"}')
        await go_on.wait()
        yield _event(b"update", b'{"text": "b"}')

    chunks = []
    async for chunk in with_heartbeat(events(), seconds=0.01, beat=_BEAT):
        chunks.append(chunk)
        if len(chunks) == 4:
            go_on.set()
    assert chunks[1:4] == [_BEAT] * 3 and len(chunks) >= 5
    stream = b"".join(chunks)
    # jina.Client splits what arrives together at `event: ` and reads a document after `update\r\ndata: `; JSON may end with line breaks.
    assert [part[len("update\r\ndata: ") :].strip() for part in stream.split(b"event: ")[1:]] == [b'{"text": "a"}', b'{"text": "b"}']
    # By the standard an empty line ends an event; without data before it there is none.
    events_read = [line for line in stream.decode().splitlines() if line]
    assert events_read == ["event: update", 'data: {"text": "a"}', "event: update", 'data: {"text": "b"}']
