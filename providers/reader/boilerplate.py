"""Which parts of a page are about the site and not about the page's subject, by what their authors call them."""

from __future__ import annotations

from functools import lru_cache

import regex
from lxml.html import HtmlElement


class Role:
    """What an element's names say that it is for: bits of a number."""

    NONE = 0
    FRAME = 1
    """Navigation, advertising, sharing, related pages: of no interest on any page."""
    COMMENT = 2
    """What readers say of an article; on a page that is a discussion it is the subject."""
    MEMBER = 4
    """What surrounds a post: the member's profile and signature, votes and buttons."""
    POST = 8
    """The text of a post."""
    NOTE = 32
    """A note, tip or warning within the text."""
    REVIEW = 16
    """What buyers say of a product: the subject too, though shops build it like comments."""


_NAVIGATION_TAGS = frozenset({"nav", "footer", "aside", "dialog"})
_NAVIGATION_ROLES = frozenset(
    {"navigation", "contentinfo", "search", "dialog", "alertdialog", "complementary", "menu", "menubar", "toolbar", "tablist"}
)
# What is named after its contents or its layout, and not after its use.
_UNNAMED = frozenset({"html", "body", "main", "article", "h1", "h2", "h3", "h4", "h5", "h6", "table", "tbody", "tr", "td", "pre", "code"})


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _pairs(text: str) -> list[frozenset[str]]:
    """Names that only mean something together, each pair joined by a plus sign."""
    return [frozenset(pair.split("+")) for pair in text.split()]


_FRAME = _words(
    """nav navbar navigation navmenu menu submenu navbox catlinks printfooter breadcrumb breadcrumbs crumb crumbs pagination pager
    paginator sidebar sidenav footer colophon cookie cookies consent gdpr newsletter subscribe signup share sharing sharebar shares
    sharedaddy addthis addtoany social socials sociable related relatedposts recommended recommendation recommendations recirc outbrain
    taboola ad ads adv advert adverts advertising advertisement adslot adsense sponsor sponsored promo promos promobox popup
    lightbox login signin skiplink facets facet upsell upsells crosssell similar trending mostread disclaimer copyright backtotop
    tagcloud blogroll trackbacks pingbacks toc tableofcontents ftr filters filter sort sortby sorting refinements"""
)
_FRAME_PAIRS = _pairs(
    """author+box author+bio author+info author+card about+author most+read most+popular more+from read+next read+more up+next tool+tip
    also+like post+nav post+navigation nav+links tag+list tags+links cat+links story+tags article+tags post+tags widget+area side+bar
    back+top cross+sells table+contents jump+links edit+page related+posts inline+teaser privacy+banner site+header site+footer
    entry+footer skip+link language+switcher lang+switcher search+box search+form filter+form share+box online+list linked+sidebar
    layout+side right+rail left+rail right+col right+column col+right column+right right+side side+column job+alert alert+box"""
)
_NOTES = _words("admonition callout note tip warning caution footnote footnotes")
_COMMENT = _words("comments comment commentlist respond disqus disqusthread usercomments replies")
_MEMBER = _words(
    """profile postprofile signature sig avatar votecell voting votearrow reactions reactionsbar actionbar actions signin respond
    comhead subtext navs attribution"""
)
_MEMBER_PAIRS = _pairs(
    """user+details user+info user+extras message+user user+action post+menu post+buttons post+taglist action+bar
    message+attribution comment+form post+form post+meta post+infos comment+header comment+meta more+topics post+likes js+voting
    message+footer add+link"""
)
_POST = _words("postbody postcontent postmessage commtext bbwrapper posttext messagetext messagebody")
_POST_PAIRS = _pairs(
    """post+content post+body post+message message+body message+content comment+body comment+text comment+content
    post+text crawler+post forum+post topic+body reply+content answer+body answer+content answer+text cooked+post"""
)
# `tag-cookies` on a post says what it is about, `has-sidebar` what stands beside it.
_NO_NAMES = ("tag-", "category-", "type-", "status-", "post-type", "has-", "no-", "with-", "without-", "is-", "not-", "hide-", "show-")
_TOKEN = regex.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def role_of(element: HtmlElement) -> int:
    """What `element` by itself is for; what its ancestors are for holds for it too."""
    tag = element.tag
    names = element.get("class")
    if tag in _NAVIGATION_TAGS or (element.get("role") or "").lower() in _NAVIGATION_ROLES:
        if tag == "aside" and names and not _NOTES.isdisjoint(token.lower() for token in _TOKEN.findall(names[:500])):
            return Role.NOTE
        # Who is quoted stands in the quotation's footer.
        return Role.NONE if tag == "footer" and element.getparent().tag == "blockquote" else Role.FRAME
    identity = element.get("id")
    if tag in _UNNAMED or (not names and not identity):
        return Role.NONE
    return _role_of_names(names or "", identity or "")


@lru_cache(maxsize=4_096)
def _role_of_names(names: str, identity: str) -> int:
    role = Role.NONE
    for name in (*names[:500].split()[:20], identity[:100]):
        if name.startswith(_NO_NAMES):
            continue
        tokens = {token.lower() for token in _TOKEN.findall(name)}
        whole = "".join(_TOKEN.findall(name)).lower()
        if not tokens.isdisjoint(_FRAME) or whole in _FRAME or any(pair <= tokens for pair in _FRAME_PAIRS):
            role |= Role.FRAME
        if not tokens.isdisjoint(_COMMENT) or whole in _COMMENT:
            role |= Role.COMMENT
        if not tokens.isdisjoint(_NOTES):
            role |= Role.NOTE
        if "review" in tokens or "reviews" in tokens:
            role |= Role.REVIEW
        if whole in _POST or any(pair <= tokens for pair in _POST_PAIRS):
            role |= Role.POST
        elif not tokens.isdisjoint(_MEMBER) or whole in _MEMBER or any(pair <= tokens for pair in _MEMBER_PAIRS):
            role |= Role.MEMBER
    return role


# Whole blocks of a few words that are buttons and labels wherever they stand; compared without case, spaces and punctuation.
_PHRASES = """advertisement|advertising|anzeige|werbung|publicité|publicidad|реклама|広告|广告|share|share this|share this article
teilen|partager|compartir|поделиться|分享|follow us|follow|reply|replies|antworten|répondre|responder|ответить|回复|report|like|save|print
email|copy link|copy|read more|continue reading|weiterlesen|mehr lesen|lire la suite|leer más|читать далее|続きを読む|阅读全文
related articles|related posts|related|related topics|you may also like|you might also like|more from this author|recommended
recommended for you|read also|read next|subscribe|subscribe now|sign up|sign in|log in|login|register|sign up for our newsletter
skip to content|skip to main content|zum inhalt springen|aller au contenu|back to top|nach oben|top|previous|next|previous post|next post
older posts|newer posts|load more|show more|view all|see all|add to cart|add to basket|add to bag|buy now|in den warenkorb
ajouter au panier|añadir al carrito|add to wishlist|add to compare|quick view|leave a comment|leave a reply|add a comment|post a comment
no comments|comments|kommentare|commentaires|comentarios|loading|loading...|edit this page|edit on github|improve this page
on this page|in this article|table of contents|contents|inhaltsverzeichnis|accept|accept all|accept cookies|manage options|reject all
close|menu|search|toggle navigation|all rights reserved|posting rules|add to favorites|report post|quote|zitieren|helpful|report abuse
one person found this helpful|listen|jump to|go to top|expand description|click to toggle source|expand all|collapse all"""
_LABELS = frozenset("".join(filter(str.isalnum, phrase)).casefold() for line in _PHRASES.splitlines() for phrase in line.split("|"))


# A line of this kind near the end of a page begins its foot.
_RIGHTS = regex.compile(
    r"©|\(c\) ?(?:19|20)\d\d|copyright (?:19|20)\d\d|all rights reserved|alle rechte vorbehalten|tous droits réservés|derechos reservados"
    r"|tutti i diritti|все права защищены|版权所有|版權所有|無断転載|all prices include|جميع الحقوق محفوظة|모든 권리",
    regex.I,
)
# So does one that says which tool made the page.
_COLOPHON = regex.compile(
    r"(?:th(?:is|e) (?:document|documentation|page|file|manual|site)(?: (?:was|is|has been))? |documentation )?"
    r"(?:created|generated|translated|produced|converted|powered|built|made) (?:by|with|using|from)\b",
    regex.I,
)
# Headings of parts that lead to other pages.
_ELSEWHERE = regex.compile(
    r"^(?:more (?:from|in|stories|articles|news|on|like)\b|related\b|recommended\b|similar\b|most (?:read|popular|viewed)\b|trending\b"
    r"|popular\b|latest (?:news|posts|articles|stories)|recent posts|you (?:may|might) (?:also )?(?:like|be interested)"
    r"|customers (?:who|also)\b|people also|read (?:next|also|more)\b|up next|also (?:in|on|by)\b|don['’]t miss|keep reading"
    r"|further stories|frequently bought|recently viewed|explore more|what to read next|other (?:articles|posts|products|stories)"
    r"|sponsored|linked$|weitere (?:artikel|themen|beiträge|produkte|meldungen)|mehr (?:zum thema|aus|von)|ähnliche|verwandte"
    r"|das könnte (?:sie|dich)|lesen sie auch|meistgelesen|passend dazu|kunden (?:kauften|interessierten)|à lire (?:aussi|également)"
    r"|sur le même (?:sujet|thème)|articles (?:liés|similaires|connexes)|les plus lus|produits similaires|vous aimerez"
    r"|artículos relacionados|noticias relacionadas|te puede interesar|lo más (?:leído|visto)|también te|productos relacionados"
    r"|leggi anche|articoli correlati|potrebbe interessarti|i più letti|leia também|relacionad[oa]s|veja também|lees ook|gerelateerd"
    r"|читайте также|похожие|по теме|ещё по теме|рекомендуем|相关|推荐|热门|猜你喜欢|延伸阅读|関連|おすすめ|人気|ランキング"
    r"|あわせて読みたい|관련|추천|많이 본|مواضيع ذات صلة|اقرأ أيضا|الأكثر|أخبار ذات صلة|zobacz także|czytaj (?:też|także)|powiązane)",
    regex.I,
)
_PRICE = regex.compile(r"(?:[$€£¥₹₽₩]|\b(?:USD|EUR|GBP|CHF|JPY|zł|kr)\b) ?\d|\d ?(?:[€£₽₩]|(?:EUR|USD|CHF|zł|kr)\b)", regex.I)


def is_label(key: str) -> bool:
    """Whether a block is only a label such as "Read more". `key`: its letters and digits in lower case."""
    return key in _LABELS


def states_rights(text: str) -> bool:
    """Whether a short block reserves the rights in the page, or names the tool that made it."""
    return len(text) <= 400 and (_RIGHTS.search(text) is not None or (len(text) <= 150 and _COLOPHON.match(text.strip()) is not None))


def leads_elsewhere(heading: str) -> bool:
    """Whether a heading announces other pages, such as "Related articles"."""
    return len(heading) <= 100 and _ELSEWHERE.match(heading.strip()) is not None


def is_price(text: str) -> bool:
    """Whether a block is a price and little else."""
    return len(text) <= 60 and _PRICE.search(text) is not None
