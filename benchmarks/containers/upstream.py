"""The scripted upstreams of the container tests, with a reader service that takes its time over every page."""

from __future__ import annotations

import sys
import threading

from benchmarks.scaling.upstream import page
from tests.containers.upstream import Upstream
from tests.scripted.replies import Delay

if __name__ == "__main__":
    seconds = float(sys.argv[1])
    upstream = Upstream()
    upstream.reader.script(lambda request: Delay(seconds, page(request)))
    with upstream:
        threading.Event().wait()
