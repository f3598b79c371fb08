"""How the planner decides without a language model: search, read the best candidates, and answer once the question is covered."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from executors.query_planner.keywords import keyword_query, other_angles, query_ideas, uncovered_words, unsent, words_of
from executors.query_planner.splitting import parts
from providers.hostnames import hostname_of
from providers.lexical import aboutness, asked, content_terms, language_of, terms
from schemas.planning import DecideRequest, Decision, RewriteRequest, Rewriting
from schemas.search import SearchQuery

# The question is covered when the quotes together hold this share of its content terms, and one of them alone the other.
_COVERED = 0.7
_STRONG = 0.5
_URLS_PER_VISIT = 3
_MAX_QUERIES = 10
# So many pages (two rounds of reading), or steps, in a row that add nothing about the question: more of the same will not help.
_PAGES_WITHOUT_GAIN = 2 * _URLS_PER_VISIT
_STEPS_WITHOUT_GAIN = 3
# So many steps in a row that found nothing new: look elsewhere, and with other words.
_STEPS_BEFORE_ANOTHER_ANGLE = 2


def decide(request: DecideRequest) -> Decision:
    """Choose an allowed action with its payload; the same request always gives the same decision.

    When none of the allowed actions has anything left to act on, the decision is an answer, allowed or not.
    """
    question = request.current_question.strip() or request.question
    code = language_of(question)
    allowed = set(request.allowed_actions)
    candidates = [ranked.url for ranked in request.urls if ranked.score > 0]
    other_sites = 0
    if request.idle_steps >= _STEPS_BEFORE_ANOTHER_ANGLE:
        candidates, other_sites = _other_sites_first(candidates, request)

    if "search" in allowed and not request.queries:
        return _search(keyword_query(question, code), "nothing has been searched for yet, so search for the words of the question")
    if "answer" in allowed and _covers(question, request, code) and not _rejected_before_new_evidence(request):
        return _answer("the evidence covers the question, so answer from it")
    if "answer" in allowed and _stalled(question, request, code):
        return _answer("the last steps added nothing, so answer from what was found")
    if request.idle_steps >= _STEPS_BEFORE_ANOTHER_ANGLE:
        visited_last = bool(request.diary) and request.diary[-1].action == "visit"
        if "visit" in allowed and other_sites and not visited_last:
            return _visit(candidates[:other_sites], "the last steps found nothing new, so read pages of other sites")
        if "search" in allowed and (query := _other_angle(question, request, code)):
            return _search(query, "the last steps found nothing new, so search from another angle")
    if "visit" in allowed and candidates:
        return _visit(candidates, "read the best candidates that are still unread")
    if "search" in allowed and (query := _idea(question, request, code)):
        return _search(query, "the evidence does not cover the question yet, so search for what is missing")
    if "answer" in allowed:
        return _answer("nothing is left to search for or to read, so answer from what was found")
    if "visit" in allowed and request.urls:
        return _visit([ranked.url for ranked in request.urls], "no better candidate is left, so read the remaining ones")
    if "search" in allowed and (query := next(unsent(_last_resorts(question, code), request.queries), "")):
        return _search(query, "every better query has been sent, so search for a part of the question")
    if "reflect" in allowed:
        return _reflect(question, request, code)
    return _answer("no allowed action has anything left to act on, so answer from what was found")


def rewrite(request: RewriteRequest) -> Rewriting:
    """The keywords of each search request, of the question and of its parts that were not sent yet.

    Often none, since the requests are made of keywords already.
    """
    texts = [*request.requests, request.question, *parts(request.question, request.most)]
    keywords = [keyword_query(text, request.search_language_code or language_of(text)) for text in texts if text.strip()]
    queries = list(unsent(keywords, [*request.queries, *request.requests]))[: request.most]
    think = "By rule: search for the keywords of each request." if queries else "By rule: nothing to add to the requests."
    rewriting = Rewriting(think=think)
    rewriting.queries.extend(SearchQuery(text=text, language_code=request.search_language_code) for text in queries)
    return rewriting


def _quotes(request: DecideRequest) -> list[str]:
    return [evidence.quote for item in request.knowledge for evidence in item.evidence]


def _idea(question: str, request: DecideRequest, code: str) -> str:
    """The best query that was not sent yet; empty when there is none, or when so many were sent that one more will not help."""
    if len(request.queries) >= _MAX_QUERIES:
        return ""
    return next(unsent(query_ideas(question, _quotes(request), code), request.queries), "")


def _other_sites_first(candidates: list[str], request: DecideRequest) -> tuple[list[str], int]:
    """The candidates with those of sites that were not visited yet first, and how many these are."""
    read = {evidence.url for item in request.knowledge for evidence in item.evidence}
    tried = {url for entry in request.diary if entry.action == "visit" for url in entry.items}
    hosts = {hostname_of(url) for url in read | tried}
    others = [url for url in candidates if hostname_of(url) not in hosts]
    return [*others, *(url for url in candidates if hostname_of(url) in hosts)], len(others)


def _other_angle(question: str, request: DecideRequest, code: str) -> str:
    """A query of words that were not sent together yet; empty when there is none, or when one more will not help."""
    if len(request.queries) >= _MAX_QUERIES:
        return ""
    evidence = [evidence for item in request.knowledge for evidence in item.evidence]
    scores = aboutness(asked(question, code).about, [f"{found.title} {found.quote}" for found in evidence], code)
    titles = dict.fromkeys(found.title for found, score in zip(evidence, scores, strict=True) if score)
    wanted = [*request.improvements, *(text for text in request.questions if text not in (request.question, question))]
    found = [*(f"{found.title} {found.quote}" for found in evidence), *(f"{url.title} {url.description}" for url in request.urls)]
    sent = {frozenset(terms(query, code)) for query in request.queries}
    angles = unsent(other_angles(question, wanted, titles, found, code), request.queries)
    return next((query for query in angles if frozenset(terms(query, code)) not in sent), "")


# Each step of a run asks about the same passages again.
@lru_cache(maxsize=2_000)
def _held(question: str, quote: str, code: str) -> frozenset[str]:
    """Content terms of what `question` asks about that occur in `quote`."""
    return frozenset(content_terms(asked(question, code).about, code)).intersection(terms(quote, code))


def _covers(question: str, request: DecideRequest, code: str) -> bool:
    wanted = len(content_terms(asked(question, code).about, code))
    found = [_held(question, quote, code) for quote in _quotes(request)]
    strong = any(len(held) >= _STRONG * wanted for held in found)
    return strong and len(frozenset().union(*found)) >= _COVERED * wanted


def _rejected_before_new_evidence(request: DecideRequest) -> bool:
    """Whether the last answer was rejected, or empty, and no page has been read since: the same evidence would give the same."""
    for entry in reversed(request.diary):
        if entry.action == "visit" and entry.outcome == "done":
            return False
        if entry.outcome == "rejected" or (entry.action == "answer" and entry.outcome == "nothing_new"):
            return True
    return False


def _stalled(question: str, request: DecideRequest, code: str) -> bool:
    steps = [entry.outcome for entry in request.diary[-_STEPS_WITHOUT_GAIN:]]
    if len(steps) == _STEPS_WITHOUT_GAIN and all(outcome in ("nothing_new", "failed") for outcome in steps):
        return True
    pages = [
        frozenset().union(*(_held(question, evidence.quote, code) for evidence in item.evidence))
        for item in request.knowledge
        if item.kind == "url"
    ]
    known = frozenset().union(*pages[:-_PAGES_WITHOUT_GAIN])
    return len(pages) >= _PAGES_WITHOUT_GAIN and all(held <= known for held in pages[-_PAGES_WITHOUT_GAIN:])


def _last_resorts(question: str, code: str) -> Iterator[str]:
    words = words_of(question, set(content_terms(question, code)), code)
    for left_out in range(len(words)):
        yield " ".join(words[:left_out] + words[left_out + 1 :])
    yield from words


def _search(query: str, why: str) -> Decision:
    return Decision(action="search", queries=[query], think=f"By rule: {why}.")


def _visit(urls: list[str], why: str) -> Decision:
    return Decision(action="visit", urls=list(dict.fromkeys(urls))[:_URLS_PER_VISIT], think=f"By rule: {why}.")


def _reflect(question: str, request: DecideRequest, code: str) -> Decision:
    missing = " ".join(uncovered_words(question, _quotes(request), code)) or keyword_query(question, code)
    return Decision(action="reflect", questions=[f"{missing}?"], think="By rule: ask for the part of the question that is not covered yet.")


def _answer(why: str) -> Decision:
    return Decision(action="answer", think=f"By rule: {why}.")
