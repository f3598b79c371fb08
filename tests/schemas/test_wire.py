"""The fast encoding against docarray's own: the same bytes, the same documents, and one clear error for what is neither."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from docarray import BaseDoc, DocList
from docarray.typing import AnyUrl, NdArray
from hypothesis import given
from hypothesis import strategies as st

from schemas import wire
from schemas.errors import InvalidRequest
from schemas.reading import Link, Page, ReadResponse
from schemas.research import Message, ResearchAnswer, ResearchRequest
from schemas.usage import Usage

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INTEGERS = st.integers(-(2**31), 2**31 - 1)


@st.composite
def documents(draw: st.DrawFn) -> BaseDoc:
    """Documents with every kind of field that the schemas use."""
    if draw(st.booleans()):
        return ResearchAnswer(
            stop_reason="answered",
            mode="model",
            text=draw(TEXT),
            direct=draw(st.booleans()),
            seconds=draw(st.floats(allow_nan=False)),
            steps=draw(INTEGERS),
            usage=Usage(pages=draw(INTEGERS), estimated=draw(st.booleans())),
            usage_by_stage=draw(st.dictionaries(TEXT, INTEGERS, max_size=3)),
            queries=draw(st.lists(TEXT, max_size=3)),
        )
    links = [Link(url=draw(TEXT), text=draw(TEXT)) for _ in range(draw(st.integers(0, 3)))]
    return ReadResponse(
        page=Page(text=draw(TEXT), published=draw(st.none() | TEXT)), links=DocList[Link](links), errors=draw(st.lists(TEXT))
    )


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal in content and type, all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, BaseDoc):
        return all(same(getattr(left, name), getattr(right, name)) for name in type(left).model_fields)
    if isinstance(left, (list, DocList)):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


@given(documents())
def test_the_bytes_are_docarrays(document: BaseDoc) -> None:
    ours, theirs = document.to_protobuf(), wire._docarray_encode(document)
    assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(deterministic=True)


@given(documents())
def test_a_document_comes_back_as_it_was(document: BaseDoc) -> None:
    message = document.to_protobuf()
    assert same(type(document).from_protobuf(message), document)
    assert same(wire._docarray_decode(type(document), message), document)


def test_what_is_not_plain_goes_docarrays_way() -> None:
    class Pictured(BaseDoc):
        tensor: NdArray
        url: AnyUrl

    pictured = Pictured(tensor=np.ones(3), url="http://x/y")
    back = Pictured.from_protobuf(pictured.to_protobuf())
    assert back.tensor.tolist() == [1.0, 1.0, 1.0]
    assert back.url == "http://x/y"


def test_an_integer_beyond_32_bits_is_refused_by_the_name_of_its_field() -> None:
    with pytest.raises(ValueError, match="Field `pages` is problematic"):
        Usage(pages=2**31).to_protobuf()


def test_a_field_that_is_not_known_is_ignored() -> None:
    class Newer(BaseDoc):
        question: str = "q"
        invention: str = "x"

    assert ResearchRequest.from_protobuf(Newer().to_protobuf()).question == "q"


def test_what_does_not_validate_names_the_field() -> None:
    class Careless(BaseDoc):
        messages: DocList[Message] = DocList[Message]()

    class Loud(BaseDoc):
        role: str = "shout"

    message = Careless().to_protobuf()
    message.data["messages"].doc_array.docs.append(Loud().to_protobuf())
    with pytest.raises(InvalidRequest) as raised:
        ResearchRequest.from_protobuf(message)
    assert raised.value.field == "messages.0.role"
    assert str(raised.value) == "messages.0.role: Input should be 'system', 'user' or 'assistant'"
