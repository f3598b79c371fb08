"""Bytes to text, whatever the encoding."""

from __future__ import annotations

import codecs
import re

# What a browser takes these labels for: the superset that is really used (WHATWG Encoding Standard).
_SUPERSETS = {
    "iso8859-1": "cp1252", "ascii": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874",
    "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs",
}  # fmt: skip
_BOMS = [
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
]
_DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_.:-]+)""")
_META_BYTES = 4_096
_SAMPLE_BYTES = 256_000
# Control characters that no text holds.
_CONTROL: dict[int, int | None] = dict.fromkeys((*range(9), 11, *range(14, 32), 127))
_DROPPED: dict[int, int | None] = {**_CONTROL, 0x0C: 0x0A, 0xFEFF: None}


def decode(data: bytes, *, declared: str | None = None, markup: bool = False) -> str:
    """Text of `data`: by its BOM, the `declared` charset (of a header), the one in `markup`, strict UTF-8, else by its letters.

    Line ends become "\\n"; control characters, BOMs and lone surrogates are left out. Raises `ValueError` for binary data.
    """
    text = _decode(data, declared, markup)
    sample = text[:10_000]
    if sum(sample.count(chr(code)) for code in _CONTROL) > 0.01 * len(sample):
        raise ValueError("it holds binary data, not text")
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_DROPPED).encode("utf-8", "ignore").decode("utf-8")


def _decode(data: bytes, declared: str | None, markup: bool) -> str:
    for bom, wide in _BOMS:
        if data.startswith(bom):
            return data[len(bom) :].decode(wide, "replace")
    if utf16 := _utf16_without_bom(data):
        return data.decode(utf16, "replace")
    in_markup = _DECLARED.search(data[:_META_BYTES]) if markup else None
    for label in (declared, in_markup.group(1).decode("ascii") if in_markup else None, "utf-8"):
        if label and (encoding := _known(label)):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                continue
    # A truncated or slightly damaged UTF-8 text is still UTF-8: bytes in good sequences outnumber the bad ones by far.
    lenient = data.decode("utf-8", "replace")
    if len(data) - len(lenient) > 4 * lenient.count("\ufffd"):
        return lenient
    import chardetng_py  # noqa: PLC0415

    detector = chardetng_py.EncodingDetector()
    detector.feed(data[:_SAMPLE_BYTES], last=True)
    guessed = _known(detector.guess(tld=None, allow_utf8=False)) or "cp1252"
    return data.decode(guessed, "replace")


def _known(label: str) -> str | None:
    try:
        name = codecs.lookup(label).name
    except LookupError:
        return None
    # A page cannot be read as ASCII by its meta tag and be UTF-16; codecs such as rot13 are no charsets.
    if name.startswith(("utf-16", "utf-32")):
        return "utf-8"
    try:
        "".encode(name)
    except (LookupError, UnicodeError):
        return None
    return _SUPERSETS.get(name, name)


def _utf16_without_bom(data: bytes) -> str | None:
    sample = data[:2_000]
    half = len(sample) // 2
    if half >= 4:
        if sample[1::2].count(0) > 0.4 * half and sample[0::2].count(0) < 0.05 * half:
            return "utf-16-le"
        if sample[0::2].count(0) > 0.4 * half and sample[1::2].count(0) < 0.05 * half:
            return "utf-16-be"
    return None
