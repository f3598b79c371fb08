"""Answers to export: three that look like those of real runs, and hostile ones."""

from __future__ import annotations

from typing import Any

from docarray import DocList

from schemas.research import Reference, ResearchAnswer
from schemas.support import Statement, SupportReport, Verdict

FIRST = "The **tides** are caused by the *gravity* of the Moon and the Sun [^1]."
SECOND = "A spring tide happens at full and new moon [^2]."
THIRD = "Neap tides are weaker by 37 percent [^1]."
ROW = "| Bay of Fundy | 16.3 | highest of all [^3] |"
TEXT = f"""\
{FIRST} {SECOND} {THIRD}

## Causes

Three things matter, see https://example.org/tides for more:

3. The distance of the Moon [^2]
4. The Sun
   - its mass
   - its ~~colour~~ distance, as in `F = G*m1*m2/r^2`

> The sea never rests.

| Place | Range (m) | Remark |
|:---|---:|:---:|
{ROW}
| Mediterranean Sea | 0.4 | nearly none |

```python
def force(m1, m2, r):
    return 6.674e-11 * m1 * m2 / r ** 2
```

---

See [the almanac](https://almanac.example/2026?x=1&y=2).
"""
REFERENCES = [
    Reference(
        number=1,
        url="https://ocean.example/tides",
        title="Tides and currents",
        quote="The tides are caused by the gravity of the Moon and the Sun.",
        published="2024-05-01",
        read_at="2026-01-30T10:00:00Z",
    ),
    Reference(
        number=2,
        url="https://moon.example/spring#top",
        title="Spring tides",
        quote="A spring tide happens at full and new moon.",
        modified="2025-01",
        read_at="2026-01-31T10:00:00Z",
    ),
    Reference(number=3, url="file:///srv/notes.md", title="", quote="In the Bay of Fundy the range is\n16.3 m."),
]


def answer(text: str, references: list[Reference] | None = None, **fields: Any) -> ResearchAnswer:
    """An answer with what is not asked about filled in."""
    known = DocList[Reference](references or [])
    given = {"run_id": "r1", "question": "Why?", "stop_reason": "answered", "mode": "model", "language_code": "en", **fields}
    return ResearchAnswer(text=text, references=known, **given)


def numbered(count: int, quote: str = "Quote {}.") -> list[Reference]:
    """As many references."""
    return [Reference(number=n, url=f"https://host{n}.example/", title=f"Title {n}", quote=quote.format(n)) for n in range(1, count + 1)]


def tides(**fields: Any) -> ResearchAnswer:
    """With everything that an answer can have."""
    verdicts: list[tuple[str, Verdict, str]] = [
        (FIRST, "supported", ""),
        (SECOND, "partly", "two moons"),
        (THIRD, "unsupported", "37 percent is in no quote"),
        (ROW, "contradicted", "another source says 14.5"),
    ]
    statements = [
        Statement(start=TEXT.index(words), end=TEXT.index(words) + len(words), verdict=verdict, reason=reason)
        for words, verdict, reason in verdicts
    ]
    return answer(
        TEXT,
        REFERENCES,
        run_id="tides-1",
        question="What causes the tides?",
        notice="The time was over.",
        support=SupportReport(statements=DocList[Statement](statements)),
        **fields,
    )


CHINESE = answer(
    "潮汐是由月球和太阳的**引力**引起的[^1]。\n\n- 日本語\n- 한국어\n",
    [Reference(number=1, url="https://zh.example/潮汐", title="潮汐", quote="潮汐是由月球和太阳的引力引起的。")],
    question="潮汐的成因是什么？",
    mode="extractive",
    language_code="zh",
)
ARABIC = answer(
    "تحدث **المد والجزر** بسبب جاذبية القمر [^1].\n\n| المكان | المدى |\n|---|---|\n| خليج فندي | 16.3 |\n",
    [Reference(number=1, url="https://ar.example/", title="المد والجزر", quote="تحدث المد والجزر بسبب جاذبية القمر.")],
    question="ما سبب المد والجزر؟",
    language_code="ar",
)

_SCRIPT = "<script>alert(1)</script>"
HOSTILE = answer(
    f"""\
{_SCRIPT} <img src=x onerror=alert(1)> [a](javascript:alert(2)) ![b](data:text/html,x) <javascript:alert(3)> [c] \u202eabc\x1b[2J\x00

[c]: javascript:alert(4)
[^1]: forged note

# #set page(fill: red) #eval("1") $x^2$ @label \\u{{41}} `#raw`

<div style="position:fixed">

| <b>x</b> | #image("/etc/passwd") |
|---|---|
| ]]> <w:p/> | {{\\rtf1}} |

```html
{_SCRIPT}
```

Cited [^1] and [^9] and [x [^1] y](https://ok.example/?a="><script>).
""",
    [
        Reference(
            number=1,
            url='https://evil.example/"><script>alert(5)</script>',
            title=f'T{_SCRIPT} ]](javascript:x) #footnote[x] "\u202e',
            quote="</q></li><script>alert(6)</script> ]]> #panic() \x07",
        ),
        Reference(number=2, url="javascript:alert(7)", title="Two", quote="Two."),
        Reference(number=3, url="data:text/html,<script>alert(8)</script>", title="", quote=""),
    ],
    run_id='r"><script>',
    question=f"Why {_SCRIPT} #strong[x]?\n\n# Second heading",
    notice="[n](javascript:alert(9)) <b>n</b>",
    language_code='en"><script>',
)
