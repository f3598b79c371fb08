"""What an answer says about itself, in the language of the answer."""

from __future__ import annotations

from configparser import ConfigParser
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TRADITIONAL = ("zh-tw", "zh-hk", "zh-mo", "zh-hant")


@dataclass(frozen=True)
class Notices:
    """The sentences and marks of one language; `notices.ini` says what each is for."""

    unsupported: str
    contradicted: str
    otherwise: str
    no_answer: str
    searched: str
    found: str
    nothing: str
    quote: str

    def quoted(self, text: str) -> str:
        """`text` between the quotation marks of the language."""
        return self.quote.replace("{}", text)


def notices(language_code: str) -> Notices:
    """Those of a language (ISO 639-1, optionally with a region); English where it has none."""
    code = language_code.strip().replace("_", "-").lower()
    known = _all()
    if code.startswith(_TRADITIONAL):
        return known["zh-TW"]
    return known.get(code.partition("-")[0], known["en"])


@cache
def _all() -> dict[str, Notices]:
    content = ConfigParser(interpolation=None)
    content.read_string((Path(__file__).parent / "notices.ini").read_text("utf-8"))
    return {code: Notices(**content[code]) for code in content.sections()}
