"""Whose the runs are that a request is about: the gateway says so to the stages, whatever the client has written there."""

from __future__ import annotations

from collections.abc import Iterable

from docarray import BaseDoc
from docarray.proto import DocProto

from gateway.guard.call import CURRENT

FIELD = "owner"
"""Of every document that begins a run, names one to be changed, or lists them."""


def sign(documents: Iterable[DocProto], kind: type[BaseDoc]) -> None:
    """Write the current caller into documents of a `kind` that says whose a run is, as they travel."""
    if FIELD not in kind.model_fields:
        return
    call = CURRENT.get()
    owner = call.owner if call is not None else ""  # the gateway's own business is nobody's
    for document in documents:
        node = document.data[FIELD]
        node.Clear()  # of a type that stands beside the text too
        node.text = owner
