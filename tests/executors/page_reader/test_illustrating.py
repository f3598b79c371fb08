"""Images that fit an answer: by their captions, and by what they show."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from docarray import DocList
from pydantic import SecretStr

from executors.page_reader.executor import PageReader
from schemas.errors import InvalidRequest
from schemas.reading import IllustrateRequest, Image
from schemas.settings import Settings
from schemas.usage import Allowance
from tests.providers.guarded.page_server import PageServer, http
from tests.providers.reader_direct.drawn import drawing, file
from tests.scripted import ScriptedServer
from tests.scripted.replies import Json, Status
from tests.scripted.vectors import embeddings, in_base64

BRIDGE = "The Harrow Bridge is a covered wooden bridge over the river Ennet, built in 1824 by the carpenter Elias Rook.[^1]"
REED = "- Reed is cut in winter on the ice of Lake Varn, with long scythes, by eleven families from the village of Ostrey.[^2]"
ANSWER = f"""## Two crafts

{BRIDGE}

{REED}
- Short.

[^1]: The Harrow Bridge over the Ennet in the flood of 1931 [Bridges](https://a.example/)
"""


@pytest.fixture
async def server() -> AsyncIterator[PageServer]:
    async with PageServer() as server:
        yield server


@pytest.fixture
async def reader() -> AsyncIterator[PageReader]:
    reader = PageReader(settings=Settings(deepsearch_allow_hosts="127.0.0.1"))
    yield reader
    await reader._close()


def request(server: PageServer, captions: list[str], text: str = ANSWER, **options: Any) -> IllustrateRequest:
    """With an image of its own for each caption, at /0.png and so on."""
    images = DocList[Image]()
    for n, caption in enumerate(captions):
        server.pages[f"/{n}.png"] = http(file(drawing(n)))
        images.append(Image(url=server.url(f"/{n}.png"), text=caption, page_url="https://page.example/a"))
    return IllustrateRequest(text=text, images=images, **options)


# -- by captions -------------------------------------------------------------------------------------------------------


async def test_images_by_their_captions(reader: PageReader, server: PageServer) -> None:
    captions = ["Our office party", "Cutters of reed on Lake Varn", "", "The Harrow Bridge", "Image 4", "bridge"]
    found = await reader.illustrate(request(server, captions))
    assert [(image.text, image.url) for image in found.images] == [
        ("The Harrow Bridge", server.url("/3.png")),
        ("Cutters of reed on Lake Varn", server.url("/1.png")),
    ]
    assert [ANSWER[image.start : image.end] for image in found.images] == [BRIDGE, REED]
    assert {(image.width, image.height, image.page_url) for image in found.images} == {(600, 400, "https://page.example/a")}
    assert 1 >= found.images[0].score >= found.images[1].score > 0.25
    assert (found.errors, found.usage.total_tokens) == ([], 0)
    assert sorted(server.paths) == ["/1.png", "/3.png", "/robots.txt"]  # what cannot fit is not fetched


async def test_a_passage_has_two_images_at_most_and_an_answer_as_many_as_were_asked_for(reader: PageReader, server: PageServer) -> None:
    captions = [*(f"The Harrow Bridge over the Ennet, {n}" for n in range(4)), "Reed on Lake Varn"]
    found = await reader.illustrate(request(server, captions))
    places = [image.start for image in found.images]
    assert sorted(places.count(place) for place in set(places)) == [1, 2]
    assert [image.score for image in found.images] == sorted((image.score for image in found.images), reverse=True)
    assert len((await reader.illustrate(request(server, captions, most=1))).images) == 1


async def test_one_picture_is_shown_once(reader: PageReader, server: PageServer) -> None:
    asked = request(server, ["The Harrow Bridge", "Harrow Bridge in winter", "Reed of Lake Varn"])
    server.pages["/1.png"] = http(file(drawing(0, 900, 600), "JPEG"))
    found = await reader.illustrate(asked)
    assert {(image.url, image.width, image.text) for image in found.images} == {
        (server.url("/1.png"), 900, "The Harrow Bridge"),
        (server.url("/2.png"), 600, "Reed of Lake Varn"),
    }


async def test_in_another_language(reader: PageReader, server: PageServer) -> None:
    text = (
        "哈罗桥是一座有顶的木桥，横跨恩内特河，由木匠以利亚于一八二四年建造，至今仍有马车通过，是全郡同类桥梁中最古老的一座，由石墩支撑。"
    )
    found = await reader.illustrate(request(server, ["恩内特河上的哈罗桥", "办公室聚会照片"], text))
    assert [image.text for image in found.images] == ["恩内特河上的哈罗桥"]


@pytest.mark.parametrize("text", ["", "Short.", "```\nthe harrow bridge over the river ennet, built in 1824\n```"])
async def test_nothing_to_illustrate(text: str, reader: PageReader, server: PageServer) -> None:
    found = await reader.illustrate(request(server, ["The Harrow Bridge"], text))
    assert (found.images, found.errors, server.paths) == ([], [], [])
    empty = await reader.illustrate(IllustrateRequest(text=ANSWER))
    assert (empty.images, empty.errors) == ([], [])


async def test_failures_are_one_line(reader: PageReader, server: PageServer) -> None:
    asked = request(server, ["The Harrow Bridge", "Harrow Bridge, east side", "Harrow Bridge, west side", "Reed of Lake Varn"])
    del server.pages["/0.png"]
    server.pages["/1.png"] = http("<svg/>", Content_Type="image/svg+xml")
    server.pages["/2.png"] = http(status=302, Location="http://10.0.0.1/a.png")
    found = await reader.illustrate(asked)
    assert [image.url for image in found.images] == [server.url("/3.png")]
    assert found.errors == [f"3 images could not be used: {server.url('/0.png')} answers HTTP 404"]


@pytest.mark.parametrize(("options", "field"), [({"most": 0}, "most"), ({"timeout_seconds": 0.0}, "timeout_seconds")])
async def test_invalid_requests(options: dict[str, Any], field: str, reader: PageReader, server: PageServer) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await reader.illustrate(request(server, ["The Harrow Bridge"], **options))
    assert raised.value.field == field


# -- by what they show -------------------------------------------------------------------------------------------------

LARGE = Allowance(tokens=1_000_000)


@pytest.fixture
async def seeing(scripted: ScriptedServer) -> AsyncIterator[PageReader]:
    settings = Settings(deepsearch_allow_hosts="127.0.0.1", jina_api_url=scripted.llm_url, jina_api_key=SecretStr("k"))
    reader = PageReader(settings=settings)
    yield reader
    await reader._close()


def sees(*shown: tuple[float, float, float]) -> Any:
    """A service to which images show these amounts of a bridge, of reed and of something else, in the order in which they come."""

    def answer(body: Any) -> Json:
        found = []
        for one in body["input"]:
            if "image" in one:
                assert base64.b64decode(one["image"]).startswith(b"\xff\xd8")
                amounts = shown[sum("image" in other for other in body["input"][: body["input"].index(one)])]
            else:
                amounts = (1.0, 0.0, 0.0) if "Bridge" in one["text"] else (0.0, 1.0, 0.0)
            found.append(in_base64([*amounts, *[0.0] * 509]))
        return Json(embeddings(found, tokens=4_321))

    return answer


async def test_images_by_what_they_show(seeing: PageReader, server: PageServer, scripted: ScriptedServer) -> None:
    scripted.embeddings.script(sees((0, 0, 1), (0.5, 0.1, 0.8), (0.1, 0.6, 0.8)))
    found = await seeing.illustrate(request(server, ["", "", ""], allowance=LARGE))
    assert [image.url for image in found.images] == [server.url("/2.png"), server.url("/1.png")]
    assert [ANSWER[image.start : image.end] for image in found.images] == [REED, BRIDGE]
    assert found.images[0].score == pytest.approx(0.6 / 1.01**0.5, abs=0.001)
    assert (found.errors, found.usage.provider_tokens) == ([], 4_321)


async def test_images_that_look_alike_are_shown_once(seeing: PageReader, server: PageServer, scripted: ScriptedServer) -> None:
    scripted.embeddings.script(sees((0.5, 0, 0.5), (0.6, 0, 0.5), (0, 0.5, 0.5)))
    found = await seeing.illustrate(request(server, ["", "", ""], allowance=LARGE))
    assert {image.url for image in found.images} == {server.url("/1.png"), server.url("/2.png")}


async def test_captions_decide_when_embedding_fails(seeing: PageReader, server: PageServer, scripted: ScriptedServer) -> None:
    scripted.embeddings.script(lambda body: Status(402, {"detail": "no balance"}))
    found = await seeing.illustrate(request(server, ["The Harrow Bridge", "Our office party"], allowance=LARGE))
    assert [image.text for image in found.images] == ["The Harrow Bridge"]
    assert len(found.errors) == 1
    assert found.errors[0].startswith("images were compared by their captions alone: Jina image embeddings ")


async def test_no_more_is_embedded_than_is_left_to_spend(seeing: PageReader, server: PageServer, scripted: ScriptedServer) -> None:
    captions = ["", "The Harrow Bridge", "Reed of Lake Varn"]
    scripted.embeddings.script(sees((0.5, 0, 0.5), (0, 0.5, 0.6)))
    found = await seeing.illustrate(request(server, captions, allowance=Allowance(tokens=8_500)))
    assert {image.text for image in found.images} == {"The Harrow Bridge", "Reed of Lake Varn"}
    assert found.errors == ["an image was left out: comparing more costs more tokens than are left"]
    found = await seeing.illustrate(request(server, captions, allowance=Allowance(tokens=3_000)))
    assert {image.text for image in found.images} == {"The Harrow Bridge", "Reed of Lake Varn"}
    assert found.errors == ["images were compared by their captions alone: comparing what they show costs more than the 3000 tokens left"]
    assert len(scripted.sent("/v1/embeddings")) == 1
