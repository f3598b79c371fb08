"""Pages in the markup of forums, shops, news sites and wikis, from the templates in `templates/`."""

# ruff: noqa: E501, PLR0917  (texts and templates)
from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from data import CLINIC, JOBS, PRODUCT, PRODUCTS, QUESTION, SERVICE, STORIES, THREAD, THREAD_DE
from jinja2 import Environment, FileSystemLoader
from tools import MESSAGES, SOURCES, pandoc

ENVIRONMENT = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=False)
INTRO = "Things for the kitchen and for the dark half of the year, made by eleven workshops around the lake. Every piece can be repaired, and we keep the spare parts."


def text_of(markup: str) -> str:
    """The text of a piece of markup, blocks on lines of their own."""
    import html

    return html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"</?(?:p|br|li|pre|blockquote|ul|cite|div)\b[^>]*>", "\n", markup)))


def code_of(*pieces: str) -> list[str]:
    return [line for piece in pieces for block in re.findall(r"<pre.*?>(.*?)</pre>", piece, re.S) for line in text_of(block).splitlines()]


def _source(name: str, template: str, kind: str, language: str, **more: Any) -> dict[str, Any]:
    head = (SOURCES / f"{name}.md").read_text().partition("\n")[0][2:]
    body = pandoc(name, "html5", "--no-highlight").replace("<colgroup>", "").replace("</colgroup>", "")
    inner = re.sub(r"<h1.*?</h1>\n?", "", body, count=1, flags=re.S)
    values: dict[str, Any] = {"title": head, "language": language, "body": inner, **more}
    paragraphs = re.split(r"(?=<h2)", inner)
    values["first"], values["second"], values["third"] = paragraphs[0], paragraphs[1], "".join(paragraphs[2:])
    values["body_classes"] = re.sub(r"<p>", '<p id="f1" class="pw-post-body-paragraph ov ow fr ox b">', inner).replace(
        "<h2", '<h2 class="qd qe"'
    )
    values["body_github"] = body.replace("<table>", '<markdown-accessiblity-table><table tabindex="0">').replace(
        "</table>", "</table></markdown-accessiblity-table>"
    )
    for level in ("h1", "h2"):
        values["body_github"] = re.sub(
            rf'<{level} id="([^"]*)">(.*?)</{level}>',
            rf'<div class="markdown-heading" dir="auto"><{level} class="heading-element">\2</{level}><a id="user-content-\1" class="anchor" aria-label="Permalink" href="#\1"><svg class="octicon octicon-link"><path d="m7"></path></svg></a></div>',
            values["body_github"], flags=re.S,
        )  # fmt: skip
    values["body_github"] = re.sub(
        r'<pre class="(\w+)"><code>(.*?)</code></pre>',
        r'<div class="highlight highlight-source-\1 notranslate overflow-auto" dir="auto"><pre>\2</pre><div class="zeroclipboard-container"><clipboard-copy aria-label="Copy" value="x"><svg></svg></clipboard-copy></div></div>',
        values["body_github"], flags=re.S,
    )  # fmt: skip
    values["body_wiki"] = re.sub(
        r'<h2 id="([^"]*)">(.*?)</h2>',
        r'<div class="mw-heading mw-heading2"><h2 id="\1">\2</h2><span class="mw-editsection"><span class="mw-editsection-bracket">[</span><a href="/edit" title="Edit section"><span>edit</span></a><span class="mw-editsection-bracket">]</span></span></div>',
        inner, flags=re.S,
    ).replace("<table>", '<table class="wikitable">').replace("carts.</p>", 'carts.<sup id="cite_ref-1" class="reference"><a href="#cite_note-1"><span class="cite-bracket">[</span>1<span class="cite-bracket">]</span></a></sup></p>')  # fmt: skip
    values["body_docusaurus"] = re.sub(
        r'<h2 id="([^"]*)">(.*?)</h2>', r'<h2 class="anchor anchorWithStickyNavbar_LWe7" id="\1">\2<a href="#\1" class="hash-link" aria-label="Direct link" title="Direct link">&#8203;</a></h2>', body, flags=re.S
    )  # fmt: skip
    values["body_docusaurus"] = re.sub(
        r'<pre class="(\w+)"><code>(.*?)</code></pre>',
        lambda m: f'<div class="language-{m[1]} codeBlockContainer_Ckt0 theme-code-block"><div class="codeBlockContent_biex"><pre tabindex="0" class="prism-code language-{m[1]} codeBlock_bY9V thin-scrollbar"><code class="codeBlockLines_e6Vv">'
        + "".join(f'<span class="token-line" style="color:#393A34"><span class="token plain">{line}</span><br></span>' for line in m[2].split("\n"))
        + '</code></pre><div class="buttonGroup__atx"><button type="button" class="clean-btn">Copy</button></div></div></div>',
        values["body_docusaurus"], flags=re.S,
    )  # fmt: skip
    plain = text_of(inner)
    values["ld"] = json.dumps({"@context": "https://schema.org", "@type": "NewsArticle", "headline": head, "articleBody": plain})
    values["next"] = json.dumps({"props": {"pageProps": {"article": {"title": head, "body": inner}}}, "page": "/[slug]"})
    return {"kind": kind, "language": language, "source": name, "template": template, "values": values}


def _own(
    template: str, kind: str, language: str, text: list[str], optional: list[str], values: dict[str, Any], **structure: Any
) -> dict[str, Any]:
    return {"kind": kind, "language": language, "template": template, "values": values, "text": "\n".join(text), "optional": "\n".join(optional), **structure}  # fmt: skip


def _thread(template: str, thread: dict[str, Any], language: str, *optional: str) -> dict[str, Any]:
    values = {"title": thread["title"], "posts": thread["posts"], "language": language}
    names = [word for user, date, _ in thread["posts"] for word in (user, date)]
    titles = ["Re: " + thread["title"]] * len(thread["posts"])
    return _own(template, "forum", language, [text_of(text) for _, _, text in thread["posts"]], [*names, *titles, *optional], values)


def _product(template: str, ld: bool = False) -> dict[str, Any]:
    p = PRODUCT
    text = [p["short"] if "woo" in template or ld else "", *p["long"]]
    optional = [
        p["name"],
        p["price"],
        "€ EUR",
        "Description Additional information About this item Product description Product information",
    ]
    if ld:
        value = {
            "@context": "https://schema.org",
            "@type": "Product",
            "name": p["name"],
            "description": " ".join([p["short"], *p["long"]]),
            "offers": {"price": p["price"], "priceCurrency": "EUR"},
        }
        return _own(template, "product", "en", text, optional, {"p": p, "ld": json.dumps(value)})
    text += [*p["features"], *(f"{k} {v}" for k, v in p["specs"]), *(t for _, t, _ in p["reviews"])]
    optional += [
        "Customer reviews 2 reviews for Reviews",
        *(f"{u} Rated {s}.0 out of 5 stars {s} May 4, 2025 Reviewed on 4 May 2025" for u, _, s in p["reviews"]),
    ]
    values = {"p": p, "others": PRODUCTS[:5]}
    return _own(template, "product", "en", text, optional, values, rows=[list(row) for row in p["specs"]])


def _goods(template: str) -> dict[str, Any]:
    text = [INTRO, *(f"{n}\n{c} {d}" for n, c, d in PRODUCTS)]
    optional = ["Kitchen and light Household", "€ Regular price " * len(PRODUCTS)]
    return _own(template, "collection", "en", text, optional, {"intro": INTRO, "products": PRODUCTS})


def _stories(template: str) -> dict[str, Any]:
    text = [f"{t}\n{s}" for t, s in STORIES]
    dates = "".join(f"{20 - i} January Posted on {20 - i} January 2025 by Ellen Lake district " for i in range(1, 7))
    return _own(template, "listing", "en", text, ["Regional Category: Lake", dates], {"stories": STORIES})


def _jobs(template: str) -> dict[str, Any]:
    text = [f"{t}\n{c}\n{p}\n{d}" for t, c, p, d in JOBS] + ([INTRO] if "table" in template else [])
    optional = ["6 jobs in the lake district Open positions", *(f"{i + 2} days ago" for i in range(6))]
    rows = [list(job) for job in JOBS] if "table" in template else []
    return _own(template, "listing", "en", text, optional, {"jobs": JOBS, "intro": INTRO}, rows=rows)


ZH = {"site": "东方晨报网", "menu": ["首页", "新闻", "财经", "体育", "娱乐", "科技", "汽车", "房产", "教育", "旅游"], "crumbs": "新闻中心 > 社会新闻 > 正文", "byline": "2025年03月08日 09:12 来源：东方晨报 作者：陈思", "editor": "责任编辑：王力", "share": "分享到：微信 微博 QQ空间", "related": "相关阅读", "hot": "热点排行", "teasers": ["古城墙修缮工程下月开工", "春茶上市价格比去年略低", "城市图书馆延长夜间开放时间", "这座桥为什么要刷成绿色"], "footer": "版权所有 东方晨报社 未经授权禁止转载 备案号 00000001"}  # fmt: skip
AR = {"site": "بوابة الرمل", "menu": ["الرئيسية", "سياسة", "اقتصاد", "رياضة", "ثقافة", "صحة", "تقنية"], "crumbs": "الرئيسية > ثقافة", "byline": "كتب: كريم منصور — 12 فبراير 2025", "editor": "تحرير: قسم الثقافة", "share": "شارك الخبر عبر فيسبوك وتويتر وواتساب", "related": "مواضيع ذات صلة", "hot": "الأكثر قراءة", "teasers": ["افتتاح سوق الكتب القديمة يوم الخميس", "سباق القوارب يتأجل بسبب الرياح", "متحف جديد للخزف في المدينة", "كيف تختار مظلة للصيف"], "footer": "جميع الحقوق محفوظة لبوابة الرمل 2025", "rtl": True}  # fmt: skip
JA = {"site": "瀬戸新聞", "menu": ["トップ", "社会", "経済", "スポーツ", "文化", "天気"], "byline": "2025年2月23日 14時05分 瀬戸新聞", "related": "関連記事", "teasers": ["灯台の公開、今年は五月から", "定期船の新しい時刻表を発表", "みかんの出荷が最盛期を迎える"], "consent": "当サイトではクッキーを使用しています。", "footer": "著作権は瀬戸新聞社に帰属します。無断転載を禁じます。"}  # fmt: skip


def pages() -> dict[str, dict[str, Any]]:
    issue = [(user, _as_html(text)) for _, user, _, text in MESSAGES]
    q = QUESTION
    lead = "In the village of Ostrey eleven families still cut reed on the frozen lake. The winters grow shorter, and yet there are more orders than ever."
    return {
        "wordpress": _source("essay", "wordpress.html", "article", "en"),
        "newspaper": _source("reedsmith", "newspaper.html", "article", "en", lead=lead) | {"extra": lead},
        "divsoup": _source("essay", "divsoup.html", "article", "en"),
        "amp": _source("ja", "amp.html", "article", "ja", **JA),
        "portal-zh": _source("zh", "portal.html", "article", "zh", **ZH),
        "portal-ar": _source("ar", "portal.html", "article", "ar", **AR),
        "tables": _source("wiki", "tables.html", "article", "en"),
        "script-article": _source("fr", "next_article.html", "article", "fr"),
        "readme": _source("tidewatch", "readme.html", "documentation", "en"),
        "mediawiki": _source("wiki", "mediawiki.html", "article", "en") | {"extra": "Crosses River Ennet Opened 1824 Longest span 27 metres", "optional": "Harrow Bridge See also Lattice truss List of covered bridges References Crane, M. (1951). Timber Bridges of Dunmoor. Parish Press, p. 14."},
        "docusaurus": _source("tidewatch", "docusaurus.html", "documentation", "en"),
        "phpbb": _thread("forum_phpbb.html", THREAD_DE, "de"),
        "discourse": _thread("forum_discourse.html", THREAD, "en"),
        "vbulletin": _thread("forum_vbulletin.html", THREAD, "en"),
        "xenforo": _thread("forum_xenforo.html", THREAD, "en"),
        "orchard": _thread("forum_news.html", THREAD, "en"),
        "questions": _own("forum_qa.html", "forum", "en", [text_of(t) for t, _, _ in q["posts"]], [q["title"], "2 Answers", *q["comments"], *(f"{u} {v}" for _, u, v in q["posts"]), "asked Jul 3, 2022 at 9:12 answered Jul 3, 2022 at 11:02 answered Jul 3, 2022 at 11:02 henk Jul 3, 2022 at 9:30 henk Jul 3, 2022 at 9:30 python intervals"], q, code=code_of(*(t for t, _, _ in q["posts"]))),
        "issue": _own("forum_issue.html", "forum", "en", [text_of(t) for _, t in issue], [MESSAGES[0][2], "#214 Open ida opened this issue Jan 6, 2025 2 comments", *(f"{u} commented Jan 6, 2025" for u, _ in issue)], {"title": MESSAGES[0][2], "posts": issue}, code=code_of(*(t for _, t in issue))),
        "woocommerce": _product("product_woo.html"),
        "store": _product("product_store.html"),
        "script-product": _product("product_next.html", ld=True),
        "shop-grid": _goods("collection_shop.html"),
        "shop-cards": _goods("collection_cards.html"),
        "jobs": _jobs("listing_jobs.html"),
        "jobs-table": _jobs("listing_table.html"),
        "front-page": _stories("listing_front.html"),
        "blog-archive": _stories("listing_blog.html"),
        "software-service": _own("service_saas.html", "service", "en", [SERVICE["claim"], SERVICE["lead"], *(f"{t}\n{d}" for t, d in SERVICE["features"]), *SERVICE["quote"], *(f"{n} €{c} /month {d}" for n, c, d in SERVICE["plans"]), *(f"{a}\n{b}" for a, b in SERVICE["faq"]), "What it does", "Pricing", "Questions"], ["Ready to leave the desk? Trusted by 2,400 workshops No credit card required"], {"s": SERVICE}),
        "clinic": _own("service_clinic.html", "service", "de", [CLINIC["intro"], *(f"{t}\n{d}" for t, d in CLINIC["services"]), "Sprechzeiten", *(f"{a} {b}" for a, b in CLINIC["hours"])], [CLINIC["name"], "Mühlbachstraße 4 · 49401 Damme · Telefon 05491 555 01"], {"s": CLINIC}, rows=[list(r) for r in CLINIC["hours"]]),
    }  # fmt: skip


def _as_html(text: str) -> str:
    """A mail as a tracker shows it: quotes, code and paragraphs."""
    out = []
    for part in text.split("\n\n"):
        if part.startswith("> "):
            out.append(f"<blockquote><p>{part[2:]}</p></blockquote>")
        elif part.startswith("    "):
            lines = "\n".join(line[4:] for line in part.split("\n"))
            out.append(f"<pre><code>{lines}</code></pre>")
        else:
            out.append(f"<p>{part}</p>")
    return "\n".join(out)
