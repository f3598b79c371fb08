"""The trace of a run in a real browser: its bars, sums, failures and interruptions, live and afterwards."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from executors.controller.stages import STAGE_OF_ENDPOINT
from schemas import events as ev
from schemas.reading import Page
from schemas.reporting import Outline
from schemas.usage import Usage
from tests.gateway.page import traced
from tests.gateway.page.stored import Stored
from tests.gateway.page.tab import Tab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def doors() -> Iterator[tuple[Stored, str]]:
    stored = Stored()
    with stored.served() as url:
        yield stored, url


@pytest.fixture
def tabs(chromium: Any, doors: tuple[Stored, str]) -> Iterator[Any]:
    opened: list[Tab] = []

    def new(**options: Any) -> Tab:
        opened.append(Tab(chromium, doors[1], **options))
        return opened[-1]

    yield new
    for tab in opened:
        tab.close()


def look(tab: Tab, run: str) -> Any:
    """Open a run and its trace with the keyboard."""
    tab.page.goto(f"/?run={run}")
    summary = tab.page.locator(".trace > summary")
    summary.wait_for()
    summary.focus()
    tab.page.keyboard.press("Enter")
    tab.page.locator(".calls tbody.group").first.wait_for()
    return tab.page


def rows(page: Any) -> list[dict[str, Any]]:
    """What each call's row says, with the place of its bar as shares of the lane."""
    found = page.evaluate(
        """(COLUMNS) => [...document.querySelectorAll('.calls tr[data-state]')].map((row) => {
            const words = (name) => row.querySelector(`.of-${name}`).innerText.trim();
            const bar = row.querySelector('.call-bar');
            const lane = row.querySelector('.lane').getBoundingClientRect();
            const box = bar.getBoundingClientRect();
            const inner = lane.width - 16;
            return {
                step: row.parentElement.previousElementSibling.querySelector('.group-title').innerText,
                state: row.dataset.state, critical: 'critical' in row.dataset,
                from: (box.left - lane.left - 8) / inner, to: (box.right - lane.left - 8) / inner,
                ...Object.fromEntries(COLUMNS.map((name) => [name, words(name)])),
            };
        })""",
        ["stage", "start", "duration", "tokens", "cost", "searches", "pages", "outcome"],
    )
    return list(found)


def test_the_page_knows_the_stage_of_every_call(tabs: Any, doors: tuple[Stored, str]) -> None:
    tab = tabs()
    tab.page.goto("/")
    stages = tab.module("calls", "m.STAGES")
    assert stages.pop("delegate") == "controller"
    assert {f"/{kind}": stage for kind, stage in stages.items()} == STAGE_OF_ENDPOINT


def test_every_call_has_a_row_with_its_times_and_what_it_spent(tabs: Any, doors: tuple[Stored, str]) -> None:
    traced.everything().give(doors[0], "everything")
    page = look(tabs(), "everything")
    assert page.locator(".trace-sum").inner_text() == "14 calls · 1 failed"
    assert page.locator(".trace-head dd").all_inner_texts() == ["20.05 s", "19.95 s", "29.95 s"]
    told = rows(page)
    assert [(row["step"], row["stage"]) for row in told] == [
        ("Understanding the question", "query_planner /understand"),
        ("Step 1 · Searching", "url_ranker /rank"),
        ("Step 1 · Searching", "query_planner /decide"),
        ("Step 1 · Searching", "jina_searcher /search"),
        ("Step 2 · Reading", "url_ranker /rank"),
        ("Step 2 · Reading", "query_planner /decide"),
        *[("Step 2 · Reading", "page_reader /read")] * 4,
        ("Sharing the question", "query_planner /decompose"),
        *[("Sharing the question", "controller /delegate")] * 2,
        ("Sharing the question", "answer_finalizer /finalize"),
    ]
    search = told[3]
    assert (search["start"], search["duration"], search["searches"], search["outcome"]) == ("2.35 s", "1.50 s", "2", "done")
    assert (told[2]["tokens"], told[2]["cost"]) == ("1,200", "$0.0012")
    assert [row["outcome"] for row in told[6:10]] == ["done", "failed\nfailed", "interrupted", "done"]
    # Of 25 s on the axis; the first two reads overlap, and the time without a process takes no room.
    assert [(round(row["from"] * 25, 1), round(row["to"] * 25, 1)) for row in told[6:10]] == [
        (4.9, 6.9),
        (4.9, 8.9),
        (4.9, 8.9),
        (8.9, 11.9),
    ]
    assert [row["critical"] for row in told[6:]] == [False, True, False, True, True, True, False, True]
    assert (
        page.locator(".calls .pause").inner_text()
        == "Interrupted; taken up again after 2 min 2 s. Calls that were under way were made again."
    )
    step = page.locator(".calls .group").nth(2).locator("td").all_inner_texts()
    assert step[1:] == ["6 calls", "3.85 s", "8.05 s", "1,300", "$0.0012", "", "3", "1 failed"]


def test_a_failed_call_says_why_and_what_is_hostile_stays_text(tabs: Any, doors: tuple[Stored, str]) -> None:
    traced.everything().give(doors[0], "everything")
    page = look(tabs(), "everything")
    reason = page.locator(".calls [data-state=failed] .reason")
    assert reason.inner_text() == "reader: " + traced.HOSTILE.replace("\u202e", "")
    assert page.locator(".calls img, .calls script").count() == 0 and page.evaluate("window.__hit") is None


def test_a_researcher_of_a_team_is_one_link_away(tabs: Any, doors: tuple[Stored, str]) -> None:
    traced.everything().give(doors[0], "everything")
    traced.large(1).give(doors[0], "child-b")
    page = look(tabs(), "everything")
    links = page.locator(".calls").get_by_role("link", name="Open this research")
    assert [link.get_attribute("href") for link in links.all()] == ["/?run=child-a", "/?run=child-b"]
    links.nth(1).click()
    page.wait_for_url("**/?run=child-b")
    page.locator(".trace-sum", has_text="13 calls").wait_for()


def test_running_calls_grow_and_end_without_a_reload(tabs: Any, doors: tuple[Stored, str]) -> None:
    told = traced.under_way(time.time())
    told.give(doors[0], "live")
    page = look(tabs(), "live")
    running = page.locator(".calls tr[data-state=pending]")
    running.nth(1).wait_for()
    before = running.first.locator(".of-duration").inner_text()
    running.first.locator(".of-duration").filter(has_not_text=before).wait_for()
    widths = page.evaluate("[...document.querySelectorAll('.calls tr[data-state=pending] .call-bar')].map((bar) => bar.offsetWidth)")
    assert len(widths) == 2 and min(widths) > 50
    told.times.append(time.time())
    told.events.append(ev.PageRead(effect_id="r0", page=Page(page_id="p1", url="https://energy.example.org/study"), usage=Usage(pages=1)))
    running.nth(1).wait_for(state="detached")
    told.times.append(time.time())
    told.events.append(ev.RunEnded(outcome="interrupted"))
    page.locator(".calls tr[data-state=left]").wait_for()
    assert running.count() == 0 and page.locator(".calls tr[data-state=left] .of-outcome").inner_text() == "abandoned"


def test_three_hundred_calls_begin_as_steps_and_open_one_by_one(tabs: Any, doors: tuple[Stored, str]) -> None:
    traced.large().give(doors[0], "large")
    page = look(tabs(), "large")
    assert page.locator(".trace-sum").inner_text() == "301 calls · 1 failed"
    assert page.locator(".calls tbody.group").count() == 26
    visible = page.locator(".calls tr[data-state]:visible")
    assert visible.count() == 0
    step = page.get_by_role("button", name="Step 5 · Reading")
    assert step.get_attribute("aria-expanded") == "false"
    step.focus()
    page.keyboard.press("Enter")
    assert step.get_attribute("aria-expanded") == "true" and visible.count() == 12
    assert page.locator(".calls .reason:visible").inner_text() == "reader: The site did not answer."
    page.get_by_role("button", name="All calls", exact=True).click()
    assert visible.count() == 301
    scroller = page.locator(".trace-table")
    assert scroller.evaluate("element => [element.scrollHeight > 5000, element.clientHeight <= innerHeight]") == [True, True]
    scroller.focus()
    scrolled = "element => new Promise((done) => requestAnimationFrame(() => done(element.scrollTop > 3000)))"
    for _ in range(500):  # a key that comes before what was unfolded is laid out scrolls nothing
        page.keyboard.press("End")
        if scroller.evaluate(scrolled):
            break
    assert scroller.evaluate(scrolled)
    top = scroller.bounding_box()["y"]
    assert abs(page.locator(".calls thead th").first.bounding_box()["y"] - top) < 3  # the head stays
    page.get_by_role("button", name="Steps only").click()
    assert visible.count() == 0


def test_assistive_technology_finds_a_table(tabs: Any, doors: tuple[Stored, str]) -> None:
    traced.everything().give(doors[0], "everything")
    page = look(tabs(), "everything")
    table = page.get_by_role("table", name="Calls of the run, by step")
    heads = ["Call", "Timeline", "Stage", "Start", "Duration", "Tokens", "Cost", "Searches", "Pages", "Outcome"]
    assert [head for head in heads if table.get_by_role("columnheader", name=head).count() != 1] == []
    assert table.get_by_role("rowheader", name="Step 2 · Reading").count() == 1
    assert page.get_by_role("region", name="Calls of the run, by step").get_attribute("tabindex") == "0"
    critical = table.get_by_role("row").filter(has_text="slow.example.net")
    assert "Critical path" in critical.text_content() and "failed" in critical.text_content()


@pytest.mark.parametrize(("locale", "width"), [("en-GB", 390), ("ar", 390), ("ar", 1280)])
def test_it_scrolls_within_itself_and_runs_from_the_side_of_the_script(
    tabs: Any, doors: tuple[Stored, str], locale: str, width: int
) -> None:
    traced.everything().give(doors[0], "everything")
    page = look(tabs(locale=locale, viewport={"width": width, "height": 800}), "everything")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if width < 500:
        assert page.locator(".trace-table").evaluate("element => element.scrollWidth > element.clientWidth")
        page.locator(".trace-table").evaluate("element => element.scrollBy(document.dir === 'rtl' ? -300 : 300, 0)")
        name, table = page.locator(".calls thead .of-call").bounding_box(), page.locator(".trace-table").bounding_box()
        assert table["x"] - 1 <= name["x"] and name["x"] + name["width"] <= table["x"] + table["width"] + 1  # the calls' names stay
    bars = page.evaluate("[...document.querySelectorAll('.calls tr[data-state] .call-bar')].map((bar) => bar.getBoundingClientRect().x)")
    first, last = bars[0], bars[-1]
    assert first > last if locale == "ar" else first < last


def test_the_trace_keeps_to_the_colours_of_the_theme(tabs: Any, doors: tuple[Stored, str]) -> None:
    traced.everything().give(doors[0], "everything")
    painted = {}
    for scheme in ("light", "dark"):
        page = look(tabs(color_scheme=scheme), "everything")
        painted[scheme] = [
            page.locator(place).first.evaluate("element => getComputedStyle(element).backgroundColor")
            for place in (".trace-table", ".calls tr[data-stage=page_reader] .call-bar")
        ]
    assert painted["light"][0] == "rgb(255, 255, 255)" and painted["dark"][0] == "rgb(27, 30, 35)"
    assert painted["light"][1] != painted["dark"][1]


def test_what_waited_for_a_person_takes_no_time(tabs: Any, doors: tuple[Stored, str]) -> None:
    told = traced.Told()
    traced.understood(told)
    told.called(2, "o", "outline")
    told.say(4, ev.Outlined(effect_id="o", outline=Outline(title="A report")))
    told.say(304, ev.OutlineApproved(outline=Outline(title="A report")))
    told.called(304, "w", "section", "0")
    told.failed(306, "w", "model", "The model gave no section.")
    told.say(306, ev.RunEnded(outcome="failed", code="model", message="no section"))
    told.give(doors[0], "report")
    page = look(tabs(), "report")
    assert page.locator(".calls .pause").inner_text() == "Waited 5 min for the outline to be approved."
    assert page.locator(".trace-head dd").first.inner_text() == "6.00 s"


def test_accessibility_of_the_trace(tabs: Any, doors: tuple[Stored, str]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed").Axe()
    traced.everything().give(doors[0], "everything")
    traced.under_way(time.time()).give(doors[0], "live")
    for scheme in ("light", "dark"):
        for run in ("everything", "live"):
            page = look(tabs(color_scheme=scheme, reduced_motion="reduce"), run)
            result = axe.run(page).response
            found = [(one["id"], node["html"][:120], node["failureSummary"][:200]) for one in result["violations"] for node in one["nodes"]]
            assert len(result["passes"]) > 10 and found == [], (scheme, run)


def resumed(used: float) -> traced.Told:
    """A run that has used `used` seconds of its time by now; for 65 seconds of it, no process was there."""
    told = traced.Told()
    traced.understood(told)
    told.called(20, "r0", "read", "https://energy.example.org/study")
    told.say(85, ev.RunResumed())
    told.called(85, "r0", "read", "https://energy.example.org/study")
    told.times = [at - traced.START + time.time() - used - 65 for at in told.times]
    return told


def test_the_gauge_of_a_resumed_run_shows_the_time_that_it_used(tabs: Any, doors: tuple[Stored, str]) -> None:
    told = resumed(used=120)
    told.give(doors[0], "resumed")
    page = look(tabs(), "resumed")
    gauge, elapsed = page.locator(".gauges [data-of=time] .gauge-value"), page.locator(".elapsed")
    gauge.filter(has_text=re.compile(r"^2 min( \d+ s)? of 10 min$")).wait_for()
    assert re.fullmatch(r"2 min( \d+ s)?", elapsed.inner_text())
    assert re.fullmatch(r"2 min( \d+ s)?", page.locator(".trace-head dd").first.inner_text())


@pytest.mark.parametrize(
    ("locale", "width", "scheme"),
    [
        ("en-GB", 1200, "light"),
        ("de", 1200, "dark"),
        ("de", 390, "light"),
        ("zh-CN", 390, "light"),
        ("ar", 390, "light"),
        ("nl", 320, "light"),
    ],
)
def test_gauges_break_no_word_and_keep_their_height(tabs: Any, doors: tuple[Stored, str], locale: str, width: int, scheme: str) -> None:
    resumed(used=52).give(doors[0], "short")
    resumed(used=500).give(doors[0], "long")
    heights = []
    for run in ("short", "long"):
        tab = tabs(locale=locale, viewport={"width": width, "height": 800}, color_scheme=scheme)
        tab.page.goto(f"/?run={run}")
        tab.page.locator(".gauges li:nth-child(5)").wait_for()
        lines = tab.page.evaluate(
            """[...document.querySelectorAll('.gauge-name, .gauge-value, .brand span')].map((place) => {
                const range = document.createRange();
                range.selectNodeContents(place);
                return new Set([...range.getClientRects()].map((box) => box.top)).size;
            })"""
        )
        assert lines == [1] * 11
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        heights.append(tab.page.locator(".gauges").bounding_box()["height"])
    assert heights[0] == heights[1]
