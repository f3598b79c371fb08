"""Bytes to text, whatever the encoding."""

from __future__ import annotations

import codecs
import re

# What a browser takes these labels for: the superset that is really used (WHATWG Encoding Standard).
_SUPERSETS = {
    "iso8859-1": "cp1252", "ascii": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874",
    "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs",
}  # fmt: skip
# The encodings of that standard by Python's names; UTF-16 is recognised by its bytes. Most other codecs of Python are no charsets,
# and some of them (punycode) take time that is quadratic.
_ENCODINGS = frozenset(
    {
        "utf-8", "ascii", "cp866", "iso8859-1", "iso8859-2", "iso8859-3", "iso8859-4", "iso8859-5", "iso8859-6", "iso8859-7",
        "iso8859-8", "iso8859-9", "iso8859-10", "iso8859-11", "iso8859-13", "iso8859-14", "iso8859-15", "iso8859-16", "koi8-r", "koi8-u",
        "mac-roman", "mac-cyrillic", "cp874", "tis-620", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257",
        "cp1258", "gb2312", "gbk", "gb18030", "big5", "big5hkscs", "euc_jp", "iso2022_jp", "shift_jis", "cp932", "euc_kr", "cp949",
        # Of DOS, which files have more often than pages.
        "cp437", "cp850", "cp852", "cp855", "cp857", "cp858", "cp860", "cp861", "cp862", "cp863", "cp865",
    }
)  # fmt: skip
# Labels of that standard that Python does not know.
_LABELS = {
    "cn-big5": "big5", "dos-874": "cp874", "iso-8859-8-e": "iso8859-8", "iso-8859-8-i": "iso8859-8", "iso-ir-149": "euc_kr",
    "iso88591": "iso8859-1", "koi": "koi8-r", "koi8": "koi8-r", "koi8-ru": "koi8-u", "ksc5601": "euc_kr", "ksc_5601": "euc_kr",
    "logical": "iso8859-8", "mac": "mac-roman", "unicode-1-1-utf-8": "utf-8", "unicode11utf8": "utf-8", "unicode20utf8": "utf-8",
    "visual": "iso8859-8", "windows-31j": "cp932", "windows-874": "cp874", "windows-949": "cp949", "x-cp1250": "cp1250",
    "x-cp1251": "cp1251", "x-cp1252": "cp1252", "x-cp1253": "cp1253", "x-cp1254": "cp1254", "x-cp1255": "cp1255", "x-cp1256": "cp1256",
    "x-cp1257": "cp1257", "x-cp1258": "cp1258", "x-euc-jp": "euc_jp", "x-gbk": "gbk", "x-mac-cyrillic": "mac-cyrillic",
    "x-mac-roman": "mac-roman", "x-mac-ukrainian": "mac-cyrillic", "x-sjis": "shift_jis", "x-unicode20utf8": "utf-8", "x-x-big5": "big5",
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
    """Python's codec for a label of the WHATWG Encoding Standard, the one a browser uses; None for other labels."""
    try:
        name = codecs.lookup(_LABELS.get(label.strip().lower(), label)).name
    except LookupError:
        return None
    # A page cannot be read as ASCII by its meta tag and be UTF-16.
    if name.startswith(("utf-16", "utf-32")):
        return "utf-8"
    return _SUPERSETS.get(name, name) if name in _ENCODINGS else None


def _utf16_without_bom(data: bytes) -> str | None:
    sample = data[:2_000]
    half = len(sample) // 2
    if half >= 4:
        if sample[1::2].count(0) > 0.4 * half and sample[0::2].count(0) < 0.05 * half:
            return "utf-16-le"
        if sample[0::2].count(0) > 0.4 * half and sample[1::2].count(0) < 0.05 * half:
            return "utf-16-be"
    return None
