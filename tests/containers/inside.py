"""Run in the image, whose libraries have lost what nothing runs: uses each library that has code of its own for machines.

Prints one line for every thing that works; the first that does not ends it with a stack trace.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from base64 import b64decode
from io import BytesIO
from pathlib import Path

_LIBRARIES = "*.libs", "py_mini_racer", "pypdfium2_raw"  # not for import; loaded by those that are
_WITHOUT_ITS_LIBRARY = {"PIL._imagingtk"}  # of Tk, which is not in the image


def extensions() -> str:
    """Import every module that was compiled."""
    folder = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    files = [file.relative_to(folder) for file in folder.rglob("*.so") if not any(file.match(f"{one}/*") for one in _LIBRARIES)]
    names = {".".join((*file.parent.parts, file.name.partition(".")[0])) for file in files} - _WITHOUT_ITS_LIBRARY
    for name in sorted(names):
        importlib.import_module(name)
    assert len(names) > 50
    return "extensions"


def exports_and_readings() -> str:
    """Write an answer as PDF and as Word document, and read the PDF and a page of HTML."""
    from docx import Document

    from executors.answer_finalizer.exporting import export
    from providers.reader.documents import convert
    from schemas.research import ResearchAnswer

    sentence = "The tower is 324 metres tall. Größe zählt."
    answer = ResearchAnswer(question="How tall?", stop_reason="answered", mode="extractive", text=sentence)
    assert sentence in convert(b64decode(export(answer, "pdf").content), "answer.pdf").text
    written = Document(BytesIO(b64decode(export(answer, "docx").content)))
    assert sentence in [paragraph.text for paragraph in written.paragraphs]
    page = "<html><body><article><h1>Tower</h1><p>The tower is 324 metres tall, and it was built in 1889.</p></article></body></html>"
    assert "324 metres" in convert(page.encode(), "page.html").text
    return "exports and readings"


def program() -> str:
    """Run a generated program."""
    from providers.sandbox import SandboxLimits, create_sandbox
    from schemas.settings import Settings

    sandbox = create_sandbox(Settings())
    assert asyncio.run(sandbox.run("return 6 * 7", SandboxLimits())) == "42"
    return "program"


def index() -> str:
    """Index a folder and count tokens."""
    import tantivy

    from providers.lexical import language_of
    from providers.llm.tokens import count_tokens

    builder = tantivy.SchemaBuilder()
    builder.add_text_field("text", stored=True)
    made = tantivy.Index(builder.build())
    writer = made.writer()
    writer.add_document(tantivy.Document(text="towers are tall"))
    writer.commit()
    made.reload()
    assert made.searcher().search(made.parse_query("tall", ["text"]), 1).count == 1
    assert count_tokens("towers are tall") > 2
    assert language_of("La tour est très haute et elle a été construite en 1889.") == "fr"
    return "index"


if __name__ == "__main__":
    for check in (extensions, exports_and_readings, program, index):
        print(check(), flush=True)
