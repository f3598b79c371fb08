"""DuckDuckGo: the web without a key, by POST of its search form to DUCKDUCKGO_URL.

The format of the form and of the page with the results is the `ddgs` library's knowledge; the request is our own, so that
its time and size are bounded and a captcha is told from an empty page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from ddgs.engines.duckduckgo import Duckduckgo
from ddgs.results import TextResult
from lxml import etree

from providers.hostnames import within
from providers.http import Endpoint, create_client, post_form
from providers.search.base import Found, SearchOptions
from providers.search.limits import search_rate, search_upstream
from providers.search.query_text import near, on_hostnames
from providers.search.results import search_result
from providers.upstream import Rate
from schemas.errors import SearchError
from schemas.search import SearchQuery
from schemas.settings import Settings
from schemas.usage import Usage

_AT_ONCE = 2
_RATE = Rate(20, 60.0)
"""DuckDuckGo publishes no limit and answers too many queries with a captcha; this is what one patient person might send."""
_MOST_BYTES = 2_000_000
_TEXT_CHARACTERS = 499
"""Longest query; a longer one is refused."""
_CAPTCHA = 202
"""Its status for a page that asks whether a person is searching."""
_ASKS_FOR_A_CAPTCHA = "asks for a captcha: it has had too many searches from here; wait, or search with a key, such as JINA_API_KEY"
_REFUSES = "refuses searches from here: search with a key, such as JINA_API_KEY (HTTP 403)"
_NOT_RESULTS = "not a page of results"
_TIME_RANGES = {"hour": "d", "day": "d", "week": "w", "month": "m", "year": "y"}  # a day is the shortest there is

# Its regions: country-language, in its own codes; `wt-wt` is none of them.
_ANYWHERE = "wt-wt"
_REGION_NAMES = (
    "ar-es at-de au-en be-fr be-nl bg-bg br-pt ca-en ca-fr ch-de ch-fr ch-it cl-es cn-zh co-es cz-cs de-de dk-da ee-et es-es fi-fi fr-fr "
    "gr-el hk-tzh hr-hr hu-hu id-id ie-en il-he in-en it-it jp-jp kr-kr lt-lt lv-lv mx-es my-ms nl-nl no-no nz-en pe-es ph-en pl-pl pt-pt "
    "ro-ro ru-ru se-sv sg-en sk-sk sl-sl th-th tr-tr tw-tzh ua-uk uk-en us-en ve-es vn-vi xa-ar xa-en za-en"
)
_REGIONS = _REGION_NAMES.split()
_COUNTRIES = {"gb": "uk", "si": "sl"}
_LANGUAGES = {"ja": "jp", "ko": "kr", "nb": "no", "nn": "no", "zh-tw": "tzh", "zh-hk": "tzh", "zh-hant": "tzh"}

_CLASS = "contains(concat(' ', normalize-space(@class), ' '), ' {} ')"
_ASKS_FOR_A_PERSON = etree.XPath("boolean(//*[contains(@class, 'anomaly-modal')] | //form[@id='challenge-form'])")
_ITEM = Duckduckgo.items_xpath.lstrip("/")
_TOO_LARGE = etree.XPath(f"count(//*) > 8000 or count(//{_ITEM}[ancestor::{_ITEM}]) > 10")
"""Far from any page of results: reading it could take a time that grows with the square of its size."""
_SAYS_NOTHING_FOUND = etree.XPath(f"boolean(//*[{_CLASS.format('no-results')} or {_CLASS.format('result--no-result')}])")


class DuckDuckGoSearch:
    """Answers queries from DuckDuckGo: the first page of its results, about ten."""

    name = "duckduckgo"

    def __init__(self, settings: Settings) -> None:
        self._endpoint = Endpoint(
            url=settings.duckduckgo_url,
            service="DuckDuckGo",
            key_setting="",
            error=SearchError,
            headers={
                "Accept": "text/html",
                "Accept-Language": "*",
                "Referer": settings.duckduckgo_url,
                # The form under which programs commonly name themselves to web sites.
                "User-Agent": f"Mozilla/5.0 (compatible; {settings.reader_user_agent})",
            },
            failed_usage=Usage(searches=1),
            meanings={_CAPTCHA: _ASKS_FOR_A_CAPTCHA, 403: _REFUSES},
            rejections=frozenset({_CAPTCHA, 403}),
            upstream=search_upstream(settings, search_rate(settings, _RATE), _AT_ONCE),
        )
        self._client = create_client()
        self._format = _Format()

    async def search(self, query: SearchQuery, options: SearchOptions) -> Found:
        """As the contract in `base.py` says. A page that asks for a captcha is a failure, after which nothing is asked for a while."""
        form = self._format.build_payload(_text(query, options), _region(query), "moderate", _TIME_RANGES.get(query.time_range or ""))
        body = await post_form(self._client, self._endpoint, form, timeout_seconds=options.timeout_seconds, max_bytes=_MOST_BYTES)
        html = body.decode("utf-8", "replace")
        try:
            page = self._format.extract_tree(html)
            if _TOO_LARGE(page):
                raise ValueError("no page of results is so large")
            found = self._format.extract_results(html)
        except (ValueError, etree.LxmlError):
            raise await self._endpoint.malformed(_NOT_RESULTS) from None
        if _ASKS_FOR_A_PERSON(page):
            raise await self._endpoint.rejects(_ASKS_FOR_A_CAPTCHA)
        if not any(item.href for item in found) and not _SAYS_NOTHING_FOUND(page):
            raise await self._endpoint.malformed(_NOT_RESULTS)
        results = [
            search_result(self.name, query.text, url=url, title=item.title, snippet=item.body)
            for item in self._format.post_extract_results(found)
            if (url := _address(item.href))
        ]
        return Found(results[: options.max_results], Usage(searches=1))

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()


class _AsWritten(TextResult):
    """A result with its URL as the page has it: the library's own would undo the escapes that belong to the address."""

    _normalizers: ClassVar[Mapping[str, Callable[[Any], str]]] = {}


class _Format(Duckduckgo):
    """The library's knowledge of the form and the page, without its client."""

    def __init__(self) -> None:
        pass

    @property
    def result_type(self) -> type[TextResult]:
        return _AsWritten


def _text(query: SearchQuery, options: SearchOptions) -> str:
    """The query with its place and hostnames, as long as DuckDuckGo takes, hostnames first to go."""
    text = query.text if _country(query) else near(query.text, query.location)
    for count in range(len(options.only_hostnames), 0, -1):
        restricted = on_hostnames(text, options.only_hostnames[:count])
        if len(restricted) <= _TEXT_CHARACTERS:
            return restricted
    return text[:_TEXT_CHARACTERS]


def _region(query: SearchQuery) -> str:
    """The region of the query's country and language; without a country the language's own, if it has one."""
    code = (query.language_code or "").lower().replace("_", "-")
    language, _, country = code.partition("-")
    language = _LANGUAGES.get(code) or _LANGUAGES.get(language) or language
    country = _country(query) or _COUNTRIES.get(country, country)
    if country:
        if f"{country}-{language}" in _REGIONS:
            return f"{country}-{language}"
        return next((region for region in _REGIONS if region.startswith(f"{country}-")), _ANYWHERE)
    if not language or language == "en":
        return _ANYWHERE
    if f"{language}-{language}" in _REGIONS:
        return f"{language}-{language}"
    return next((region for region in _REGIONS if region.endswith(f"-{language}")), _ANYWHERE)


def _country(query: SearchQuery) -> str:
    """The query's place as a country of DuckDuckGo's; empty when it is none."""
    code = (query.location or "").strip().lower()
    code = _COUNTRIES.get(code, code)
    return code if any(region.startswith(f"{code}-") for region in _REGIONS) else ""


def _address(href: str) -> str:
    """The page that a link leads to, which may go by way of DuckDuckGo; empty when it leads to none."""
    try:
        link = urlsplit(href)
        if link.path.rstrip("/") == "/l" and within(link.hostname or "", ["duckduckgo.com"]):
            return parse_qs(link.query).get("uddg", [""])[0]
    except ValueError:
        return ""
    return href if link.scheme in ("http", "https") else ""
