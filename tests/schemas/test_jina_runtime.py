"""What is changed of jina for every process of the Flow."""

from __future__ import annotations

import logging
import os

import pytest
from docarray import DocList
from jina.logging.logger import JinaLogger
from jina.proto.serializer import DataRequestProto, SingleDocumentRequestProto
from jina.types.request.data import DataRequest, SingleDocumentRequest

import schemas.jina_runtime
from schemas.errors import InvalidRequest, JournalError, NotWaiting, RunNotFound
from schemas.ranking import DedupeRequest

assert schemas.jina_runtime


def test_messages_leave_the_environment_alone() -> None:
    """Every value that a variable had stays in memory, so what is counted there makes a process grow with every message."""
    before = dict(os.environ)
    request = DataRequest()
    request.data.docs = DocList[DedupeRequest]([DedupeRequest(texts=["tea"])])
    arrived = DataRequestProto.FromString(DataRequestProto.SerializeToString(request))
    arrived.document_array_cls = DocList[DedupeRequest]
    assert arrived.docs[0].texts == ["tea"]

    single = SingleDocumentRequest()
    single.document_cls = DedupeRequest
    single.data.doc = DedupeRequest(texts=["tea"])
    came = SingleDocumentRequestProto.FromString(SingleDocumentRequestProto.SerializeToString(single))
    came.document_cls = DedupeRequest
    assert came.data.doc.texts == ["tea"]
    assert DataRequestProto.SerializeToString(DataRequestProto.FromString(b"\x0a\x00")) == b"\x0a\x00"
    assert isinstance(SingleDocumentRequestProto.FromString(b""), SingleDocumentRequest)
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (InvalidRequest("question is empty"), "INFO"),
        (RunNotFound("no run 'x'"), "INFO"),
        (NotWaiting("it does not wait"), "INFO"),
        (JournalError("the disk is full"), "ERROR"),
        (ValueError("a defect"), "ERROR"),
    ],
)
@pytest.mark.parametrize("wanted", ["INFO", "WARNING"])
def test_what_a_client_did_wrong_is_no_error_of_the_service(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, level: str, wanted: str
) -> None:
    monkeypatch.setenv("JINA_LOG_LEVEL", wanted)
    logger = JinaLogger("the-controller")
    told: list[str] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", lambda record: told.append(f"{record.levelname} {record.getMessage().splitlines()[0]}"))
    logger.logger.addHandler(handler)
    try:
        raise error
    except type(error) as raised:
        logger.error(f"{raised!r}", exc_info=True)
    line = str(error) if level == "INFO" or isinstance(error, JournalError) else repr(error)
    said = f"{level} {line}" if isinstance(error, ValueError) else f"{level} {type(error).__name__}: {line}"
    assert told == ([said] if level == "ERROR" or wanted == "INFO" else [])
    assert bool(capsys.readouterr().out) is bool(told)
    logger.close()
