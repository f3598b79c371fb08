"""The web page in a real browser, before a real Flow."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.gateway.flow_process import kill, start_flow
from tests.gateway.page import sessions
from tests.gateway.page.page_flow import KEY, Served
from tests.gateway.page.tab import REFUSED, Tab

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def tabs(chromium: Any, served: Served) -> Iterator[Any]:
    opened: list[Tab] = []

    def new(**options: Any) -> Tab:
        opened.append(Tab(chromium, served.url, **options))
        return opened[-1]

    yield new
    for tab in opened:
        tab.close()


@pytest.fixture
def tab(tabs: Any) -> Tab:
    made: Tab = tabs()
    return made


@pytest.fixture(scope="module")
def finished(served: Served) -> str:
    """Id of a run of the full session that has ended."""
    response = httpx.post(f"{served.url}/v1/research", json={"question": sessions.FULL}, timeout=30)
    return until_ended(served, response.json()["run_id"])


def begin_hostile(served: Served) -> str:
    """Id of a run of the hostile session, whose statements are not checked: everything that is hostile stays in its answer."""
    asked = {"question": sessions.HOSTILE, "citations": "off"}
    run: str = httpx.post(f"{served.url}/v1/research", json=asked, timeout=30).json()["run_id"]
    return run


def until_ended(served: Served, run: str) -> str:
    with httpx.stream("GET", f"{served.url}/v1/research/{run}/events", timeout=60) as events:
        assert "run_ended" in [line.removeprefix("event: ") for line in events.iter_lines()]
    return run


def test_from_a_question_over_the_trail_to_the_answer_and_its_quote(tab: Tab, served: Served) -> None:
    gate = served.sessions.gate(sessions.FULL, 3)
    tab.ask(sessions.FULL)
    page = tab.page
    page.get_by_text("Deciding what to do next").wait_for()
    page.locator(".entry.page[data-state=failed]").wait_for()
    assert page.locator("h1").inner_text() == sessions.FULL
    assert tab.texts(".step h3 span:first-of-type") == ["Understanding the question", "Searching", "Reading"]
    assert "heat pump field study cold climate" in tab.texts(".entry.query .query-text")
    assert all(re.fullmatch(r"\d+ results? · jina", count) for count in tab.texts(".entry.query .count"))
    assert "slow.example.net" in tab.texts(".entry.page[data-state=failed] .host")
    assert "could not be resolved" in page.locator(".entry.page[data-state=failed] .reason").first.inner_text()
    assert tab.texts(".entry.thought p")[0].startswith("I know the theory")
    assert page.get_by_role("meter", name="Searches").get_attribute("aria-valuenow") == "3"
    assert page.get_by_role("meter", name="Pages").get_attribute("aria-valuemax") == "200"
    gate.open()
    tab.ended()
    assert tab.texts(".entry.draft summary") == ["Draft, rejected", "Draft, accepted"]
    assert tab.texts(".entry.check > span:not(.sign):not(.reason)") == ["Rejected by strict review", "Passed the check"]
    assert page.locator(".answer .prose li").count() == 3
    assert [text[:3] for text in page.locator(".answer .prose > .scroll td[data-align=right]").all_inner_texts()] == ["2.3", "1.9"]
    assert page.locator(".source-title").all_inner_texts()[0] == "Heat pumps in cold climates: a field study of 57 houses"
    facts = dict(zip(page.locator(".facts dt").all_inner_texts(), page.locator(".facts dd").all_inner_texts(), strict=True))
    assert facts["Searches"] == "4" and float(facts["Time"].removesuffix(" s")) > 0

    page.get_by_role("button", name="Footnote 1: show the quote").first.click()
    dialog = page.get_by_role("dialog")
    marked = dialog.locator("mark")
    marked.wait_for()
    assert marked.inner_text().startswith(sessions.QUOTE)
    run = page.url.partition("run=")[2]
    reference = httpx.get(f"{served.url}/v1/research/{run}").json()["answer"]["references"][0]
    assert marked.inner_text() == reference["quote"] and reference["start"] > 1_000
    assert marked.evaluate("element => { const box = element.getBoundingClientRect(); return box.top > 0 && box.bottom < innerHeight }")
    assert "Nov 2023" in dialog.inner_text()
    assert dialog.get_by_role("link").get_attribute("href") == sessions.STUDY
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    assert page.evaluate("document.activeElement.className") == "cite"


def test_reloading_in_the_middle_shows_everything_once(tab: Tab, served: Served) -> None:
    gate = served.sessions.gate(sessions.FULL, 3)
    tab.ask(sessions.FULL)
    page = tab.page
    page.locator(".entry.page[data-state=done]").nth(1).wait_for()
    page.locator(".entry.page[data-state=failed]").wait_for()
    before = tab.texts(".step .entry")
    page.reload()
    page.locator(".entry.page[data-state=failed]").wait_for()
    page.get_by_text("Deciding what to do next").wait_for()
    assert tab.texts(".step .entry") == before
    gate.open()
    tab.ended()
    live = tab.texts(".step .entry")
    page.reload()
    tab.ended()
    assert tab.texts(".step .entry") == live and len(live) > len(before)


def test_a_shared_link_shows_a_finished_run_and_history_lists_it(tabs: Any, finished: str) -> None:
    tab = tabs()
    page = tab.page
    page.goto(f"/?run={finished}")
    tab.ended()
    page.get_by_role("button", name="Copy link").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    other = tabs()
    other.page.goto("/")
    entry = other.page.locator(f".history-list a[href='/?run={finished}']")
    entry.click()
    other.ended()
    assert other.page.locator(".answer .prose").inner_text() == page.locator(".answer .prose").inner_text()
    other.page.go_back()
    other.page.get_by_role("heading", name="What do you want to know?").wait_for()
    other.page.go_forward()
    other.ended()


def test_the_trace_of_a_real_run_has_every_call_of_its_journal(tab: Tab, served: Served, finished: str) -> None:
    called, failed, usage = [], 0, httpx.get(f"{served.url}/v1/research/{finished}").json()["answer"]["usage"]
    with httpx.stream("GET", f"{served.url}/v1/research/{finished}/events", timeout=60) as events:
        for line in events.iter_lines():
            if line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                failed += event["type"] == "call_failed"
                if event["type"] == "stage_called":
                    called.append(event["data"]["effect"]["kind"])
    page = tab.page
    page.goto(f"/?run={finished}")
    tab.ended()
    page.locator(".trace > summary").click()
    page.locator(".calls tr[data-state]").nth(len(called) - 1).wait_for()
    assert [stage.rpartition("/")[2] for stage in tab.texts(".calls tr[data-state] .of-stage")] == called
    assert page.locator(".calls tr[data-state=failed]").count() == failed > 0
    assert page.locator(".calls tr[data-state=failed] .reason").first.inner_text() != ""
    pages = [int(text or 0) for text in tab.texts(".calls tr[data-state] .of-pages")]
    searches = [int(text or 0) for text in tab.texts(".calls tr[data-state] .of-searches")]
    assert (sum(pages), sum(searches)) == (usage["pages"], usage["searches"])


def test_the_answer_is_copied_as_markdown_with_footnotes(tab: Tab, finished: str) -> None:
    page = tab.page
    page.goto(f"/?run={finished}")
    tab.ended()
    page.get_by_role("button", name="Copy as Markdown").click()
    page.get_by_role("button", name="Copied").wait_for()
    text = page.evaluate("navigator.clipboard.readText()")
    assert "- **Efficiency:** At −20 °C the 57 monitored heat pumps" in text and "[^1]" in text.split("\n[^1]:")[0]
    definition = f"[^1]: [Heat pumps in cold climates: a field study of 57 houses](<{sessions.STUDY}>): “{sessions.QUOTE}"
    assert definition in text


def test_a_follow_up_carries_the_conversation(tab: Tab, served: Served, finished: str) -> None:
    page = tab.page
    page.goto(f"/?run={finished}")
    tab.ended()
    page.get_by_label("Ask a follow-up question").fill(sessions.PLAIN)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "run=" in url and finished not in url)
    tab.ended()
    assert page.locator("h1").inner_text() == sessions.PLAIN
    run = page.url.partition("run=")[2]
    with httpx.stream("GET", f"{served.url}/v1/research/{run}/events", timeout=60) as events:
        first = next(line for line in events.iter_lines() if line.startswith("data: "))
    assert sessions.FULL in first and "Efficiency" in first and "[^1]" not in first


def test_language_and_colours_are_switched_and_remembered(tabs: Any, finished: str) -> None:
    tab = tabs(color_scheme="light")
    page = tab.page
    page.goto(f"/?run={finished}")
    tab.ended()
    page.get_by_label("Language of this page").select_option("zh")
    page.get_by_text("已完成").wait_for()
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    assert page.get_by_role("heading", name="来源").count() == 1 and "Sources" not in page.locator("body").inner_text()
    light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.get_by_role("button", name="深色").click()
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert light != dark
    page.reload()
    page.get_by_text("已完成").wait_for()
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == dark


@pytest.mark.parametrize(
    ("locale", "title"), [("zh-CN", "想了解什么？"), ("de-AT", "Was möchten Sie wissen?"), ("fi-FI", "What do you want to know?")]
)
def test_the_browsers_language_is_taken_when_there_is_one(tabs: Any, locale: str, title: str) -> None:
    tab = tabs(locale=locale, color_scheme="dark")
    tab.page.goto("/")
    tab.page.get_by_role("heading", name=title).wait_for()
    assert tab.page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_the_keyboard_is_enough(tab: Tab) -> None:
    page = tab.page
    page.goto("/")
    page.locator("#question:focus").wait_for()
    page.keyboard.type(sessions.PLAIN)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Ask"
    page.keyboard.press("Enter")
    tab.ended()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "cite":
            break
    page.keyboard.press("Enter")
    page.locator("dialog mark").wait_for()
    assert page.evaluate("document.activeElement.closest('dialog') !== null")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.className") == "cite"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_narrow_page_never_scrolls_sideways(tabs: Any, served: Served, finished: str) -> None:
    hostile = begin_hostile(served)
    until_ended(served, hostile)
    for width in (320, 390, 768, 1280):
        tab = tabs(viewport={"width": width, "height": 700})
        for address in ("/", f"/?run={finished}", f"/?run={hostile}"):
            tab.page.goto(address)
            tab.page.locator(".below > *, .run[data-state=finished]").first.wait_for()
            for details in tab.page.locator("details:not([open]) > summary").all():
                if details.is_visible():
                    details.click()
            sizes = tab.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert sizes[0] <= sizes[1], (width, address)


def test_nothing_hostile_runs_or_is_fetched(tab: Tab, served: Served) -> None:
    tab.page.goto(f"/?run={begin_hostile(served)}")
    tab.ended()
    page = tab.page
    closed = page.locator(".trail details:not([open]) > summary")
    while closed.count():  # opening one takes it out of this list
        closed.first.click()
    assert page.evaluate("window.__hit") is None
    shown = page.locator(".answer .prose")
    assert shown.locator("script, img, svg:not(.icon), iframe, math, style, b").count() == 0
    assert "<script>window.__hit = 1</script>" in shown.inner_text()
    addresses = [link.get_attribute("href") for link in page.locator("main a[target=_blank]").all()]
    assert "https://good.example.org/a?b=c" in addresses and "mailto:someone@example.org" in addresses
    assert {re.match(r"[a-z]+:", address)[0] for address in addresses} <= {"https:", "http:", "mailto:"}  # type: ignore[index]
    assert {link.get_attribute("rel") for link in page.locator("main a[target=_blank]").all()} == {"noopener noreferrer nofollow"}
    text = page.locator("body").inner_text()
    assert not set(text) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert len(page.locator(".entry.page .page-title").first.inner_text()) <= 160
    page.locator("button.page-title").first.click()
    page.get_by_role("dialog").locator(".page-text", has_text="Kettles of the malicious page").wait_for()
    assert page.get_by_role("dialog").locator("script, img").count() == 0
    assert page.evaluate("window.__hit") is None
    assert {url.split("?")[0].split("/v1/")[0].split("/assets/")[0].rstrip("/") for url in tab.requests} == {served.url}


@pytest.mark.parametrize(
    "text",
    [
        "<svg><style><img src=x onerror=window.__hit=1></style></svg>",
        '<noscript><p title="</noscript><img src=x onerror=window.__hit=1>">',
        '<form><math><mtext></form><form><mglyph><svg><mtext><style><path id="</style><img onerror=window.__hit=1 src>">',
        "[x](&#106;avascript:window.__hit=1) [y](\x01javascript:window.__hit=1) [z]( JaVaScRiPt:window.__hit=1 )",
        "[a]: javascript:window.__hit=1\n\n[a] <javascript:window.__hit=1> <data:text/html,x>",
        '![x](data:image/svg+xml;base64,PHN2Zz4=) ![y](https://tracker.example.org/p.png "t")',
        '[x](https://a.example.org/"onmouseover=window.__hit=1) `<img onerror=window.__hit=1>`',
        "[^1] [^99] [^x] `[^1]` [^1](javascript:window.__hit=1)",
        "> " * 500 + "deep",
        "*" * 20_000 + "[" * 20_000 + "`" * 9_999,
        "| a |\n|---|\n" + "| <img src=x onerror=window.__hit=1> |\n" * 50,
    ],
)
def test_hostile_markdown_makes_only_harmless_elements(tab: Tab, text: str) -> None:
    tab.page.goto("/")
    tab.page.locator(".below > *").first.wait_for()
    made = tab.module(
        "markdown",
        """(() => {
            const holder = document.body.appendChild(document.createElement('div'));
            holder.append(m.render(v[0]));
            const all = [...holder.querySelectorAll('*')];
            return { tags: [...new Set(all.map((one) => one.localName))],
                     names: [...new Set(all.flatMap((one) => one.getAttributeNames()))],
                     links: all.filter((one) => one.href).map((one) => one.protocol), hit: window.__hit ?? null };
        })()""",
        text,
    )
    allowed = "p blockquote ul ol li hr div table thead tbody tr th td strong em s br h3 h4 h5 h6 span a code pre sup"
    assert set(made["tags"]) <= set(allowed.split())
    assert set(made["names"]) <= {"class", "href", "rel", "target", "tabindex", "dir", "data-align"}
    assert set(made["links"]) <= {"https:", "http:", "mailto:"} and made["hit"] is None
    assert not [url for url in tab.requests if "example.org" in url]


def test_offsets_of_characters_become_offsets_of_utf16(tab: Tab) -> None:
    tab.page.goto("/")
    text = "a😀b𝒳c\n日本é́🏳️‍🌈 end"
    for start in range(len(text) + 1):
        for end in range(start, len(text) + 1):
            assert tab.module("text", "v[0].slice(m.unitIndex(v[0], v[1]), m.unitIndex(v[0], v[2]))", text, start, end) == text[start:end]
    assert tab.module("text", "m.characters(v[0])", text) == len(text)
    start = text.index("𝒳")
    found = tab.module("quote", "m.locate(v[0], v[1])", text, {"start": start, "end": start + 2, "quote": "𝒳c"})
    assert found == [start + 1, start + 4]
    assert tab.module("quote", "m.locate(v[0], v[1])", text, {"start": 0, "end": 2, "quote": "𝒳c"}) == [start + 1, start + 4]
    assert tab.module("quote", "m.locate(v[0], v[1])", text, {"start": 0, "end": 2, "quote": "absent"}) is None


def test_frames_of_a_stream_are_read_however_they_are_cut(tab: Tab) -> None:
    tab.page.goto("/")
    stream = (
        ': keep-alive\n\nid: 1\nevent: a\ndata: {"x":"😀"}\n\nid: 2\r\ndata: one\r\ndata: two\r\n\r\ndata:tight\n\nid: 9\ndata: cut off'
    )
    expected = [["1", "a", '{"x":"😀"}'], ["2", "", "one\ntwo"], [None, "", "tight"]]
    for size in (1, 2, 3, 7, 1_000):
        found = tab.module(
            "api",
            """(async () => {
                const bytes = new TextEncoder().encode(v[0]);
                const source = new ReadableStream({ start(control) {
                    for (let at = 0; at < bytes.length; at += v[1]) control.enqueue(bytes.slice(at, at + v[1]));
                    control.close();
                } });
                const all = [];
                for await (const frame of m.frames(source)) all.push([frame.id, frame.event, frame.data]);
                return all;
            })()""",
            stream,
            size,
        )
        assert found == expected, size


def test_the_answer_grows_by_characters_and_may_begin_anew(tab: Tab) -> None:
    tab.page.goto("/")
    pieces = [("😀 a", 0), (" b", 3), ("X", 3), ("new", 0), (" end", 3)]
    events = [{"type": "answer_delta", "sequence": 0, "data": {"text": text, "offset": offset}} for text, offset in pieces]
    script = "v[0].map((event) => (v.run ??= new m.Run('r'), v.run.take(event), v.run.written))"
    assert tab.module("run", script, events) == ["😀 a", "😀 a b", "😀 aX", "new", "new end"]


def test_what_is_wrong_is_said(tab: Tab) -> None:
    tab.expected = REFUSED
    page = tab.page
    page.goto("/?run=nobody")
    page.get_by_role("alert").get_by_text("No run nobody is known here. It may have been deleted.").wait_for()
    assert "deepsearch runs" not in page.content()
    page.goto("/")
    page.get_by_role("button", name="Ask").click()
    page.get_by_text("Write a question first.").wait_for()
    page.get_by_text("Options").click()
    page.get_by_label("Time limit in minutes").fill("0.001")
    page.get_by_label("Your question").fill("Why?")
    page.keyboard.press("Control+Enter")
    page.get_by_role("alert").get_by_text("budget_seconds").wait_for()


def test_a_server_that_cannot_be_reached_is_said_and_tried_again(tab: Tab) -> None:
    tab.expected = REFUSED
    page = tab.page
    page.route("**/v1/**", lambda route: route.abort())
    page.goto("/")
    page.get_by_role("alert").get_by_text("The server cannot be reached.").wait_for()
    page.get_by_label("Your question").fill(sessions.PLAIN)
    page.get_by_role("button", name="Ask").click()
    page.locator("#ask-problem", has_text="The server cannot be reached.").wait_for()
    assert page.get_by_label("Your question").input_value() == sessions.PLAIN
    page.unroute("**/v1/**")
    page.get_by_role("button", name="Try again").click()
    page.locator(".below section").wait_for()
    page.get_by_role("button", name="Ask").click()
    tab.ended()


def test_an_interrupted_run_is_resumed(tab: Tab, served: Served) -> None:
    gate = served.sessions.gate(sessions.FULL, 3)
    with httpx.stream("GET", f"{served.url}/research/stream", params={"question": sessions.FULL, "run_id": "left"}, timeout=60) as stream:
        for line in stream.iter_lines():
            if '"page_read"' in line:
                break
    page = tab.page
    page.goto("/?run=left")
    tab.ended("interrupted")
    page.get_by_text("It can be resumed").wait_for()
    page.get_by_role("button", name="Resume").click()
    tab.page.locator(".run[data-state=running]").wait_for()
    page.get_by_text("The research goes on where it was interrupted.").wait_for()
    gate.open()
    tab.ended()
    assert page.locator(".entry.resumed").count() == 1 and page.locator(".answer .prose li").count() == 3


def test_a_key_is_asked_for_when_the_server_wants_one(chromium: Any, guarded: str) -> None:
    tab = Tab(chromium, guarded)
    tab.expected = REFUSED
    page = tab.page
    page.goto("/")
    page.get_by_label("API key").fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_text("The server refused that key.").wait_for()
    page.get_by_label("API key").fill(KEY)
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for(state="detached")
    page.locator(".below section").wait_for()
    page.reload()
    page.locator(".below section").wait_for()
    assert page.get_by_role("dialog").count() == 0
    assert page.evaluate("[Object.keys(localStorage), document.cookie]") == [[], ""]
    assert KEY not in " ".join(tab.requests)
    page.evaluate("sessionStorage.clear()")
    page.reload()
    page.get_by_role("button", name="Cancel").click()
    page.locator(".banner").wait_for()
    tab.close()


def test_cross_checks_of_accessibility(tabs: Any, served: Served, finished: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed").Axe()
    for scheme in ("light", "dark"):
        tab = tabs(color_scheme=scheme, reduced_motion="reduce")
        for address in ("/", f"/?run={finished}"):
            tab.page.goto(address)
            tab.page.locator(".below > *, .run[data-state=finished]").first.wait_for()
            for summary in tab.page.locator("details:not([open]) > summary").all():
                if summary.is_visible():
                    summary.click()
            check(axe, tab, address)
        tab.page.locator("button.cite").first.click()
        tab.page.locator("dialog mark").wait_for()
        check(axe, tab, "dialog")
    assert tab.page.evaluate("document.getAnimations().length") == 0


def check(axe: Any, tab: Tab, where: str) -> None:
    result = axe.run(tab.page).response
    found = result["violations"]
    assert len(result["passes"]) > 10  # it has looked
    told = [(one["id"], node["html"][:120], node["failureSummary"][:200]) for one in found for node in one["nodes"]]
    assert told == [], where


def test_an_answer_without_a_language_model_says_so(chromium: Any, guarded: str) -> None:
    """From files: their names stand for addresses, and nothing links to a place that a browser cannot open."""
    tab = Tab(chromium, guarded)
    tab.page.add_init_script(f"sessionStorage.setItem('deepsearch.key', '{KEY}')")
    tab.page.goto("/")
    tab.page.get_by_role("heading", name="For example").wait_for()
    tab.page.locator(".example").first.click()
    assert tab.page.get_by_label("Your question").input_value() == tab.page.locator(".example").first.inner_text()
    tab.ask("In how many minutes does an electric kettle boil one litre of water?")
    tab.ended()
    assert "No language model was used" in tab.page.locator(".notes").inner_text()
    assert "No language model: extractive mode" in tab.texts(".entry.plan p")
    assert tab.texts(".source-place") == ["K kettles.md"] and tab.page.locator("main a:not([download])").count() == 0
    tab.page.locator(".sources button").click()
    assert tab.page.locator("dialog mark").inner_text() == "An electric kettle boils one litre of water in three minutes."
    tab.close()


def test_a_report_is_written_from_the_outline_that_was_approved_and_is_downloaded(chromium: Any, guarded: str) -> None:
    tab = Tab(chromium, guarded)
    page = tab.page
    page.add_init_script(f"sessionStorage.setItem('deepsearch.key', '{KEY}')")
    page.goto("/")
    page.get_by_text("Options").click()
    page.get_by_label("Report", exact=True).check()
    page.get_by_label("Show me the outline first").check()
    page.get_by_label("Your question").fill("How does an electric kettle boil water, and how does a toaster brown bread?")
    page.keyboard.press("Control+Enter")
    tab.ended("waiting")
    page.get_by_label("Heading").first.fill("What the files say")
    page.get_by_role("button", name="Write the report").click()
    tab.ended()
    assert "What the files say" in page.locator(".answer .prose").inner_text()
    assert re.fullmatch(r"(\d+) statements?: \1 supported", page.locator(".answer .support p").inner_text())
    assert page.locator(".answer button.verdict[data-verdict=supported]").count() > 0
    with page.expect_download() as expected:
        page.get_by_role("link", name="Download as Markdown").click()
    assert expected.value.suggested_filename.endswith(".md") and "What the files say" in expected.value.path().read_text()
    assert KEY not in " ".join(tab.requests)
    tab.close()


def test_the_browser_itself_refuses_markup_made_from_text(tab: Tab) -> None:
    tab.page.goto("/")
    tab.page.locator(".below > *").first.wait_for()
    refused = (
        """() => { try { document.body.innerHTML = '<b>x</b>'; return false; } catch (error) { return error instanceof TypeError; } }"""
    )
    with tab.page.expect_console_message(lambda message: "CSP require-trusted-types-for" in message.text):
        assert tab.page.evaluate(refused)
    tab.expected = re.compile("TrustedHTML|require-trusted-types-for")


def test_a_crash_of_the_service_loses_nothing(tab: Tab, served: Served) -> None:
    """The job is taken up again by the service that is started anew, and the page by itself: every step is there, once."""
    tab.expected = REFUSED
    gate = served.sessions.gate(sessions.FULL, 3)
    tab.ask(sessions.FULL)
    page = tab.page
    page.locator(".entry.page[data-state=failed]").wait_for()
    before = tab.texts(".step .entry")
    kill(served.process)
    page.get_by_role("alert").get_by_text("The connection is lost.").wait_for()
    served.process = start_flow(served.settings, served.log)
    gate.open()
    tab.ended()
    entries = tab.texts(".step .entry")
    assert entries[: len(before)] == before and "The research goes on where it was interrupted." in entries
    assert page.locator(".answer .prose li").count() == 3
    assert page.get_by_text("The connection is lost.").count() == 0
    page.locator(".trace > summary").click()
    page.locator(".calls .pause[data-pause=resumed]").wait_for()
    assert tab.texts(".calls tr[data-state=interrupted] .of-stage") == ["query_planner /decide"]
    assert page.locator(".calls tr[data-state=interrupted] ~ .pause ~ tr[data-state=done]").first.locator(".of-stage").inner_text() == (
        "query_planner /decide"
    )


def test_the_page_is_served_with_a_strict_policy(served: Served) -> None:
    response = httpx.get(f"{served.url}/")
    policy = response.headers["content-security-policy"]
    for directive in (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:", "base-uri 'none'",
        "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
    ):  # fmt: skip
        assert directive in policy.split("; ")
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff" and response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search(r"<script(?![^>]*src=)|style=|\son\w+=|https?://", response.text)
    known = httpx.get(f"{served.url}/", headers={"If-None-Match": response.headers["etag"]})
    assert known.status_code == 304 and known.content == b""
    script = httpx.get(f"{served.url}/assets/main.js")
    assert script.headers["content-type"].startswith("text/javascript") and "etag" in script.headers
    assert httpx.head(f"{served.url}/").status_code == 200
    for path in ("/assets/../routes.py", "/assets/%2e%2e/routes.py", "/assets/vendor/README.md", "/assets/", "/assets/nothing.js"):
        answer = httpx.get(f"{served.url}{path}")
        assert answer.status_code == 404 and answer.json()["error"]["code"] == "not_found"
