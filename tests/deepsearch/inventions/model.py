"""A model that works through its sessions and makes things up wherever it writes: sources, figures, names, quotes, verdicts."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.scripted.llm import schema_name, text_of
from tests.scripted.replies import Json, Reply, Status, Text

INVENTED_HOST = "zqinvented"
"""Part of every host name that was made up."""
NAME = re.compile(r"Zq[a-z]+")
"""Every name that was made up; no page has a word of this form."""

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
_EVIDENCE = re.compile(r'\[(e\d+)\][^\n]*\n+<untrusted source="[^"]*">\n(.*?)\n</untrusted>', re.DOTALL)
_STEP = re.compile(r"This is step (\d+)")
_ALLOWED = re.compile(r"Allowed actions: ([a-z, ]+)")
_CANDIDATE = re.compile(r"^\[(\d+)\] \[\d\.\d\d\]", re.MULTILINE)
_SENTENCE = re.compile(r"[A-Z][^.\n]{20,}\.(?=\s|$)")
_FIGURE = re.compile(r"\d[\d,.]*\d|\d")
_PERSON = re.compile(r"\b(?:Marta Ilves|Jonas Kerrig|Anke Morrel|Piet Vandoren|Ilse Tormann|Henrik Saalfeld|Ruth Amsel|Kai Lindqvist)\b")
_YEAR = re.compile(r"\b1[89]\d\d\b")
_DRAFT = re.compile(r'<untrusted source="(?:draft|part)">\n(.*?)\n</untrusted>', re.DOTALL)
_CLAIM = re.compile(r"^Statement (\d+)", re.MULTILINE)
_TOPICS = ("tidal station Brenock", "Halvern power stations", "Tavel harbour", "Grauwick pier", "engineers Ilves Kerrig", "Ostrel turbines")


class Inventor:
    """Answers every kind of request in its form, with inventions in it. The same seed gives the same words."""

    def __init__(self, seed: int) -> None:
        self.tried: Counter[str] = Counter()
        """How often each kind of invention was written."""
        self.figures: set[str] = set()
        """Numbers and years that were made up, without commas; no page has one of them."""
        self._random = random.Random(seed)
        # Few enough that a run meets its own inventions again, as what it has written before.
        self._urls = [self._url(number) for number in range(6)]
        self._definitions: list[str] = []

    def __call__(self, request: Any) -> Reply:
        name = schema_name(request)
        prompt = "\n".join(text_of(message) for message in request["messages"])
        if name == "":
            return Text(self._written(prompt))
        answer = getattr(self, f"_{_CAPITAL.sub('_', name).lower()}", None)
        if answer is None:
            return Status(400, {"error": {"message": f"nothing is scripted for {name}"}})
        return Json(answer(prompt, request))

    # -- texts ---------------------------------------------------------------------------------------------------------

    def _written(self, prompt: str) -> str:
        """Free text: a new draft, or one that goes on from the texts it was given."""
        given = _DRAFT.findall(prompt)
        if not given or self._random.random() < 0.3:
            return self._draft(prompt)
        more = self._draft(prompt, careful=self._random.random() < 0.7)
        return "\n\n".join([*given, more])

    def _draft(self, prompt: str, *, careful: bool = False) -> str:
        """Markdown; `careful`: every id that it cites exists, so that only what it says is made up."""
        true = [(key, sentence) for key, quote in _EVIDENCE.findall(prompt) for sentence in _SENTENCE.findall(quote)]
        ways = [getattr(self, way) for way in (_CAREFUL if careful else (*_CAREFUL, *_CARELESS))]
        self._definitions = []
        written = []
        for _ in range(self._random.randint(14, 22)):
            key, sentence = self._random.choice(true) if true else (f"e{self._random.randint(1, 9)}", "The station is near the bay.")
            if self._random.random() < 0.15:
                written.append(f"{sentence[:-1]} [{key}].")
            else:
                written.append(self._random.choice(ways)(key, sentence))
        text = ""
        for piece in written:
            text += self._random.choice([" ", " ", "\n\n"]) if not re.match(r"[-|>#`]", piece) else "\n\n"
            text += piece + ("\n\n" if re.match(r"[-|>#`]", piece) else "")
        return "\n\n".join([text.strip(), *self._definitions])

    def _invented(self, kind: str) -> None:
        self.tried[kind] += 1

    def _url(self, number: int) -> str:
        word = "".join(self._random.choice("abdeiklmnorstu") for _ in range(6))
        host = self._random.choice([f"{word}-{INVENTED_HOST}.org", f"www.{INVENTED_HOST}.example", f"{INVENTED_HOST}.com"])
        return f"https://{host}/{word}/{number}" + self._random.choice(["", ".pdf", "?page=2", "#top", "/a_(b)"])

    def _a_url(self) -> str:
        self._invented("url")
        return self._random.choice(self._urls)

    def _figure(self) -> str:
        figure = f"7{self._random.randint(100, 999)}{self._random.randint(100, 999)}1"
        self.figures.add(figure)
        self._invented("figure")
        return f"{int(figure):,}" if self._random.random() < 0.5 else figure

    def _year(self) -> str:
        year = str(self._random.randint(2310, 2990))
        self.figures.add(year)
        self._invented("date")
        return year

    def _name(self) -> str:
        self._invented("name")
        return "Zq" + "".join(self._random.choice(("al", "ev", "or", "un", "im", "ek", "os")) for _ in range(3))

    def _untrue(self) -> str:
        """A sentence that no page says; every one has a figure or a name that no page has."""
        return self._random.choice(
            [
                lambda: f"The station lost {self._figure()} crowns in its first winter.",
                lambda: f"{self._name()} owned the dam and sold it in {self._year()}.",
                lambda: f"According to {self._name()} {self._name()}, the gates weigh {self._figure()} tonnes.",
                lambda: f"It was closed on 3 March {self._year()} by order of {self._name()}.",
                lambda: f"The turbines were made in {self._name()}.",
            ]
        )()

    # What is made up although every id exists.

    def _link_in_a_sentence(self, key: str, sentence: str) -> str:
        return f"{sentence[:-1]} ([report]({self._a_url()})) [{key}]."

    def _sentence_as_link(self, key: str, sentence: str) -> str:
        return f"[{sentence[:-1]}]({self._a_url()}) [{key}]."

    def _bare_url(self, key: str, sentence: str) -> str:
        return f"{sentence[:-1]}, see {self._a_url()} [{key}]."

    def _url_behind(self, key: str, sentence: str) -> str:
        return f"{sentence[:-1]} [{key}]. Source: {self._a_url()}"

    def _autolink(self, key: str, sentence: str) -> str:
        return f"{sentence[:-1]} <{self._a_url()}> [{key}]."

    def _footnote(self, key: str, sentence: str) -> str:
        self._invented("id")
        number = self._random.randint(1, 12)
        self._definitions.append(f'[^{number}]: {self._a_url()} "The chronicle of the bay"')
        return f"{sentence[:-1]}[^{number}]."

    def _reference(self, key: str, sentence: str) -> str:
        label = self._random.choice(["chronicle", "1", "the source"])
        self._definitions.append(f"[{label}]: {self._a_url()}")
        return f"{sentence[:-1]} [as told here][{label}] [{key}]."

    def _anchor(self, key: str, sentence: str) -> str:
        return f'<a href="{self._a_url()}">{sentence[:-1]}</a> [{key}].'

    def _image(self, key: str, sentence: str) -> str:
        alternative = self._random.choice(["The dam", self._untrue()[:-1]])
        return f"![{alternative}]({self._a_url()}) {sentence[:-1]} [{key}]."

    def _comment(self, key: str, sentence: str) -> str:
        return f"{sentence[:-1]} [{key}]. <!-- {self._untrue()} -->"

    def _list_of_sources(self, key: str, sentence: str) -> str:
        return f"- {sentence[:-1]} [{key}]\n- Sources: [{self._name()}]({self._a_url()}), {self._a_url()}"

    def _quote(self, key: str, sentence: str) -> str:
        self._invented("quote")
        return f'The page on engineers says: "{self._untrue()[:-1]}" [{key}].'

    def _mixed_quote(self, key: str, sentence: str) -> str:
        self._invented("quote")
        return f"“{sentence[:-1]}, and {self._untrue()[:-1]}”, as the Water Board writes [{key}]."

    def _other_figure(self, key: str, sentence: str) -> str:
        return f"{self._with_other(_FIGURE, self._figure, sentence)} [{key}]."

    def _other_year(self, key: str, sentence: str) -> str:
        return f"{self._with_other(_YEAR, self._year, sentence)} [{key}]."

    def _other_name(self, key: str, sentence: str) -> str:
        return f"{self._with_other(_PERSON, self._name, sentence)} [{key}]."

    def _with_other(self, what: re.Pattern[str], made_up: Callable[[], str], sentence: str) -> str:
        """The sentence with the first of `what` in it replaced; another sentence when it has none."""
        return what.sub(lambda _: made_up(), sentence[:-1], count=1) if what.search(sentence) else self._untrue()[:-1]

    def _untrue_with_true_id(self, key: str, sentence: str) -> str:
        self._invented("citation")
        return f"{self._untrue()[:-1]} [{key}]."

    def _half_true(self, key: str, sentence: str) -> str:
        self._invented("citation")
        return f"{sentence[:-1]}, and {self._untrue()[:-1]} [{key}]."

    def _in_brackets(self, key: str, sentence: str) -> str:
        return f"{sentence[:-1]} (in all {self._figure()} tonnes) [{key}]."

    def _in_a_row(self, key: str, sentence: str) -> str:
        self._invented("citation")
        return f"| What | How much |\n|---|---|\n| {sentence[:-1]} | {self._figure()} [{key}] |\n| Owner | {self._name()} [{key}] |"

    def _in_an_item(self, key: str, sentence: str) -> str:
        return f"- **Cost:** {self._figure()} crowns [{key}]\n- {sentence[:-1]} [{key}]\n- {self._untrue()}"

    def _in_a_block_quote(self, key: str, sentence: str) -> str:
        self._invented("quote")
        return f"> {self._untrue()} [{key}]"

    def _without_citation(self, key: str, sentence: str) -> str:
        return self._untrue()

    # Ids that do not exist.

    def _unknown_id(self, key: str, sentence: str) -> str:
        self._invented("id")
        n = self._random.randint(90, 999)
        forms = [
            f"[e{n}]",
            f"[^{n}]",
            f"(e{n})",
            f"【e{n}】",
            f"[e{n}-e{n + 4}]",
            f"[E{n}, {key}]",
            f"[e{n}†source]",
            f"[{n}]",
            f"[^e{n}]",
            f"[e{n}]({self._a_url()})",
        ]
        return f"{self._random.choice([sentence, self._untrue()])[:-1]} {self._random.choice(forms)}."

    def _range_of_ids(self, key: str, sentence: str) -> str:
        self._invented("id")
        return f"{self._untrue()[:-1]} [e1-e{self._random.randint(50, 9999)}]."

    def _every_id(self, key: str, sentence: str) -> str:
        self._invented("id")
        return f"{self._untrue()[:-1]} " + "".join(f"[e{n}]" for n in range(1, 30)) + "."

    def _made_up_footnotes(self, key: str, sentence: str) -> str:
        self._invented("id")
        self._definitions.append(f"[e1]: {self._a_url()}")
        return f"{sentence[:-1]} [^1][^2]【3†L1-L4】."

    # -- outputs in a form ---------------------------------------------------------------------------------------------

    def _understanding_output(self, prompt: str, request: Any) -> dict[str, Any]:
        needs = {name: self._random.random() < 0.3 for name in ("needs_plurality", "needs_completeness")}
        return {
            "think": "A question.",
            "language_code": "en",
            "language_style": "plain English",
            "needs_definitive": True,
            "needs_freshness": False,
            **needs,
        }

    def _decision_output(self, prompt: str, request: Any) -> dict[str, Any]:
        allowed = _ALLOWED.findall(prompt)[-1].split(", ")
        numbers = [int(number) for number in _CANDIDATE.findall(prompt)]
        step = int(_STEP.findall(prompt)[-1])
        order = {1: ["search", "visit"], 2: ["visit"], 3: ["search", "visit"], 4: ["visit", "answer"]}.get(
            step, ["answer", "search", "visit"]
        )
        if self._random.random() < 0.15:
            order = ["answer", "reflect"]
        action = next((wanted for wanted in order if wanted in allowed), allowed[0])
        decision: dict[str, Any] = {"think": f"{self._untrue()} [e77]", "action": action}
        if action == "search":
            return {**decision, "queries": self._random.sample(_TOPICS, 2)}
        if action == "visit":
            return {**decision, "urls": self._random.sample(numbers, min(2, len(numbers))) if self._random.random() < 0.9 else [99]}
        if action == "reflect":
            return {**decision, "questions": [f"What did {self._name()} pay in {self._year()}?"]}
        if action == "coding":
            return {**decision, "action": "answer", "answer": self._draft(prompt)}
        return {**decision, "answer": self._draft(prompt)}

    def _rewriting_output(self, prompt: str, request: Any) -> dict[str, Any]:
        return {"think": "More.", "queries": [{"text": text} for text in self._random.sample(_TOPICS, 3)]}

    def _clustering_output(self, prompt: str, request: Any) -> dict[str, Any]:
        insight = f"{self._untrue()} See {self._a_url()} [e1]"
        return {"think": "Alike.", "clusters": [{"insight": insight, "question": "What did it cost?", "results": [1, 99]}]}

    def _verdict(self, prompt: str, request: Any) -> dict[str, Any]:
        return {"think": f"All is well, says {self._a_url()}.", "passed": self._random.random() < 0.75}

    _definitive_output = _verdict

    def _strict_output(self, prompt: str, request: Any) -> dict[str, Any]:
        return {**self._verdict(prompt, request), "improvement_plan": f"Cite {self._a_url()} and name {self._name()}."}

    def _plurality_output(self, prompt: str, request: Any) -> dict[str, Any]:
        return {**self._verdict(prompt, request), "minimum_count_required": 1, "actual_count_provided": 9}

    def _completeness_output(self, prompt: str, request: Any) -> dict[str, Any]:
        return {**self._verdict(prompt, request), "aspects_expected": ["cost"], "aspects_provided": ["cost"]}

    def _analysis_output(self, prompt: str, request: Any) -> dict[str, Any]:
        text = f"{self._untrue()} See {self._a_url()} [e5]."
        return {"recap": text, "blame": text, "improvement": text}

    def _entailment_output(self, prompt: str, request: Any) -> dict[str, Any]:
        """Everything is supported: by ids that do not exist, or by all that do."""
        shown = list(dict.fromkeys(key for key, _ in _EVIDENCE.findall(prompt)))
        reports = []
        for number in [*map(int, _CLAIM.findall(prompt)), 99]:
            self._invented("verdict")
            ids = self._random.choice([["e99", "^4"], shown, [*shown, "e500"], self._random.sample(shown, min(1, len(shown))), []])
            reports.append({"number": number, "reason": "It says so.", "verdict": "supported", "evidence": ids})
        return {"statements": reports, "pairs": [{"number": 1, "holds": False}]}

    def _decomposition_output(self, prompt: str, request: Any) -> dict[str, Any]:
        return {
            "think": "In two.",
            "questions": ["Who built the tidal station at Brenock?", "How much power does Grauwick give?"],
            "no_more_parts": True,
        }

    def _digest_output(self, prompt: str, request: Any) -> dict[str, Any]:
        return {"findings": self._findings(prompt)}

    def _synthesis_output(self, prompt: str, request: Any) -> dict[str, Any]:
        gaps = ["Who paid for the station at Ostrel?"] if self._random.random() < 0.5 else []
        return {"agreements": self._findings(prompt), "conflicts": [f"{self._untrue()[:-1]} [e1][e99]."], "gaps": gaps}

    def _findings(self, prompt: str) -> list[str]:
        true = [f"{s[:-1]} [{key}]." for key, quote in _EVIDENCE.findall(prompt) for s in _SENTENCE.findall(quote)]
        kept = self._random.sample(true, min(2, len(true)))
        return [*kept, f"{self._untrue()[:-1]} [e{self._random.randint(1, 99)}].", f"See {self._a_url()} [e1]."]

    def _outline_output(self, prompt: str, request: Any) -> dict[str, Any]:
        sections = [
            {"heading": heading, "brief": f"{self._untrue()} {self._a_url()}", "evidence": ["e1", "e2", "e99", "^3"], "words": 100}
            for heading in ("The stations", "Who built them", "What they give")
        ]
        return {"think": "In three.", "title": "The tidal stations of Halvern", "sections": sections}


_CAREFUL = (
    "_link_in_a_sentence", "_sentence_as_link", "_bare_url", "_url_behind", "_autolink", "_reference", "_anchor", "_image", "_comment",
    "_list_of_sources", "_quote", "_mixed_quote", "_other_figure", "_other_year", "_other_name", "_untrue_with_true_id", "_half_true",
    "_in_brackets", "_in_a_row", "_in_an_item", "_in_a_block_quote", "_without_citation",
)  # fmt: skip
_CARELESS = ("_unknown_id", "_range_of_ids", "_every_id", "_made_up_footnotes", "_footnote")
