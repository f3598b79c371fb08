"""What a page is called: the normalised URL, which is its identity, and the id of one reading of it."""

from __future__ import annotations

import hashlib
import posixpath
import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

import can_ada

# Parameters that name a campaign or a click and never choose content. Words that also mean something to a page
# (s, q, id, page, ref, cid, source, term, content ...) are kept.
_TRACKING = frozenset(
    {
        "_ga", "_gl", "_hsenc", "_hsmi", "_openstat", "dclid", "fbclid", "gad_source", "gbraid", "gclid", "gclsrc", "hsctatracking",
        "igsh", "igshid", "mc_cid", "mc_eid", "mkt_tok", "msclkid", "oly_anon_id", "oly_enc_id", "ref_src", "ref_url", "srsltid",
        "ttclid", "twclid", "vero_conv", "vero_id", "wbraid", "wickedid", "yclid",
    }
)  # fmt: skip
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})?")


def normalise_url(url: str) -> str:
    """The identity of `url`: two spellings of one page give the same text. Applying it again changes nothing.

    http(s): always https, host in lower case as ASCII without `www.`, without credentials, default port, fragment and
    tracking parameters; parameters sorted by name; percent-encoding only where it is needed, in capitals. To fetch a
    page use the URL as it was found. `file:` URLs are spelled as `Path.as_uri` does. An `attachment:` URL names a file
    that came with a question, a `computation:` URL what a program of the run printed.

    Raises `ValueError` when it is not a valid URL of one of these schemes.
    """
    try:
        parsed = can_ada.parse(url)
    except (ValueError, TypeError) as error:  # a lone surrogate is a TypeError
        raise ValueError(f"not a valid URL: {url[:200]!r}") from error
    if parsed.protocol == "file:":
        return _file_url(parsed.hostname, parsed.pathname)
    if parsed.protocol in ("attachment:", "computation:") and parsed.pathname:
        return f"{parsed.protocol}{_percent(parsed.pathname)}"
    if parsed.protocol not in ("http:", "https:"):
        raise ValueError(f"not an http, https or file URL: {url[:200]!r}")
    host = parsed.hostname.rstrip(".")
    while host.startswith("www.") and "." in host[4:]:
        host = host[4:]
    if not host:
        raise ValueError(f"URL without a host: {url[:200]!r}")
    port = f":{parsed.port}" if parsed.port not in ("", "443") else ""
    query = _query(parsed.search.removeprefix("?"))
    return f"https://{host}{port}{_percent(parsed.pathname)}{query}"


def page_id(url: str, text: str) -> str:
    """First 16 hexadecimal digits of SHA-256 over the normalised URL, a newline and the text.

    Raises `ValueError` as `normalise_url` does.
    """
    return hashlib.sha256(f"{normalise_url(url)}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _percent(text: str) -> str:
    def replace(match: re.Match[str]) -> str:
        if match.group(1) is None:
            return "%25"
        character = chr(int(match.group(1), 16))
        return character if character in _UNRESERVED else match.group().upper()

    return _PERCENT.sub(replace, text) if "%" in text else text


def _query(query: str) -> str:
    kept = []
    for part in query.split("&"):
        pair = _percent(part)
        name = pair.partition("=")[0]
        if pair and not name.lower().startswith("utm_") and name.lower() not in _TRACKING:
            kept.append((name, pair))
    # Stable: the order of a repeated parameter can mean something.
    kept.sort(key=lambda named: named[0])
    return "?" + "&".join(pair for _, pair in kept) if kept else ""


def _file_url(host: str, path: str) -> str:
    raw = unquote_to_bytes(path)
    if b"\0" in raw:
        raise ValueError("a file URL cannot hold a NUL character")
    normal = posixpath.normpath(b"/" + raw.lstrip(b"/"))
    return f"file://{host}{quote_from_bytes(normal)}"
