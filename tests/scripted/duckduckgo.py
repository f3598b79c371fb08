"""Pages in the form of DuckDuckGo's search without scripts: results, nothing found, and the page that asks for a person."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote


def results_page(results: Sequence[tuple[str, str, str]], *, redirected: bool = False, ads: Sequence[str] = ()) -> str:
    """A page with `results`, each (URL, title, snippet); `redirected`: with links that go by way of DuckDuckGo."""
    blocks = [_block(f"https://duckduckgo.com/y.js?ad_domain={quote(ad)}&u3=x", "Advertisement", "Buy it.", "result--ad") for ad in ads]
    for url, title, snippet in results:
        link = f"//duckduckgo.com/l/?uddg={quote(url, safe='')}&rut=0123456789abcdef" if redirected else url
        blocks.append(_block(link, title, snippet, "web-result"))
    return _page("".join(blocks)) if blocks else nothing_found_page()


def nothing_found_page() -> str:
    """The page for a query without results."""
    return _page('<div class="result result--no-result"><div class="no-results">No  results.</div></div>')


def captcha_page() -> str:
    """The page that is sent, with status 202 or 200, in place of results."""
    return _page(
        '<form id="challenge-form" action="//duckduckgo.com/anomaly.js" method="POST"><div class="anomaly-modal__mask">'
        '<div class="anomaly-modal__title">Please show that you are a person.</div></div></form>'
    )


def _block(link: str, title: str, snippet: str, kind: str) -> str:
    link, title, snippet = escape(link), escape(title), escape(snippet)
    return f"""
    <div class="result results_links results_links_deep {kind}">
      <div class="links_main links_deep result__body">
        <h2 class="result__title"> <a rel="nofollow" class="result__a" href="{link}">{title}</a> </h2>
        <div class="result__extras"><div class="result__extras__url"><a class="result__url" href="{link}"> shown address </a></div></div>
        <a class="result__snippet" href="{link}">{snippet}</a>
        <div class="clear"></div>
      </div>
    </div>"""


def _page(content: str) -> str:
    return f"""<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml"><head><meta charset="utf-8"/><title>Search</title></head>
<body class="body--html"><form id="search_form" action="/html/" method="post"><input name="q" value="anomaly-modal no-results"/></form>
<div class="serp__results"><div id="links" class="results">{content}</div></div></body></html>"""
