"""robots.txt: whose rules hold, what they match, and how sites are visited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.guarded import AddressPolicy, GuardedClient
from providers.reader.robots import PoliteVisits, Robots, parse_robots
from schemas.errors import ReadError
from tests.providers.guarded.page_server import PageServer, http


@pytest.mark.parametrize(
    ("rules", "path", "allowed"),
    [
        ("", "/", True),
        ("Disallow: /", "/", False),
        ("Disallow:", "/a", True),
        ("Disallow: /a", "/ab?c", False),
        ("Disallow: /a", "/b/a", True),
        ("Disallow: /a/\nAllow: /a/b", "/a/b/c", True),
        ("Allow: /a\nDisallow: /a", "/a", True),
        ("Disallow: /*.pdf$", "/x/y.pdf", False),
        ("Disallow: /*.pdf$", "/x/y.pdf?z", True),
        ("Disallow: /*/private*/x", "/a/private-b/x", False),
        ("Disallow: /a$", "/a", False),
        ("Disallow: /a$", "/ab", True),
        ("Disallow: *?session=", "/x?session=1", False),
        ("Disallow: /ab*b$", "/ab", True),
        ("disallow : /a # why", "/a", False),
        ("Disallow: /é", "/%C3%A9", False),
        ("Disallow: /%c3%a9", "/%C3%A9", False),
        ("Disallow /a\nnonsense\n:\n", "/a", True),
    ],
)
def test_rules(rules: str, path: str, allowed: bool) -> None:
    assert parse_robots(f"User-agent: *\n{rules}", "deepsearch").allows(path) is allowed


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("User-agent: other\nDisallow: /", True),
        ("User-agent: DeepSearch/2\nDisallow: /", False),
        ("User-agent: *\nDisallow: /\n\nUser-agent: deepsearch\nDisallow: /b", True),
        ("User-agent: deepsearch\nDisallow:\n\nUser-agent: *\nDisallow: /", True),
        ("User-agent: other\nUser-agent: deepsearch\nDisallow: /", False),
        ("User-agent: deepsearch\nUser-agent: other\nAllow: /b\nUser-agent: other\nDisallow: /", True),
        ("User-agent: deepsearch\nDisallow: /c\nUser-agent: other\nDisallow: /b\nUser-agent: deepsearch\nDisallow: /a", False),
        ("\ufeffUser-agent: *\r\nDisallow: /\r\n", False),
        ("Disallow: /", True),
        ("<html>not found</html>", True),
    ],
)
def test_groups(text: str, allowed: bool) -> None:
    assert parse_robots(text, "deepsearch").allows("/a") is allowed


def test_crawl_delay() -> None:
    for value, delay in (("2", 2.0), ("0.5", 0.5), ("3600", 5.0), ("-1", 0.0), ("soon", 0.0), ("1e9", 0.0)):
        assert parse_robots(f"User-agent: *\nCrawl-delay: {value}", "deepsearch").delay == delay


@given(st.text(), st.text())
def test_any_file_can_be_read(text: str, path: str) -> None:
    parse_robots(f"User-agent: *\nDisallow: {text}\n{text}", "deepsearch").allows(path)


def test_hostile_files_take_little_time() -> None:
    began = time.process_time()
    many = "".join(f"User-agent: a{n}\n" for n in range(15_000)) + "User-agent: *\n" + "Disallow: /b\n" * 15_000
    assert parse_robots(many, "deepsearch").allows("/a")
    stars = "User-agent: *\nDisallow: /" + "*a" * 100_000 + "*b$"
    assert parse_robots(stars, "deepsearch").allows("/" + "a" * 4_000)
    assert time.process_time() - began < 10


@pytest.fixture
async def server() -> AsyncIterator[PageServer]:
    async with PageServer() as server:
        yield server


class Visitor:
    """Visits to `server` with a clock that only sleeping moves."""

    def __init__(self, server: PageServer, *, obey: bool = True) -> None:
        self.policy = AddressPolicy("127.0.0.1")
        self.client = GuardedClient(self.policy, user_agent="deepsearch/0.1")
        self.now = 100.0
        self.slept: list[float] = []
        self.server = server
        self.visits = PoliteVisits(self.client, agent="deepsearch", obey=obey, now=lambda: self.now, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def visit(self, path: str) -> None:
        async with self.visits.visit(self.policy.check_url(self.server.url(path))):
            pass


@pytest.fixture
async def visitor(server: PageServer) -> AsyncIterator[Visitor]:
    visitor = Visitor(server)
    yield visitor
    await visitor.client.close()


async def test_the_file_is_fetched_once_and_again_after_an_hour(visitor: Visitor, server: PageServer) -> None:
    server.pages["/robots.txt"] = [http("User-agent: *\nDisallow: /a"), http("User-agent: *\nDisallow: /b")]
    await asyncio.gather(visitor.visit("/b"), visitor.visit("/b"), visitor.visit("/c"))
    with pytest.raises(ReadError, match=r"/a is not read: its robots\.txt forbids it$"):
        await visitor.visit("/a")
    assert server.paths == ["/robots.txt"]
    visitor.now += 3_600
    await visitor.visit("/a")
    with pytest.raises(ReadError):
        await visitor.visit("/b")
    assert server.paths == ["/robots.txt"] * 2


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (http(status=404), ""),
        (http(status=403), ""),
        (http("User-agent: *\nAllow: /\n#" + "x" * 600_000), ""),
        (http(status=503), "HTTP 503"),
        (http(status=302, Location="http://10.0.0.1/"), "10.0.0.1 is a private address"),
        (http("x", Content_Encoding="compress"), "not asked for: compress"),
    ],
)
async def test_files_that_are_not_there(visitor: Visitor, server: PageServer, answer: bytes, failure: str) -> None:
    server.pages["/robots.txt"] = answer
    if not failure:
        return await visitor.visit("/a")
    with pytest.raises(ReadError) as caught:
        await visitor.visit("/a")
    assert "its robots.txt cannot be read" in str(caught.value) and failure in str(caught.value)
    server.pages["/robots.txt"] = http()
    visitor.now += 300
    await visitor.visit("/a")
    return None


async def test_not_obeying(server: PageServer) -> None:
    server.pages["/robots.txt"] = http("User-agent: *\nDisallow: /\nCrawl-delay: 5")
    visitor = Visitor(server, obey=False)
    await visitor.visit("/a")
    await visitor.visit("/a")
    assert (server.paths, visitor.slept) == ([], [])


async def test_visits_are_spaced_as_asked(visitor: Visitor, server: PageServer) -> None:
    server.pages["/robots.txt"] = http("User-agent: *\nCrawl-delay: 2")
    await visitor.visit("/a")
    await visitor.visit("/a")
    visitor.now += 0.5
    await visitor.visit("/a")
    assert visitor.slept == [2.0, 1.5]


async def test_two_at_once(visitor: Visitor, server: PageServer) -> None:
    inside, most = 0, 0
    release = asyncio.Event()

    async def stay() -> None:
        nonlocal inside, most
        async with visitor.visits.visit(visitor.policy.check_url(server.url())):
            inside += 1
            most = max(most, inside)
            if inside == 2:
                release.set()
            await release.wait()
            inside -= 1

    await asyncio.gather(*(stay() for _ in range(6)))
    assert most == 2


def test_unknown_rules_allow_nothing() -> None:
    assert not Robots(failure="HTTP 500").allows("/")
