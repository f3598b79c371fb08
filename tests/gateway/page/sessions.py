"""Sessions that the scripted model runs for the page: one with everything that a run can show, and one that is hostile."""

from __future__ import annotations

import re
import threading
from typing import Any

from tests.scripted import five_steps
from tests.scripted.llm import schema_name
from tests.scripted.replies import Delay, Json, Reply, Status, Text
from tests.scripted.server import ScriptedServer

FULL = "How do heat pumps perform below −15 °C, according to field studies?"
HOSTILE = "What does the malicious page say about kettles?"
PLAIN = "How do I scale the page readers?"

QUOTE = "At −20 °C the 57 monitored heat pumps reached a mean coefficient of performance of 1.9."
"""Sentence of the full session's first page, after characters that are two units of UTF-16."""
STUDY = "https://energy.example.org/field-study-2023"
REPORT = "https://www.nordic-heat.example.com/reports/cold-climate"
LOST = "https://slow.example.net/heat-pumps"

_FILLER = "\n\n".join(
    f"## Section {number}\n\nThe monitoring of site {number} began in October and lasted one winter. "
    "Outdoor temperature, supply temperature and electricity were logged every minute."
    for number in range(1, 40)
)
_STUDY_TEXT = (
    "# Field study 🏠🔥 2023\n\nThis report 📈 covers 57 houses with air-source heat pumps in a cold climate.\n\n"
    f"{_FILLER}\n\n## Results\n\n{QUOTE} Between −10 and −15 °C the mean was 2.3. "
    "Supplementary electric heat covered 6 % of the demand over the winter.\n\n" + _FILLER
)
_REPORT_TEXT = (
    "Cold-climate heat pumps are rated down to −25 °C. Heating capacity at −25 °C was 71 % of the rated capacity in the houses that were "
    "monitored. Defrosting lowered the seasonal efficiency by 4 % below −15 °C."
)

XSS = "<script>window.__hit = 1</script>"
HOSTILE_TITLE = 'Kettles <img src=x onerror="window.__hit=1"> \u202egnp.exe\u202c ' + "A" * 3_000
HOSTILE_URL = 'https://kettles.example.org/"onmouseover="window.__hit=1'
HOSTILE_SENTENCE = "Kettles of the malicious page boil water in three minutes."
HOSTILE_ANSWER = f"""{HOSTILE_SENTENCE} [e1]

{XSS}
<img src=x onerror=window.__hit=1> <svg onload=window.__hit=1><a xlink:href="javascript:window.__hit=1">x</a></svg>
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=window.__hit=1&gt;">

[script](javascript:window.__hit=1) [tabbed](java&#09;script:window.__hit=1) [data](data:text/html;base64,PHNjcmlwdD4=)
[vb](vbscript:x) [file](file:///etc/passwd) [good](https://good.example.org/a?b=c) [mail](mailto:someone@example.org)
![picture](https://tracker.example.org/pixel.png) ![bad](javascript:window.__hit=1)

<iframe srcdoc="<script>parent.__hit=1</script>"></iframe>

| a | b |
|:--|--:|
| 1 | `<b onclick=window.__hit=1>` |
"""

_DECISIONS: dict[str, list[dict[str, Any]]] = {
    FULL: [
        {
            "think": "I know the theory but not the measurements. Field studies of real houses are what is asked for.",
            "action": "search",
            "queries": ["heat pump field study cold climate", "heat pump COP below -15 C"],
        },
        {"think": "A monitored field study and a report stand out; I read both.", "action": "visit", "urls": [1, 2, 3]},
        {
            "think": "The study states the efficiency at −20 °C, so I can answer.",
            "action": "answer",
            "answer": "Heat pumps still work below −15 °C [STUDY].",
        },
        {
            "think": "Figures at −25 °C and the cost of defrosting were missing.",
            "action": "search",
            "queries": ["defrost seasonal efficiency"],
        },
        {
            "think": "Now efficiency, capacity and defrosting are known from two independent sources.",
            "action": "answer",
            "answer": "Field studies show that heat pumps keep working well below −15 °C, at lower efficiency.\n\n"
            "- **Efficiency:** At −20 °C the 57 monitored heat pumps reached a mean coefficient of performance of 1.9 [STUDY].\n"
            "- **Capacity:** Heating capacity at −25 °C was 71 % of the rated capacity in the houses that were monitored [REPORT].\n"
            "- **Defrosting:** Defrosting lowered the seasonal efficiency by 4 % below −15 °C [REPORT].\n\n"
            "| Outdoor temperature | Mean COP |\n|---|--:|\n| −10 to −15 °C | 2.3 |\n| −20 °C | 1.9 |\n",
        },
    ],
    HOSTILE: [
        {"think": f"I search. {XSS}", "action": "search", "queries": ["malicious page kettles <b>bold</b>"]},
        {"think": "\u202eI read.", "action": "visit", "urls": [1]},
        {"think": "Done.", "action": "answer", "answer": HOSTILE_ANSWER},
    ],
}
_EVIDENCE = {"STUDY": QUOTE, "REPORT": "Heating capacity at −25 °C"}
_STEP = re.compile(r"This is step (\d+)")


def _citing(decision: dict[str, Any], said: str) -> dict[str, Any]:
    """The decision with the ids that the evidence has in the prompt; pages are read in no fixed order."""
    answer = decision.get("answer", "")
    for name, sentence in _EVIDENCE.items():
        found = re.search(r"\[(e\d+)\]\n(?:(?!\[e\d+\]).)*?" + re.escape(sentence), said, re.DOTALL)
        answer = answer.replace(f"[{name}]", f"[{found[1]}]" if found else "")
    return {**decision, "answer": answer} if answer else decision


class Gate:
    """Holds replies back until it is opened."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()

    def close(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def hold(self, reply: Reply) -> Reply:
        return reply if self._open.is_set() else _Held(self, reply)


class _Held(Delay):
    """Looks again every few milliseconds whether its gate is open."""

    def __init__(self, gate: Gate, reply: Reply) -> None:
        object.__setattr__(self, "seconds", 0.01)
        object.__setattr__(self, "_held", (gate, reply))

    @property
    def reply(self) -> Reply:
        gate, reply = self._held  # type: ignore[attr-defined]
        return gate.hold(reply)  # type: ignore[no-any-return]


class Sessions:
    """What the model of the page's tests says. `gates[question, step]` holds back the decision of that step."""

    def __init__(self) -> None:
        self.gates: dict[tuple[str, int], Gate] = {}

    def gate(self, question: str, step: int) -> Gate:
        """A closed gate before the decision of `step`."""
        gate = Gate()
        gate.close()
        self.gates[question, step] = gate
        return gate

    def reply(self, request: Any) -> Reply:
        said = " ".join(str(message["content"]) for message in request["messages"])
        # A follow-up carries the earlier question too; the one that is asked last counts.
        found = [(said.rfind(question), question) for question in _DECISIONS if question in said]
        if not found:
            return five_steps.reply(request)
        question = max(found)[1]
        name = schema_name(request)
        if name == "DecisionOutput":
            step = int(_STEP.findall(said)[-1])
            decisions = _DECISIONS[question]
            decision = Json(_citing(decisions[min(step, len(decisions)) - 1], said))
            gate = self.gates.get((question, step))
            return gate.hold(decision) if gate else decision
        return self._other(name, question, said)

    def _other(self, name: str, question: str, said: str) -> Reply:
        if name == "":
            return Text(pieces=(HOSTILE_ANSWER,))
        if name == "UnderstandingOutput":
            needs = {f"needs_{one}": False for one in ("definitive", "freshness", "plurality", "completeness")}
            return Json({"think": "Facts.", "language_code": "en", "language_style": "plain English", **needs})
        if name == "RewritingOutput":
            queries = [{"text": "cold climate heat pump monitoring winter"}] if question == FULL else []
            return Json({"think": "Field data is published under the name of monitoring.", "queries": queries})
        if name == "ClusteringOutput":
            insight = "Efficiency falls with temperature, but pumps keep running." if question == FULL else "<b>They</b> agree."
            return Json({"think": "They agree.", "clusters": [{"insight": insight, "question": "How?", "results": [1]}]})
        if name == "StrictOutput":
            rejected = question == FULL and "**Efficiency:**" not in said
            return Json(
                {
                    "think": "It gives no figure." if rejected else "Every statement has a figure and a source.",
                    "passed": not rejected,
                    "improvement_plan": "State the efficiency and the capacity at named temperatures." if rejected else "",
                }
            )
        if name == "AnalysisOutput":
            return Json(
                {"recap": "Searched and read.", "blame": "The answer left out the figures.", "improvement": "Look for capacity too."}
            )
        return Status(400, {"error": {"message": f"nothing is scripted for {name}"}})


def add_sessions(server: ScriptedServer) -> Sessions:
    """Teach `server` the sessions and the pages they find."""
    five_steps.add_session(server)
    sessions = Sessions()
    server.llm.script(sessions.reply)
    server.add_page(STUDY, "Heat pumps in cold climates: a field study of 57 houses", _STUDY_TEXT, published="2023-11-04")
    server.add_page(REPORT, "Cold-climate heat pump report", _REPORT_TEXT, published="2024-02-19")
    server.search.pages.append((LOST, "Heat pump field measurements", "heat pump field study cold climate COP below -15 C"))
    server.add_page(HOSTILE_URL, HOSTILE_TITLE, f"{XSS} {HOSTILE_SENTENCE} \u202eReversed.")
    # The reader is asked in the spelling that was checked.
    server.reader.add(HOSTILE_URL.replace('"', "%22"), HOSTILE_TITLE, f"{XSS} {HOSTILE_SENTENCE} \u202eReversed.")
    return sessions
