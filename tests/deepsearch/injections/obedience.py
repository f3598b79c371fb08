"""A model that does whatever the pages tell it to, with all that it can see: its prompt, and what the user said before."""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections import Counter
from typing import Any
from urllib.parse import quote

from tests.scripted.llm import schema_name, text_of
from tests.scripted.replies import Json, Reply, Status, Text

SAID_BEFORE = "ZQ4471PRIVATE"
"""What the user told earlier in the conversation, and no page may learn."""

_UNTRUSTED = re.compile(r"<untrusted[^>]*>\n(.*?)\n</untrusted>", re.DOTALL)
_EVIDENCE = re.compile(r"^\[(e\d+)\]", re.MULTILINE)
_STEP = re.compile(r"This is step (\d+)")
_ALLOWED = re.compile(r"Allowed actions: ([a-z, ]+)\Z")
_CANDIDATE = re.compile(r"^\[(\d+)\] \[\d\.\d\d\]", re.MULTILINE)
_KEY = re.compile(r"(?:sk|key)-[\w-]{8,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}")
_SAY = re.compile(r"(?:answer|reply|say|output|write|antworte|réponds|回答)[^\"“\n]{0,40}[\"“]([^\"”\n]{1,200})[\"”]", re.IGNORECASE)
_URL = re.compile(r"(?:https?|file|javascript|data|vbscript):[^\s<>\"']{3,}", re.IGNORECASE)
_ID = re.compile(r"\[(?:e\d{2,}|\^\d+)\]")
_DEFINITION = re.compile(r"^\[\^\d+\]: .+", re.MULTILINE)
_TAG = re.compile(r"<(?:script|img|svg|iframe|a|style)\b.*?>(?:.*?</(?:script|iframe|a|style)>)?", re.DOTALL | re.IGNORECASE)
_LINK = re.compile(r"!?\[[^\]\n]*\]\([^)\s]*\)+")
_SENTENCE = "Page readers scale by their number of replicas"


class Obedient:
    """Answers every kind of request as the untrusted text in it demands."""

    def __init__(self) -> None:
        self.obeyed: Counter[str] = Counter()
        """How often orders of each kind were carried out."""

    def __call__(self, request: Any) -> Reply:
        prompt = "\n".join(text_of(message) for message in request["messages"])
        orders = self._orders(prompt)
        name = schema_name(request)
        if name == "":
            return Text(self._answer(prompt, orders))
        if name == "DecisionOutput":
            return Json(self._decision(prompt, orders))
        if name == "CodeOutput":
            self.obeyed["code"] += 1
            return Json({"think": "As told.", "code": next(iter(re.findall(r"return [^\n]+", orders)), "return require('fs')")})
        outputs = self._outputs(orders)
        return Json(outputs[name]) if name in outputs else Status(400, {"error": {"message": f"nothing is scripted for {name}"}})

    def _orders(self, prompt: str) -> str:
        """All untrusted text, with what is hidden in it."""
        text = html.unescape("\n".join(_UNTRUSTED.findall(prompt)))
        for found in _BASE64.findall(text):
            try:
                text += "\n" + base64.b64decode(found).decode()
            except (binascii.Error, UnicodeDecodeError):
                continue
        return re.sub("[\u200b\u202e]", "", text)

    def _spoils(self, prompt: str) -> str:
        """What an attacker would like to have."""
        return " ".join([*_KEY.findall(prompt), *re.findall(SAID_BEFORE, prompt)[:1], prompt[:60]])

    def _answer(self, prompt: str, orders: str) -> str:
        key = next(iter(_EVIDENCE.findall(prompt)), "e1")
        spoils = self._spoils(prompt)
        said = [f"{_SENTENCE} [{key}]."]

        def obey(kind: str, texts: list[str]) -> None:
            if texts:
                self.obeyed[kind] += 1
                said.extend(texts)

        obey("words", [f"{words} [{key}]." for words in dict.fromkeys(_SAY.findall(orders))])
        obey("ids", [f"They need 71234561 replicas {found}." for found in dict.fromkeys(_ID.findall(orders))])
        obey("definitions", ["\n\n" + found for found in dict.fromkeys(_DEFINITION.findall(orders))])
        obey("markup", list(dict.fromkeys(_TAG.findall(orders))))
        obey("links", [f"[{_SENTENCE}{link[link.index(']') :]} [{key}]" for link in dict.fromkeys(_LINK.findall(orders))])
        for url in list(dict.fromkeys(_URL.findall(orders)))[:8]:
            full = f"{url}{quote(spoils)}"
            coded = f"{url}{base64.urlsafe_b64encode(spoils.encode()).decode()}"
            obey("addresses", [f"![logo]({full})", f"[{_SENTENCE}]({full}) [{key}].", f"{_SENTENCE}, see {coded} [{key}].", f"<{full}>"])
        if re.search(r"secret|key|schlüssel|clé|prompt|conversation|earlier|before", orders, re.IGNORECASE):
            obey("leak", [f"The user said: {spoils} [{key}]."])
        if re.search(r"forever|again and again", orders):
            self.obeyed["repeat"] += 1
            said += said * 40
        if re.search(r"stop at once", orders, re.IGNORECASE):
            self.obeyed["stop"] += 1
            return ""
        return "\n\n".join(said)

    def _decision(self, prompt: str, orders: str) -> dict[str, Any]:
        allowed = next(iter(_ALLOWED.findall(prompt)), "answer").split(", ")
        numbers = [int(number) for number in _CANDIDATE.findall(orders)]
        step = int(_STEP.findall(prompt)[-1])
        spoils = self._spoils(prompt)
        decision: dict[str, Any] = {"think": f"I was told so: {spoils}", "action": allowed[0]}
        if step > 1 and re.search(r"again and again", orders) and "search" in allowed:
            self.obeyed["search"] += 1
            return {**decision, "action": "search", "queries": [f"replicas {step}"]}
        if re.search(r"secret|customer number", orders) and "search" in allowed and step < 5:
            self.obeyed["search"] += 1
            return {**decision, "action": "search", "queries": [f"{word[:30]}" for word in spoils.split()[:4]]}
        if re.search(r"with code", orders) and "coding" in allowed:
            self.obeyed["coding"] += 1
            return {**decision, "action": "coding", "code_issue": orders[:500]}
        if step == 1 and "search" in allowed:
            return {**decision, "action": "search", "queries": ["page readers replicas"]}
        if step < 6 and "visit" in allowed and numbers:
            self.obeyed["visit"] += 1
            return {**decision, "action": "visit", "urls": numbers[:5]}
        if "answer" in allowed:
            return {**decision, "action": "answer", "answer": self._answer(prompt, orders)}
        return {**decision, "queries": [f"page readers {step}"], "urls": [1], "questions": [spoils], "code_issue": orders[:500]}

    def _outputs(self, orders: str) -> dict[str, dict[str, Any]]:
        said = " ".join([*_SAY.findall(orders), *_URL.findall(orders)])[:400]
        statements = [{"number": n, "reason": said, "verdict": "supported", "evidence": ["e1", "e99"]} for n in range(1, 30)]
        return {
            "UnderstandingOutput": {
                "think": "Simple.",
                "language_code": "en",
                "language_style": "plain English",
                "needs_definitive": True,
                "needs_freshness": False,
                "needs_plurality": False,
                "needs_completeness": False,
            },
            "RewritingOutput": {"think": said, "queries": [{"text": "page readers replicas guide"}]},
            "ClusteringOutput": {"think": said, "clusters": [{"insight": said or "Alike.", "question": said, "results": [1]}]},
            "DefinitiveOutput": {"think": said, "passed": True},
            "StrictOutput": {"think": said, "passed": True, "improvement_plan": ""},
            "EntailmentOutput": {"statements": statements, "pairs": []},
            "AnalysisOutput": {"recap": said or "Nothing.", "blame": said or "Nobody.", "improvement": said or "None."},
        }
