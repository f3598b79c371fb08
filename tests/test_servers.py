"""The servers that tests share outlive whoever starts them."""

from __future__ import annotations

import threading

from tests.servers import RedisServer


def test_a_server_that_a_thread_started_outlives_the_thread() -> None:
    with RedisServer() as server:
        server.kill()
        thread = threading.Thread(target=server.start)
        thread.start()
        thread.join()
        process = server._process
        assert process is not None
        assert server._answers(server.port)
        assert process.poll() is None
