"""How much the kind of a host speaks for what it says, before anything of it is read.

| host | prior |
|---|---|
| a government's (`.gov`, `gov.uk`, `gouv.fr`, `go.jp`, `europa.eu` ...), the military's, an international organisation's (`.int`) | 1 |
| a standards body's (`ietf.org`, `w3.org`, `iso.org` ...) | 1 |
| a university's (`.edu`, `edu.au`, `ac.uk` ...) | 0.8 |
| any other | 0 |
"""

from __future__ import annotations

from providers.hostnames import within

_OFFICIAL = 1.0
_ACADEMIC = 0.8
_OFFICIAL_DOMAINS = frozenset({"gov", "mil", "int"})
_OFFICIAL_SECOND_LEVELS = frozenset({"gov", "gob", "gouv", "govt", "go", "gv", "mil"})
_ACADEMIC_SECOND_LEVELS = frozenset({"edu", "ac"})
_OFFICIAL_HOSTS = ("europa.eu", "admin.ch", "bund.de", "canada.ca", "gc.ca", "regjeringen.no", "government.nl")
_STANDARDS_BODIES = (
    "ecma-international.org", "etsi.org", "iana.org", "iec.ch", "ieee.org", "ietf.org", "iso.org", "oasis-open.org", "rfc-editor.org",
    "unicode.org", "w3.org", "whatwg.org",
)  # fmt: skip


def prior(host: str) -> float:
    """The prior of `host`, in lower case as ASCII: 0 to 1; 0 for files, which are of no host."""
    labels = host.split(".")
    if labels[-1] in _OFFICIAL_DOMAINS or within(host, _OFFICIAL_HOSTS) or within(host, _STANDARDS_BODIES):
        return _OFFICIAL
    if labels[-1] == "edu":
        return _ACADEMIC
    # Second levels mean that only below the two letters of a country.
    if len(labels) > 1 and len(labels[-1]) == 2:
        if labels[-2] in _OFFICIAL_SECOND_LEVELS:
            return _OFFICIAL
        if labels[-2] in _ACADEMIC_SECOND_LEVELS:
            return _ACADEMIC
    return 0.0
