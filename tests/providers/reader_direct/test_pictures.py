"""Images from a server on loopback: fetched within limits, measured by their bytes, each picture once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from providers.reader.picture_bytes import measure
from providers.reader.pictures import PictureReader
from schemas.errors import ReadError
from schemas.reading import Image
from schemas.settings import Settings
from tests.providers.guarded.page_server import PageServer, http
from tests.providers.reader_direct.drawn import drawing, file, png_claiming


@pytest.fixture
async def server() -> AsyncIterator[PageServer]:
    async with PageServer() as server:
        yield server


@pytest.fixture
async def pictures() -> AsyncIterator[PictureReader]:
    reader = PictureReader(Settings(deepsearch_allow_hosts="127.0.0.1"))
    yield reader
    await reader.close()


def named(server: PageServer, *paths: str) -> list[Image]:
    return [Image(url=server.url(path) if path.startswith("/") else path) for path in paths]


# -- bytes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_the_size_of_an_image(kind: str, mode: str) -> None:
    if (kind, mode) in {("JPEG", "RGBA"), ("JPEG", "P")}:
        return
    measured = measure(file(drawing(1).convert(mode), kind))
    assert (measured.width, measured.height, len(measured.cells)) == (600, 400, 32 * 32)
    copy = measure(file(drawing(1, 300, 300), "JPEG"))
    assert copy.copy.startswith(b"\xff\xd8")


def test_the_copy_fits_a_box_and_is_white_where_the_image_is_transparent() -> None:
    clear = drawing(1, 1_000, 500).convert("RGBA")
    clear.putalpha(0)
    measured = measure(file(clear))
    assert set(measured.cells) == {255}
    assert len(measured.copy) < 3_000


def test_a_small_image_is_not_decoded() -> None:
    measured = measure(file(drawing(1, 255, 900))[:200])
    assert (measured.width, measured.height, measured.cells, measured.copy) == (255, 900, b"", b"")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is no PNG, JPEG, GIF or WebP"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" width="600" height="400"/>', "is no PNG, JPEG, GIF or WebP"),
        (b"<html><body>Not found</body></html>", "is no PNG, JPEG, GIF or WebP"),
        (b"BM" + bytes(500), "is no PNG, JPEG, GIF or WebP"),
        (file(drawing(1), "TIFF"), "is no PNG, JPEG, GIF or WebP"),
        (file(drawing(1))[:1_000], "is damaged: "),
        (file(drawing(1), "JPEG")[:1_000], "is damaged: "),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "is damaged: "),
        (png_claiming(50_000, 50_000), "has 50000 x 50000 pixels, more than 25 million"),
        (png_claiming(80_000, 300), "is damaged: "),
        (png_claiming(2_000, 2_000), "is damaged: "),
    ],
)
def test_what_is_no_image_that_can_be_shown(data: bytes, reason: str) -> None:
    with pytest.raises(ReadError) as raised:
        measure(data)
    assert str(raised.value).startswith(reason)
    assert "\n" not in str(raised.value)


# -- fetching ----------------------------------------------------------------------------------------------------------


async def test_images_are_told_by_their_bytes(pictures: PictureReader, server: PageServer) -> None:
    server.pages["/a.html"] = http(file(drawing(1)), Content_Type="text/html")
    server.pages["/b.png"] = http("<html>no image</html>", Content_Type="image/png")
    server.pages["/c.png"] = http("<svg xmlns='http://www.w3.org/2000/svg'/>", Content_Type="image/svg+xml")
    found, errors = await pictures.read(named(server, "/a.html", "/b.png", "/c.png"), 20)
    assert [(p.image.url, p.measured.width, p.measured.height) for p in found] == [(server.url("/a.html"), 600, 400)]
    assert errors == [f"2 images could not be used: {server.url('/b.png')} is no PNG, JPEG, GIF or WebP"]


async def test_small_images_and_repeated_ones_are_left_out(pictures: PictureReader, server: PageServer) -> None:
    picture = drawing(1)
    server.pages |= {
        "/a.jpg": http(file(picture.resize((300, 200)), "JPEG", quality=70)),
        "/same-bytes": http(file(picture.resize((300, 200)), "JPEG", quality=70)),
        "/large.webp": http(file(drawing(1, 1_200, 800), "WEBP")),
        "/other.png": http(file(drawing(2))),
        "/icon.png": http(file(drawing(3, 64, 64))),
        "/low.png": http(file(drawing(4, 2_000, 200))),
    }
    found, errors = await pictures.read(
        named(server, "/a.jpg", "/other.png", "/same-bytes", "/large.webp", "/icon.png", "/low.png", "/other.png"), 20
    )
    assert [p.image.url for p in found] == [server.url("/large.webp"), server.url("/other.png")]
    assert errors == []
    assert server.paths.count("/other.png") == 1


async def test_different_pictures_stay_apart(pictures: PictureReader, server: PageServer) -> None:
    paths = [f"/{seed}.png" for seed in range(12)]
    server.pages |= {path: http(file(drawing(seed))) for seed, path in enumerate(paths)}
    found, errors = await pictures.read(named(server, *paths), 20)
    assert [p.image.url for p in found] == [server.url(path) for path in paths]
    assert errors == []


async def test_no_more_than_forty_are_fetched(pictures: PictureReader, server: PageServer) -> None:
    paths = [f"/{n}" for n in range(60)]
    assert (await pictures.read(named(server, *paths), 20))[0] == []
    assert sorted(server.paths) == sorted(["/robots.txt", *paths[:40]])


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/a.png",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/a.png",
        "http://localhost/a.png",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "http://user:pw@example.org/a.png",
        "http://example.org:22/a.png",
    ],
)
async def test_addresses_that_are_refused(url: str, pictures: PictureReader, server: PageServer) -> None:
    server.pages["/redirect"] = http(status=302, Location=url)
    found, errors = await pictures.read(named(server, url, "/redirect"), 20)
    assert found == []
    assert len(errors) == 1
    assert errors[0].startswith("2 images could not be used: refused: ")


async def test_a_name_that_means_a_private_address() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    reader = PictureReader(Settings(reader_robots=False), resolve=resolve)
    found, errors = await reader.read([Image(url="http://images.example:8080/a.png")], 20)
    await reader.close()
    assert found == []
    assert errors[0].startswith("an image could not be used: refused: images.example (127.0.0.1) is a loopback address")


async def test_more_than_twenty_megabytes(pictures: PictureReader, server: PageServer) -> None:
    async def endless(writer: Any) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n" + file(drawing(1)))
        for _ in range(300):
            writer.write(bytes(100_000))
            await writer.drain()

    server.pages["/announced"] = b"HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n" + file(drawing(1))
    server.pages["/endless"] = endless
    found, errors = await pictures.read(named(server, "/announced", "/endless"), 20)
    assert found == []
    assert errors == [f"2 images could not be used: {server.url('/announced')} is larger than 20,000,000 bytes"]


async def test_what_robots_txt_forbids_is_not_fetched(pictures: PictureReader, server: PageServer) -> None:
    server.pages["/robots.txt"] = http("User-agent: *\nDisallow: /private/")
    server.pages["/private/a.png"] = http(file(drawing(1)))
    found, errors = await pictures.read(named(server, "/private/a.png"), 20)
    assert found == []
    assert errors == [f"an image could not be used: {server.url('/private/a.png')} is not read: its robots.txt forbids it"]
    assert server.paths == ["/robots.txt"]


async def test_what_does_not_arrive_in_time_is_left_out(pictures: PictureReader, server: PageServer) -> None:
    asked = asyncio.Event()

    async def never(writer: Any) -> None:
        asked.set()
        await asyncio.Event().wait()

    server.pages["/slow.png"] = never
    found, errors = await pictures.read(named(server, "/missing.png", "/slow.png"), 2)
    assert found == []
    assert errors == [
        f"an image could not be used: {server.url('/missing.png')} answers HTTP 404",
        "an image did not arrive within 2.0 s",
    ]
    assert asked.is_set()
    assert await pictures.read(named(server, "/missing.png"), 0) == ([], ["an image did not arrive within 0.0 s"])
