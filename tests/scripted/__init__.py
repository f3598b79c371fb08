"""One scripted HTTP server that speaks the wire formats of the paid APIs: chat completions, Jina search, Jina reader.

    with ScriptedServer() as server:
        server.llm.on("Verdict", Json({"passed": True}))
        server.add_page("https://example.org/a", "Title", "Text of the page.")
        ... a client of `server.llm_url`, `server.search_url`, `server.reader_url` ...
        assert server.requests[0].body["model"] == "m"

`python -m tests.scripted` runs the same server as a process of its own.
"""

from tests.scripted.llm import ScriptedModel, schema_name
from tests.scripted.replies import Delay, Drip, Drop, Json, Reply, Status, Text
from tests.scripted.server import Recorded, ScriptedServer

__all__ = ["Delay", "Drip", "Drop", "Json", "Recorded", "Reply", "ScriptedModel", "ScriptedServer", "Status", "Text", "schema_name"]
