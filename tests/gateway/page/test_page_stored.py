"""The page in a real browser before stored runs: verdicts on statements, outlines, teams, files, languages."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.page import stored
from tests.gateway.page.stored import Stored
from tests.gateway.page.tab import REFUSED, Tab

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def doors() -> Iterator[tuple[Stored, str]]:
    told = Stored()
    with told.served() as url:
        yield told, url


@pytest.fixture
def tabs(chromium: Any, doors: tuple[Stored, str]) -> Iterator[Any]:
    opened: list[Tab] = []

    def new(**options: Any) -> Tab:
        opened.append(Tab(chromium, doors[1], **options))
        return opened[-1]

    yield new
    for tab in opened:
        tab.close()


@pytest.fixture
def tab(tabs: Any) -> Tab:
    made: Tab = tabs()
    return made


@pytest.fixture
def checked(tab: Tab) -> Tab:
    """A tab with the answer whose statements were checked."""
    tab.page.goto("/?run=supported")
    tab.ended()
    return tab


def told(tab: Tab, verdict: str) -> list[str]:
    """The words of every statement with a verdict, as they stand on the page."""
    found = tab.page.evaluate(
        """(verdict) => {
            const words = new Map();
            for (const piece of document.querySelectorAll(`.answer .statement[data-verdict=${verdict}]`))
                words.set(piece.dataset.statement, (words.get(piece.dataset.statement) ?? '') + piece.textContent);
            return [...words.values()];
        }""",
        verdict,
    )
    return list(found)


def test_every_statement_shows_its_verdict(checked: Tab) -> None:
    page = checked.page
    assert page.locator(".answer .support p").inner_text() == "8 statements: 4 supported, 1 partly, 2 not supported, 1 left out"
    assert told(checked, "supported") == [
        "Heat pumps keep working 🏠 well below −15 °C.",
        "At −20 °C the 57 monitored heat pumps reached a mean coefficient of performance of 1.9.",
        "−15 °C2.3",
        "−20 °C1.9",
    ]
    assert told(checked, "partly") == ["Electric heat covered 6 % of the demand in 2023!"]
    assert told(checked, "unsupported") == ["Every house was warm & dry, and nobody complained."]
    assert told(checked, "contradicted") == ["Capacity: 71 % of the rated capacity at -25 °C remained."]
    styles = [
        page.locator(f".statement[data-verdict={verdict}]").first.evaluate("element => getComputedStyle(element).textDecorationStyle")
        for verdict in ("partly", "unsupported", "contradicted")
    ]
    assert styles == ["dotted", "wavy", "double"]
    assert page.locator(".answer .prose a").first.get_attribute("href") == "https://heat.example.org/capacity_(rated)"
    labels = [button.get_attribute("aria-label") for button in page.locator("button.verdict").all()]
    assert labels.count("Supported: show why") == 4 and "Contradicted: show why" in labels and len(labels) == 7
    assert not re.search("[\ue000-\ue002]", page.locator("body").inner_text())


def test_a_statement_is_explained_to_pointer_finger_and_keyboard(checked: Tab, tabs: Any) -> None:
    page = checked.page
    panel = page.locator(".panel")
    page.locator(".statement[data-verdict=partly]").first.hover()
    panel.wait_for()
    assert panel.locator("strong").inner_text() == "Partly supported" and "66% of it is in the sources" in panel.inner_text()
    assert "Not in its sources: 2023" in panel.inner_text() and "Judged by rules" in panel.inner_text()
    assert panel.locator(".quoted").inner_text() == stored.REFERENCES[0].quote
    page.mouse.move(5, 5)
    panel.wait_for(state="detached")

    page.locator("button.verdict[data-verdict=contradicted]").focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    panel.wait_for()
    assert page.locator("button.verdict[aria-expanded=true]").count() == 1
    assert "Another source says:" in panel.inner_text() and stored.OTHER_TEXT in panel.locator(".quoted").last.inner_text()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Footnote 2: show in the page"
    page.keyboard.press("Enter")
    page.locator("dialog mark").wait_for()
    assert page.locator("dialog mark").inner_text() == stored.OTHER_TEXT
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    assert page.evaluate("document.activeElement.textContent") == "Footnote 2: show in the page"
    page.keyboard.press("Escape")
    panel.wait_for(state="detached")
    assert page.evaluate("document.activeElement.dataset.verdict") == "contradicted"

    phone = tabs(viewport={"width": 390, "height": 800}, has_touch=True)
    phone.page.goto("/?run=supported")
    phone.ended()
    phone.page.locator(".statement[data-verdict=unsupported]").first.tap()
    phone.page.locator(".panel", has_text="No passage speaks of comfort.").wait_for()
    box = phone.page.locator(".panel").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    phone.page.locator("h1").tap()
    phone.page.locator(".panel").wait_for(state="detached")


def test_what_was_left_out_is_shown_where_it_stood(checked: Tab) -> None:
    page = checked.page
    left_out = page.locator(".answer del")
    assert not left_out.is_visible()
    page.get_by_role("button", name="Show what was left out").click()
    left_out.wait_for()
    paragraph = left_out.evaluate("element => element.closest('p').innerText")
    assert stored.REMOVED in left_out.inner_text() and paragraph.startswith("Heat pumps")
    assert left_out.evaluate("element => getComputedStyle(element).textDecorationLine") == "line-through"
    page.get_by_role("button", name="Hide what was left out").click()
    left_out.wait_for(state="hidden")


def test_related_images_are_named_and_never_fetched(checked: Tab, doors: tuple[Stored, str]) -> None:
    found = checked.page.locator(".images li")
    assert found.count() == 1  # the other has no address for a browser
    assert found.locator("a").first.get_attribute("href") == stored.IMAGES[0].url
    assert "energy.example.org" in found.inner_text() and "1,200 × 675" in found.inner_text()
    assert {url.split("/", 3)[2] for url in checked.requests} == {doors[1].removeprefix("http://")}


def test_the_answer_is_downloaded(checked: Tab) -> None:
    page = checked.page
    assert checked.texts(".downloads a") == ["Markdown", "HTML", "TXT", "PDF", "DOCX"]
    with page.expect_download() as expected:
        page.get_by_role("link", name="Download as PDF").click()
    assert expected.value.suggested_filename == "supported.pdf"
    assert expected.value.path().read_text() == "supported as pdf"
    checked.expected = REFUSED
    page.route("**/answer?*", lambda route: route.fulfill(status=501, json={"error": {"message": "no PDF here", "code": "x"}}))
    page.get_by_role("link", name="Download as PDF").click()
    page.get_by_role("alert").get_by_text("no PDF here").wait_for()


def test_the_trail_tells_of_the_team_and_leads_to_its_runs(tab: Tab) -> None:
    page = tab.page
    page.goto("/?run=team")
    tab.ended()
    assert "Sharing the question" in tab.texts(".step h3 span:first-of-type")
    assert [text.split(" Open")[0] for text in tab.texts(".entry.researcher")] == ["done How efficient?", "failed How dear?"]
    assert "Draft, merged from all answers" in tab.texts(".entry.draft summary")
    page.get_by_role("link", name="Open this research").first.click()
    page.wait_for_url("**/?run=supported")
    tab.ended()


def test_the_trail_tells_how_a_report_was_made(tab: Tab) -> None:
    page = tab.page
    page.goto("/?run=report")
    tab.ended("waiting")
    assert tab.texts(".step h3 span:first-of-type") == ["Understanding the question", "Reading", "Taking notes", "Outlining"]
    assert [text.split()[-2:] for text in tab.texts(".entry.digest")] == [["2", "findings"], ["0", "findings"]]
    assert tab.texts(".entry.synthesis .small") == ["The pages agree", "The pages disagree", "Still open"]
    assert tab.texts(".entry.synthesis li") == ["They keep working.", "71 % or 60 %.", "What do they cost?"]
    assert tab.texts(".entry.sections summary") == ["3 sections"]


def test_an_outline_is_changed_and_the_report_is_written(tab: Tab, doors: tuple[Stored, str]) -> None:
    page = tab.page
    page.goto("/?run=report")
    tab.ended("waiting")
    assert page.get_by_role("status").inner_text() == "Waiting for your outline"
    page.get_by_role("button", name="Move down: What was measured").click()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Move down: What was measured"
    page.get_by_role("button", name="Remove: Costs").click()
    page.get_by_label("Heading").nth(0).fill("How efficient they are")
    page.get_by_label("Language of this page").select_option("de")  # what was changed stays
    page.get_by_role("button", name="Abschnitt hinzufügen").click()
    page.keyboard.type("Fazit")
    page.get_by_label("Was dieser Abschnitt sagen soll").nth(2).fill("Kurz.")
    page.get_by_label("Wörter").nth(2).fill("150")
    page.get_by_label("Titel des Berichts").fill("Wärmepumpen")
    page.get_by_label("Language of this page").or_(page.get_by_label("Sprache dieser Seite")).select_option("en")
    page.get_by_role("button", name="Write the report").click()
    tab.ended()
    assert doors[0].outlines == [
        {
            "title": "Wärmepumpen",
            "sections": [
                {
                    "heading": "How efficient they are",
                    "brief": "Coefficients of performance by temperature.",
                    "words": 400,
                    "evidence": ["e1", "e2"],
                },
                {"heading": "What was measured", "brief": "The studies and their houses.", "words": 200, "evidence": ["e1"]},
                {"heading": "Fazit", "brief": "Kurz.", "words": 150, "evidence": []},
            ],
        }
    ]
    assert tab.texts(".entry.section summary") == ["How efficient they are", "What was measured", "Fazit"]
    assert "The outline was approved." in tab.texts(".entry.sections p")
    assert page.locator(".to-approve").is_hidden() and page.locator("button.verdict").count() == 7


def test_an_outline_without_a_heading_is_not_sent_and_the_run_can_be_stopped(tab: Tab, doors: tuple[Stored, str]) -> None:
    page = tab.page
    page.goto("/?run=report")
    tab.ended("waiting")
    for _ in range(3):
        page.get_by_role("button", name="Remove: ").first.click()
    page.get_by_role("button", name="Write the report").click()
    page.get_by_text("Give at least one section a heading.").wait_for()
    page.get_by_role("button", name="Stop").click()
    tab.ended("cancelled")
    assert doors[0].outlines == []


def test_a_report_that_was_approved_elsewhere_goes_on_here(tab: Tab, doors: tuple[Stored, str]) -> None:
    tab.page.goto("/?run=report")
    tab.ended("waiting")
    doors[0].runs["report"] = [*stored.PROPOSED, *stored.written(stored.OUTLINE)]
    tab.ended()
    assert tab.texts(".entry.section summary") == ["What was measured", "Efficiency", "Costs"]


def test_options_are_what_is_asked_for(tab: Tab, doors: tuple[Stored, str]) -> None:
    page = tab.page
    page.goto("/")
    page.get_by_label("Your question").fill("Why?")
    page.get_by_role("button", name="Ask").click()
    page.wait_for_url("**/?run=supported")
    page.goto("/")
    page.get_by_text("Options").click()
    assert page.get_by_label("Length in words").is_hidden()
    page.get_by_label("Report", exact=True).check()
    page.get_by_label("Length in words").fill("1500")
    page.get_by_label("Show me the outline first").check()
    page.get_by_label("High").check()
    page.get_by_label("Researchers").select_option("3")
    page.get_by_label("Statements without support").select_option("flag")
    page.get_by_label("Answer from memory when nothing is found").check()
    page.get_by_label("Polish the wording").check()
    page.get_by_label("Look for related images").check()
    page.get_by_label("Time limit in minutes").fill("3")
    page.get_by_label("Limit of tokens").fill("200000")
    page.get_by_label("Language of the answer").select_option("ja")
    page.get_by_label("Only these sites").fill("https://a.example.org/x, b.example")
    page.get_by_label("Your question").fill("Why not?")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/?run=supported")
    assert doors[0].requests == [
        {"question": "Why?", "reasoning_effort": "medium"},
        {
            "question": "Why not?",
            "reasoning_effort": "high",
            "mode": "report",
            "words": 1500,
            "plan_first": True,
            "team_size": 3,
            "citations": "flag",
            "allow_guess": True,
            "polish": True,
            "with_images": True,
            "budget_seconds": 180,
            "budget_tokens": 200000,
            "language_code": "ja",
            "only_hostnames": ["a.example.org", "b.example"],
        },
    ]


def test_the_answer_is_seen_as_it_is_written_and_once_after_a_reload_and_can_be_stopped(tab: Tab, doors: tuple[Stored, str]) -> None:
    page = tab.page
    page.goto("/?run=written")
    prose = page.locator(".answer .prose[aria-busy=true]")
    prose.filter(has_text="and a valve keeps it").wait_for()
    assert prose.inner_text() == "A pump 🏠 builds the pressure, and a valve keeps it1."
    page.reload()
    prose.filter(has_text="and a valve keeps it").wait_for()
    assert prose.inner_text() == "A pump 🏠 builds the pressure, and a valve keeps it1."
    doors[0].runs["written"] = [*stored.WRITTEN, stored.ev.AnswerDelta(text=" Then more", offset=56)]
    prose.filter(has_text="it1. Then more").wait_for()
    page.get_by_role("button", name="Stop").click()
    tab.ended("cancelled")
    page.get_by_role("status").get_by_text("Stopped").wait_for()
    assert page.get_by_role("button", name="Stop").count() == 0


@pytest.mark.parametrize(
    ("locale", "code", "title"),
    [
        ("ar-EG", "ar", "ماذا تريد أن تعرف؟"),
        ("ja", "ja", "何を知りたいですか？"),
        ("zh-HK", "zh-Hant", "您想知道什麼？"),
        ("zh-Hans-TW", "zh-Hans", "想了解什么？"),
        ("pt-BR", "pt", "O que você quer saber?"),
        ("ru", "ru", "Что вы хотите узнать?"),
    ],
)
def test_only_the_language_of_the_browser_is_loaded(tabs: Any, locale: str, code: str, title: str) -> None:
    tab = tabs(locale=locale)
    tab.page.goto("/")
    tab.page.get_by_role("heading", name=title).wait_for()
    assert tab.page.evaluate("[document.documentElement.lang, document.documentElement.dir]") == [code, "rtl" if code == "ar" else "ltr"]
    assert len([url for url in tab.requests if "/translations/" in url]) == 1


def test_numbers_take_their_plural_forms(tab: Tab) -> None:
    tab.page.goto("/")
    script = "(await m.use(v[0]), [0, 1, 2, 3, 11, 21].map((count) => m.t('support.statements', { count })))"
    assert tab.module("language", script, "ru") == [
        "0 утверждений",
        "1 утверждение",
        "2 утверждения",
        "3 утверждения",
        "11 утверждений",
        "21 утверждение",
    ]
    words = tab.module("language", script, "ar")
    assert [re.sub(r"^\S*\d\S* |^[٠-٩]+ ", "", text) for text in words] == ["عبارة", "عبارة واحدة", "عبارتان", "عبارات", "عبارة", "عبارة"]


def test_arabic_is_laid_out_from_right_to_left(tabs: Any) -> None:
    for width in (1280, 390):
        tab = tabs(locale="ar-EG", viewport={"width": width, "height": 900})
        page = tab.page
        for address in ("/", "/?run=supported", "/?run=report", "/?run=team"):
            page.goto(address)
            page.locator(".history-list li, .run[data-state=finished], .run[data-state=waiting]").first.wait_for()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (width, address)
        page.goto("/?run=supported")
        tab.ended()
        brand, names = page.locator(".brand").bounding_box(), page.locator("#language").bounding_box()
        assert brand["x"] > names["x"]
        page.locator("button.verdict[data-verdict=partly]").click()
        assert page.locator(".panel").evaluate("element => getComputedStyle(element).direction") == "rtl"


_PIECES = (
    "**bold**",
    "*it*",
    "_em_",
    "`code`",
    "``` js\ncode. here\n```",
    "[link](https://a.example/b_c)",
    '![alt. x](https://a.example/p.png "t. t")',
    "[^1]",
    "[^2]",
    "&amp;",
    "\\*",
    "<https://x.example/a>",
    "\n\n",
    "\n",
    "\n- ",
    "\n1. ",
    "\n> ",
    "\n| a | b |\n|---|---|\n| 1 | `x|` |\n",
    "# head\n",
    "~~s~~",
    "😀",
    "日本語。",
    "word",
    "Sentence one.",
    '"quoted"',
    '**"q"**',
    "  \n",
    '[ref]: https://r.example "T"\n',
    "[ref]",
    "\ue000",
    "snake_case",
    "2*3*4",
    "\t",
    "<b>",
    "***both***",
)
_COMPARE = """async (cases) => {
    const { renderMarked } = await import('/assets/marks.js');
    const { render } = await import('/assets/markdown.js');
    const element = (name, text) => Object.assign(document.createElement(name), { textContent: text });
    const cite = (n) => element('sup', n);
    const words = (root) => {
        for (const one of root.querySelectorAll('.cited')) one.replaceWith(...one.childNodes);
        root.normalize();
        return new XMLSerializer().serializeToString(root).replace(/\\s+/gu, '');
    };
    return cases.map(([text, statements]) => {
        const [plain, marked] = [element('div', ''), element('div', '')];
        plain.append(render(text.replaceAll('\\ue000', ''), cite));
        const ends = [];
        const end = (index) => (ends.push(index), element('data', ''));
        const segment = (_, words) => element('var', words);
        const { fragment, missing } = renderMarked(text, statements, cite, { segment, end, removed: end });
        marked.append(fragment);
        for (const one of marked.querySelectorAll('data')) one.remove();
        for (const one of marked.querySelectorAll('var')) one.replaceWith(...one.childNodes);
        return [words(plain) === words(marked), [...ends, ...missing].sort((a, b) => a - b), ends.length];
    });
}"""


def test_marks_never_change_how_a_text_is_read(tab: Tab) -> None:
    """Whatever the text, and wherever statements begin and end in it."""
    tab.page.goto("/")
    tab.page.locator(".below > *").first.wait_for()
    chance = random.Random(7)
    cases = []
    for _ in range(400):
        text = chance.choice((" ", "")).join(chance.choice(_PIECES) for _ in range(chance.randint(3, 25)))
        cuts = sorted(chance.randint(0, len(text)) for _ in range(chance.choice((2, 4, 8))))
        spans = [{"start": start, "end": end, "removed": False} for start, end in zip(cuts[::2], cuts[1::2], strict=True)]
        cases.append((text, [*spans, {"start": cuts[0], "end": cuts[0], "removed": True}]))
    placed = 0
    for (text, spans), (same, indices, ends) in zip(cases, tab.page.evaluate(_COMPARE, cases), strict=True):
        assert same, (text, spans)
        assert indices == list(range(len(spans))), (text, spans)
        placed += ends
    assert placed > 400


def test_accessibility_of_verdicts_and_outlines(tabs: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed").Axe()
    for scheme in ("light", "dark"):
        tab = tabs(color_scheme=scheme, reduced_motion="reduce")
        page = tab.page
        for run, state in (("supported", "finished"), ("report", "waiting"), ("team", "finished")):
            page.goto(f"/?run={run}")
            tab.ended(state)
            closed = page.locator("details:not([open]) > summary:visible")
            while closed.count():  # opening one takes it out of this list
                closed.first.click()
            if run == "supported":
                page.get_by_role("button", name="Show what was left out").click()
                page.locator("button.verdict[data-verdict=contradicted]").click()
                page.locator(".panel").wait_for()
            result = axe.run(page).response
            found = [(one["id"], node["html"][:120], node["failureSummary"][:200]) for one in result["violations"] for node in one["nodes"]]
            assert len(result["passes"]) > 10 and found == [], (scheme, run)
