"""What is changed of jina for every process of the Flow."""

from __future__ import annotations

import os

from docarray import DocList
from jina.proto.serializer import DataRequestProto, SingleDocumentRequestProto
from jina.types.request.data import DataRequest, SingleDocumentRequest

import schemas.jina_runtime
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
