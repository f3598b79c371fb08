"""Pages made by documentation tools, static site generators and archivers from the texts in `sources/`."""

# ruff: noqa: E501  (texts and templates)
from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

SOURCES = Path(__file__).parent / "sources"
BIN = Path(sys.executable).parent


def run(*command: str | Path, cwd: Path, text: str | None = None) -> str:
    """Standard output of a command that must succeed."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1767225600", "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run([*map(str, command)], cwd=cwd, input=text, text=True, capture_output=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr[-2000:]}")
    return done.stdout


def pandoc(name: str, to: str, *options: str) -> str:
    return run(
        "pandoc", "-f", "gfm+smart" if to == "html" else "gfm", "-t", to, "--wrap=none", *options, SOURCES / f"{name}.md", cwd=SOURCES
    )


def sphinx(work: Path, name: str, theme: str, language: str = "en") -> str:
    others = [s.stem for s in SOURCES.glob("*.md") if s.stem != name]
    (work / "conf.py").write_text(
        f"project = 'Handbook'\nauthor = 'The Handbook Team'\nhtml_theme = '{theme}'\nlanguage = '{language}'\ncopyright = '2025, The Handbook Team'\n"
    )
    toctree = "\n.. toctree::\n   :maxdepth: 2\n   :caption: Contents\n\n" + "".join(f"   {page}\n" for page in [*others, name])
    (work / "index.rst").write_text("Handbook\n========\n" + toctree)
    for page in [*others, name]:
        (work / f"{page}.rst").write_text(pandoc(page, "rst"))
    run("sphinx-build", "-q", "-b", "html", ".", "out", cwd=work)
    return (work / "out" / f"{name}.html").read_text()


def mkdocs(work: Path, name: str, theme: str, language: str = "en") -> str:
    docs = work / "docs"
    shutil.copytree(SOURCES, docs)
    (docs / "index.md").write_text("# Handbook\n\nWelcome.\n")
    extra = (
        "  features: [navigation.tabs, navigation.footer, toc.follow, content.code.copy, search.suggest]\n" if theme == "material" else ""
    )
    locale = f"  language: {language}\n" if theme == "material" else ""
    (work / "mkdocs.yml").write_text(
        f"site_name: Handbook\nsite_url: https://handbook.example/\nrepo_url: https://code.example/handbook\n"
        f"edit_uri: edit/main/docs/\ncopyright: Copyright &copy; 2025 The Handbook Team\n"
        f"theme:\n  name: {theme}\n{locale}{extra}markdown_extensions: [tables, fenced_code, {{toc: {{permalink: true}}}}"
        + (", admonition, pymdownx.highlight, pymdownx.superfences" if theme == "material" else "")
        + "]\n"
    )
    run("mkdocs", "build", "-q", cwd=work)
    return (work / "site" / name / "index.html").read_text()


def pelican(work: Path, name: str, theme: str, language: str) -> str:
    content = work / "content"
    content.mkdir()
    for other, category in [(name, "Chronicle"), ("essay", "Kitchen"), ("wiki", "Places")]:
        head, _, body = (SOURCES / f"{other}.md").read_text().partition("\n")
        (content / f"{other}.md").write_text(
            f"Title: {head[2:]}\nDate: 2025-03-14\nAuthor: Nora Blume\nTags: craft, people\nCategory: {category}\nSlug: {other}\n\n{body}"
        )
    (work / "conf.py").write_text(
        f"SITENAME='The Weekly Ferry'\nAUTHOR='Nora Blume'\nTIMEZONE='UTC'\nDEFAULT_LANG='{language}'\nPATH='content'\nTHEME='{theme}'\n"
        "LINKS=(('Harbour office','https://harbour.example/'),('Tide tables','https://tides.example/'))\n"
        "SOCIAL=(('Feed','https://ferry.example/feed'),)\nDEFAULT_PAGINATION=5\n"
        "MARKDOWN={'extension_configs':{'markdown.extensions.tables':{},'markdown.extensions.meta':{}}}\n"
    )
    run("pelican", "-q", "-s", "conf.py", cwd=work)
    return (work / "output" / f"{name}.html").read_text()


def pelican_index(work: Path, theme: str) -> str:
    pelican(work, "reedsmith", theme, "en")
    return (work / "output" / "index.html").read_text()


def nikola(work: Path, name: str, language: str) -> str:
    run("nikola", "init", "-q", "site", cwd=work)
    site = work / "site"
    head, _, body = (SOURCES / f"{name}.md").read_text().partition("\n")
    (site / "posts" / f"{name}.md").write_text(
        f"<!--\n.. title: {head[2:]}\n.. slug: {name}\n.. date: 2025-02-03 10:00:00 UTC\n.. tags: sierra, libros\n.. author: Inés Duarte\n-->\n{body}"
    )
    conf = (site / "conf.py").read_text()
    (site / "conf.py").write_text(re.sub(r"^DEFAULT_LANG = .*$", f'DEFAULT_LANG = "{language}"', conf, flags=re.M))
    run("nikola", "build", "-q", cwd=site)
    return (site / "output" / "posts" / name / "index.html").read_text()


def nbconvert(work: Path, name: str, template: str) -> str:
    import nbformat

    cells = []
    for part in re.split(r"(```python\n.*?```)", (SOURCES / f"{name}.md").read_text(), flags=re.S):
        if part.startswith("```python"):
            cells.append(nbformat.v4.new_code_cell(part[10:-4], execution_count=len(cells)))
        else:
            cells.append(nbformat.v4.new_markdown_cell(part.strip()))
    notebook = nbformat.v4.new_notebook(cells=cells)
    (work / "n.ipynb").write_text(nbformat.writes(notebook))
    run("jupyter-nbconvert", "--to", "html", "--template", template, "n.ipynb", cwd=work)
    return (work / "n.html").read_text()


def asciidoctor(work: Path, name: str) -> str:
    (work / "a.adoc").write_text(":toc: left\n:author: Bureau of Gauges\n" + pandoc(name, "asciidoc"))
    run("asciidoctor", "-a", "linkcss", "-o", "a.html", "a.adoc", cwd=work)
    return (work / "a.html").read_text()


def docbook(work: Path, name: str) -> str:
    (work / "d.xml").write_text(pandoc(name, "docbook", "-s", "--top-level-division=chapter"))
    sheet = "/usr/share/xml/docbook/stylesheet/docbook-xsl/xhtml/docbook.xsl"
    return run("xsltproc", "--nonet", "--stringparam", "generate.toc", "article toc book toc", sheet, "d.xml", cwd=work)


def groff(work: Path, name: str) -> str:
    (work / "m.1").write_text(pandoc(name, "man", "-s", "-M", "title=TIDEWATCH", "-M", "section=1"))
    return run("groff", "-Thtml", "-K", "utf8", "-t", "-man", "m.1", cwd=work)


def man2html(work: Path, name: str) -> str:
    (work / "m.1").write_text(pandoc(name, "man", "-s", "-M", "title=TIDEWATCH", "-M", "section=1"))
    return run("man2html", "-r", "m.1", cwd=work).partition("\n\n")[2]


def rst2html(work: Path, name: str) -> str:
    (work / "r.rst").write_text(pandoc(name, "rst"))
    return run("rst2html5", "--link-stylesheet", "r.rst", cwd=work)


def pandoc_page(work: Path, name: str, language: str) -> str:
    return pandoc(name, "html5", "-s", "--toc", "-M", f"lang={language}", "-M", f"pagetitle={name}")


def npm(work: Path, *packages: str) -> Path:
    """The folder of the commands of npm packages, installed in `work`."""
    if not (work / "package.json").exists():
        (work / "package.json").write_text('{"private": true}')
    run("npm", "install", "--silent", "--no-audit", "--no-fund", *packages, cwd=work)
    return work / "node_modules" / ".bin"


def texinfo(work: Path, name: str) -> str:
    (work / "t.texi").write_text(pandoc(name, "texinfo", "-s"))
    run("makeinfo", "--html", "--no-split", "-o", "out.html", "t.texi", cwd=work)
    return (work / "out.html").read_text()


def mandoc(work: Path, name: str) -> str:
    return run("mandoc", "-T", "html", "-O", "style=style.css,toc", cwd=work, text=pandoc(name, "man", "-s", "-M", f"title={name}"))


def latexml(work: Path, name: str) -> str:
    (work / "t.tex").write_text(_latex(name))
    run("latexml", "--quiet", "--dest=t.xml", "t.tex", cwd=work)
    run("latexmlpost", "--quiet", "--dest=t.html", "--format=html5", "t.xml", cwd=work)
    return (work / "t.html").read_text()


def hevea(work: Path, name: str) -> str:
    (work / "t.tex").write_text(_latex(name))
    run("hevea", "-fix", "-O", "t.tex", cwd=work)
    return (work / "t.html").read_text()


def _latex(name: str) -> str:
    head, _, body = (SOURCES / f"{name}.md").read_text().partition("\n")
    text = run("pandoc", "-f", "gfm", "-t", "latex", "--shift-heading-level-by=-1", "--no-highlight", cwd=SOURCES, text=body)
    # Tables as both tools know them; pandoc's own need packages of a full TeX.
    text = re.sub(r"\\(toprule|midrule|bottomrule)(\\noalign\{\})?", r"\\hline", text)
    text = re.sub(r"\\endhead|\\endlastfoot|\\endfirsthead|\\noalign\{\}", "", text)
    text = re.sub(r"\\begin\{longtable\}\[\]\{@\{\}(\w+)@\{\}\}", r"\\begin{tabular}{\1}", text).replace(
        r"\end{longtable}", r"\end{tabular}"
    )
    text = text.replace(r"\tightlist", "")
    return (
        "\\documentclass{article}\n\\usepackage[utf8]{inputenc}\n\\usepackage{hyperref}\n\\title{" + head[2:] + "}\n\\author{Nora Blume}\n"
        "\\begin{document}\n\\maketitle\n" + text + "\\end{document}\n"
    )


POSTS = ["essay", "wiki", "reedsmith"]


def jekyll(work: Path, name: str, language: str) -> str:
    _jekyll(work, [name, "essay", "wiki"], language)
    return next((work / "_site").glob(f"**/{name}.html")).read_text()


def jekyll_index(work: Path) -> str:
    _jekyll(work, POSTS, "en")
    return (work / "_site" / "index.html").read_text()


def _jekyll(work: Path, names: list[str], language: str) -> None:
    (work / "_posts").mkdir()
    for day, name in enumerate(dict.fromkeys(names), 1):
        head, _, body = (SOURCES / f"{name}.md").read_text().partition("\n")
        (work / "_posts" / f"2025-04-0{day}-{name}.md").write_text(
            f'---\nlayout: post\ntitle: "{head[2:]}"\nauthor: Nora Blume\n---\n{body}'
        )
    (work / "index.md").write_text("---\nlayout: home\n---\n")
    (work / "about.md").write_text("---\nlayout: page\ntitle: About\n---\nAbout us.\n")
    (work / "_config.yml").write_text(
        f"title: The Weekly Ferry\nlang: {language}\nurl: https://ferry.example\ntheme: minima\nshow_excerpts: true\nemail: post@ferry.example\n"
        "description: News from both banks of the river.\nplugins: [jekyll-feed, jekyll-seo-tag]\n"
    )
    run("jekyll", "build", "--quiet", cwd=work)


def hexo(work: Path, name: str, language: str) -> str:
    _hexo(work, [name, "essay", "wiki"], language)
    return (work / "public" / name / "index.html").read_text()


def hexo_index(work: Path) -> str:
    _hexo(work, POSTS, "en")
    return (work / "public" / "index.html").read_text()


def _hexo(work: Path, names: list[str], language: str) -> None:
    posts = work / "source" / "_posts"
    posts.mkdir(parents=True)
    for day, name in enumerate(dict.fromkeys(names), 1):
        head, _, body = (SOURCES / f"{name}.md").read_text().partition("\n")
        (posts / f"{name}.md").write_text(
            f'---\ntitle: "{head[2:]}"\ndate: 2025-05-0{day} 10:00:00\ntags: [river, people]\ncategories: [Chronicle]\n---\n{body}'
        )
    (work / "package.json").write_text('{"private": true, "hexo": {"version": "7"}}')
    (work / "_config.yml").write_text(
        f"title: The Weekly Ferry\nauthor: Nora Blume\nlanguage: {language}\nurl: https://ferry.example\npermalink: :title/\ntheme: landscape\n"
    )
    tools = npm(
        work, "hexo@7", "hexo-theme-landscape@1", "hexo-renderer-ejs@2", "hexo-renderer-marked@6", "hexo-renderer-stylus@3",
        "hexo-generator-index@4", "hexo-generator-archive@2", "hexo-generator-tag@2", "hexo-generator-category@2",
    )  # fmt: skip
    run(tools / "hexo", "generate", "--silent", cwd=work)


def honkit(work: Path, name: str, language: str) -> str:
    others = ["manual", "tidewatch"]
    for page in [*others, name]:
        shutil.copy(SOURCES / f"{page}.md", work / f"{page}.md")
    (work / "README.md").write_text("# Handbook\n\nWelcome.\n")
    (work / "SUMMARY.md").write_text("# Summary\n\n" + "".join(f"* [{page.title()}]({page}.md)\n" for page in [*others, name]))
    (work / "book.json").write_text(f'{{"title": "Handbook", "language": "{language}"}}')
    run(npm(work, "honkit@6") / "honkit", "build", ".", "out", cwd=work)
    return (work / "out" / f"{name}.html").read_text()


def vitepress(work: Path, name: str, language: str) -> str:
    docs = work / "docs"
    shutil.copytree(SOURCES, docs)
    (docs / "index.md").write_text("# Handbook\n\nWelcome.\n")
    (docs / ".vitepress").mkdir()
    items = ",".join(f"{{text: '{page.stem.title()}', link: '/{page.stem}'}}" for page in sorted(SOURCES.glob("*.md")))
    (docs / ".vitepress" / "config.mjs").write_text(
        f"export default {{lang: '{language}', title: 'Handbook', ignoreDeadLinks: true, themeConfig: {{"
        f"nav: [{{text: 'Guide', link: '/manual'}}, {{text: 'Options', link: '/tidewatch'}}], sidebar: [{{text: 'Chapters', items: [{items}]}}],"
        "editLink: {pattern: 'https://code.example/handbook/edit/main/:path'}, footer: {message: 'Released under a free licence.',"
        " copyright: 'Copyright 2025 The Handbook Team'}, socialLinks: [{icon: 'github', link: 'https://code.example/handbook'}]}}\n"
    )
    run(npm(work, "vitepress@1") / "vitepress", "build", "docs", cwd=work)
    return (docs / ".vitepress" / "dist" / f"{name}.html").read_text()


def starlight(work: Path, name: str, language: str) -> str:
    docs = work / "src" / "content" / "docs"
    docs.mkdir(parents=True)
    for page in ("manual", "tidewatch", name):
        head, _, body = (SOURCES / f"{page}.md").read_text().partition("\n")
        (docs / f"{page}.md").write_text(f'---\ntitle: "{head[2:]}"\n---\n{body}')
    (docs / "index.md").write_text("---\ntitle: Handbook\n---\nWelcome.\n")
    (work / "src" / "content.config.ts").write_text(
        "import { defineCollection } from 'astro:content';\nimport { docsLoader } from '@astrojs/starlight/loaders';\n"
        "import { docsSchema } from '@astrojs/starlight/schema';\n"
        "export const collections = { docs: defineCollection({ loader: docsLoader(), schema: docsSchema() }) };\n"
    )
    (work / "astro.config.mjs").write_text(
        "import { defineConfig } from 'astro/config';\nimport starlight from '@astrojs/starlight';\n"
        f"export default defineConfig({{ site: 'https://handbook.example', integrations: [starlight({{ title: 'Handbook', pagefind: false,\n"
        f"  locales: {{ root: {{ label: '{language}', lang: '{language}' }} }}, editLink: {{ baseUrl: 'https://code.example/handbook/' }} }})] }});\n"
    )
    tools = npm(work, "astro@5", "@astrojs/starlight@0.34", "sharp")
    run(tools / "astro", "telemetry", "disable", cwd=work)
    run(tools / "astro", "build", cwd=work)
    return (work / "dist" / name / "index.html").read_text()


CODE = {
    "summary": "Computes the draught of a barge from its load.",
    "detail": "A barge sinks until it displaces as much water as it weighs. The hull is taken to be a box, which is exact for the flat barges of the canal and four per cent too low for pointed ones.",
    "functions": [
        ("draught", "mass", "Depth of the keel below the water line, in metres.", "Mass of hull and cargo together, in tonnes; it must not be negative.", "The draught in metres, rounded to the next centimetre."),
        ("clearance", "depth", "Water that is left between the keel and the bed of the canal.", "Depth of the canal at the shallowest lock, in metres.", "The clearance in metres; a negative number means that the barge runs aground."),
        ("loadable", "limit", "Cargo that can still be taken on board before the limit is reached.", "Largest draught that the lock keeper allows, in metres.", "Tonnes of cargo, never below zero."),
    ],
}  # fmt: skip


def doxygen(work: Path) -> str:
    body = "".join(
        f"/** @brief {brief}\n *\n * @param {argument} {about}\n * @return {result}\n */\ndouble barge_{name}(double {argument});\n\n"
        for name, argument, brief, about, result in CODE["functions"]
    )
    (work / "barge.h").write_text(f"/** @file barge.h\n * @brief {CODE['summary']}\n *\n * {CODE['detail']}\n */\n#pragma once\n\n{body}")
    (work / "Doxyfile").write_text(
        "PROJECT_NAME=Canal\nINPUT=barge.h\nGENERATE_LATEX=NO\nQUIET=YES\nEXTRACT_ALL=YES\nSOURCE_BROWSER=NO\nVERBATIM_HEADERS=NO\n"
    )
    run("doxygen", "Doxyfile", cwd=work)
    return (work / "html" / "barge_8h.html").read_text()


def javadoc(work: Path) -> str:
    body = "".join(
        f"/** {brief}\n * @param {argument} {about}\n * @return {result}\n */\npublic double {name}(double {argument}) {{ return 0; }}\n"
        for name, argument, brief, about, result in CODE["functions"]
    )
    (work / "canal").mkdir()
    (work / "canal" / "Barge.java").write_text(
        f"package canal;\n/** {CODE['summary']}\n * {CODE['detail']} */\npublic class Barge {{\n{body}}}\n"
    )
    run("javadoc", "-quiet", "-d", "out", "canal/Barge.java", cwd=work)
    return (work / "out" / "canal" / "Barge.html").read_text()


def _python(work: Path) -> None:
    body = "".join(
        f'def {name}({argument}: float) -> float:\n    """{brief}\n\n    {argument}: {about}\n\n    {result}\n    """\n    return 0.0\n\n\n'
        for name, argument, brief, about, result in CODE["functions"]
    )
    (work / "barge.py").write_text(f'"""{CODE["summary"]}\n\n{CODE["detail"]}\n"""\n\n{body}')


def pdoc(work: Path) -> str:
    _python(work)
    run("pdoc", "./barge.py", "-o", "out", "--no-show-source", cwd=work)
    return (work / "out" / "barge.html").read_text()


def pydoc(work: Path) -> str:
    _python(work)
    run(sys.executable, "-m", "pydoc", "-w", "barge", cwd=work)
    return (work / "barge.html").read_text().replace(str(work), "/srv")


def _script(work: Path, form: str, file: str, head: str, foot: str = "") -> None:
    """A program in which every function is written by `form`, with its comment."""
    names = ("name", "argument", "brief", "about", "result")
    body = "".join(form.format(**dict(zip(names, function, strict=True))) for function in CODE["functions"])
    (work / file).write_text(head.format(summary=CODE["summary"], detail=CODE["detail"]) + body + foot)


def pod2html(work: Path) -> str:
    form = "=head2 {name}({argument})\n\n{brief}\n\n=over\n\n=item {argument}\n\n{about}\n\n=item returns\n\n{result}\n\n=back\n\n=cut\n\nsub {name} {{ 0 }}\n\n"
    _script(
        work,
        form,
        "Barge.pm",
        "package Canal::Barge;\n\n=head1 NAME\n\nCanal::Barge - {summary}\n\n=head1 DESCRIPTION\n\n{detail}\n\n=head1 FUNCTIONS\n\n=cut\n\n",
        "1;\n",
    )
    return run("pod2html", "--infile=Barge.pm", "--title=Canal::Barge", cwd=work)


RUBY = "# {summary}\n#\n# {detail}\nclass Barge\n"


def rdoc(work: Path) -> str:
    _script(
        work,
        "  # {brief}\n  #\n  # +{argument}+:: {about}\n  #\n  # {result}\n  def {name}({argument}); end\n\n",
        "barge.rb",
        RUBY,
        "end\n",
    )
    run("rdoc", "-q", "-o", "out", "barge.rb", cwd=work)
    return (work / "out" / "Barge.html").read_text()


def yard(work: Path) -> str:
    form = "  # {brief}\n  # @param {argument} [Float] {about}\n  # @return [Float] {result}\n  def {name}({argument}); end\n\n"
    _script(work, form, "barge.rb", RUBY, "end\n")
    run("yard", "doc", "-q", "-o", "out", "barge.rb", cwd=work)
    return (work / "out" / "Barge.html").read_text()


def rustdoc(work: Path) -> str:
    form = "    /// {brief}\n    ///\n    /// - `{argument}`: {about}\n    ///\n    /// {result}\n    fn {name}(&self, {argument}: f64) -> f64;\n\n"
    _script(work, form, "canal.rs", "/// {summary}\n///\n/// {detail}\npub trait Barge {{\n", "}\n")
    run("rustdoc", "--crate-name", "canal", "-o", "out", "canal.rs", cwd=work)
    return (work / "out" / "canal" / "trait.Barge.html").read_text()


SCRIPT = "  /**\n   * {{brief}}\n   * @param {}{{argument}} {{about}}\n   * @returns {}{{result}}\n   */\n  {{name}}({{argument}}{}) {{{{ return 0; }}}}\n\n"
CLASS = "/**\n * {summary}\n *\n * {detail}\n */\n"


def jsdoc(work: Path) -> str:
    _script(work, SCRIPT.format("{{number}} ", "{{number}} ", ""), "barge.js", CLASS + "class Barge {{\n", "}\n")
    run(npm(work, "jsdoc@4") / "jsdoc", "-d", "out", "barge.js", cwd=work)
    return (work / "out" / "Barge.html").read_text()


def documentation_js(work: Path) -> str:
    _script(work, SCRIPT.format("{{number}} ", "{{number}} ", ""), "barge.js", CLASS + "export class Barge {{\n", "}\n")
    run(
        npm(work, "documentation@14") / "documentation", "build", "barge.js", "-f", "html", "-o", "out", "--project-name", "canal", cwd=work
    )
    return (work / "out" / "index.html").read_text()


def typedoc(work: Path) -> str:
    _script(work, SCRIPT.format("", "", ": number"), "barge.ts", CLASS + "export class Barge {{\n", "}\n")
    (work / "tsconfig.json").write_text('{"files": ["barge.ts"]}')
    tools = npm(work, "typedoc@0.28", "typescript@5")
    run(tools / "typedoc", "--out", "out", "--name", "canal", "--disableSources", "--disableGit", "barge.ts", cwd=work)
    return (work / "out" / "classes" / "Barge.html").read_text()


def redoc(work: Path) -> str:
    paths = {
        f"/barges/{{id}}/{name}": {
            "get": {
                "summary": name, "operationId": name, "description": brief,
                "parameters": [{"name": argument, "in": "query", "required": True, "description": about, "schema": {"type": "number"}}],
                "responses": {"200": {"description": result}},
            }
        }
        for name, argument, brief, about, result in CODE["functions"]
    }  # fmt: skip
    api = {
        "openapi": "3.0.0",
        "info": {"title": "Canal", "version": "2.1", "description": f"{CODE['summary']}\n\n{CODE['detail']}"},
        "paths": paths,
    }
    (work / "api.json").write_text(json.dumps(api))
    run(npm(work, "redoc-cli@0.13") / "redoc-cli", "build", "api.json", "-o", "out.html", cwd=work)
    return (work / "out.html").read_text()


def ldoc(work: Path) -> str:
    form = "--- {brief}\n-- @number {argument} {about}\n-- @treturn number {result}\nfunction barge.{name}({argument}) end\n\n"
    _script(work, form, "barge.lua", "--- {summary}\n-- {detail}\n-- @module barge\nlocal barge = {{}}\n\n", "return barge\n")
    run("ldoc", "-q", "-d", "out", "-p", "canal", "barge.lua", cwd=work)
    return (work / "out" / "index.html").read_text()


def naturaldocs(work: Path) -> str:
    for folder in ("code", "out", "project"):
        (work / folder).mkdir()
    form = "/* Function: {name}\n *\n * {brief}\n *\n * Parameters:\n *   {argument} - {about}\n *\n * Returns:\n *   {result}\n */\ndouble {name}(double {argument});\n\n"
    _script(work, form, "code/barge.h", "/* File: Barge\n *\n * {summary}\n *\n * {detail}\n */\n\n")
    run("naturaldocs", "-q", "-i", "code", "-o", "HTML", "out", "-p", "project", cwd=work)
    return (work / "out" / "files" / "barge-h.html").read_text()


def pydoctor(work: Path) -> str:
    _python(work)
    run("pydoctor", "--quiet", "--docformat=plaintext", "--html-output=out", "barge.py", cwd=work)
    return (work / "out" / "barge.html").read_text()


def ford(work: Path) -> str:
    form = "  function {name}({argument}) result(value)\n    !! {brief}\n    real, intent(in) :: {argument} !! {about}\n    real :: value !! {result}\n    value = 0\n  end function\n\n"
    (work / "src").mkdir()
    _script(work, form, "src/barge.f90", "module barge\n  !! {summary}\n  !!\n  !! {detail}\n  implicit none\ncontains\n", "end module\n")
    (work / "ford.md").write_text("---\nproject: Canal\nsrc_dir: src\noutput_dir: out\ngraph: false\nsearch: false\n---\nBarges.\n")
    run("ford", "-q", "ford.md", cwd=work)
    return (work / "out" / "module" / "barge.html").read_text()


def code_text() -> str:
    return "\n".join([CODE["summary"], CODE["detail"], *(part for f in CODE["functions"] for part in f[2:])])


MESSAGES = [
    ("Ida Brandt", "ida", "Gate motor stalls below 4 degrees", "Since the cold days began the motor of the eastern gate stalls after about two seconds. The fuse holds. The manual says that the brake should open at 18 volts, but I measure 16.4 when it is cold. Has anyone seen this before, and is there a setting for a longer start ramp?"),
    ("Pavel Orlik", "pavel", "Re: Gate motor stalls below 4 degrees", "Ours did the same last winter. The grease in the gearbox is made for zero degrees and above. We changed to the synthetic one, part 7731, and it has started at minus eleven ever since.\n\n> is there a setting for a longer start ramp?\n\nYes, register 0x2A, in tenths of a second. The default is 5. Do not go above 20, the relay gets hot."),
    ("Ida Brandt", "ida", "Re: Gate motor stalls below 4 degrees", "Thank you. With register 0x2A at 12 it starts every time, and the grease is ordered. I will report again in February.\n\n    gatectl write 0x2A 12\n    gatectl save"),
]  # fmt: skip


def mhonarc(work: Path) -> str:
    mailbox = ""
    for i, (name, user, subject, text) in enumerate(MESSAGES):
        reference = f"In-Reply-To: <m{i - 1}@gates.example>\n" if i else ""
        mailbox += (
            f"From {user}@gates.example Mon Jan  6 0{i + 8}:00:00 2025\nFrom: {name} <{user}@gates.example>\nTo: operators@gates.example\n"
            f"Subject: {subject}\nDate: Mon, 6 Jan 2025 0{i + 8}:00:00 +0000\nMessage-ID: <m{i}@gates.example>\n{reference}\n{text}\n\n"
        )
    (work / "mbox").write_text(mailbox)
    (work / "out").mkdir()
    run("mhonarc", "-quiet", "-outdir", "out", "-spammode", "mbox", cwd=work)
    return (work / "out" / "msg00001.html").read_text()


def from_source(kind: str, language: str, name: str, make: Callable[..., str], *arguments: str) -> dict[str, object]:
    return {"kind": kind, "language": language, "source": name, "make": make, "arguments": arguments}


PAGES: dict[str, dict[str, object]] = {
    "sphinx-alabaster": from_source("documentation", "en", "tidewatch", sphinx, "tidewatch", "alabaster"),
    "sphinx-rtd": from_source("documentation", "de", "de", sphinx, "de", "sphinx_rtd_theme", "de"),
    "sphinx-furo": from_source("documentation", "en", "manual", sphinx, "manual", "furo"),
    "sphinx-pydata": from_source("documentation", "ru", "ru", sphinx, "ru", "pydata_sphinx_theme", "ru"),
    "mkdocs": from_source("documentation", "en", "manual", mkdocs, "manual", "mkdocs"),
    "mkdocs-rtd": from_source("documentation", "en", "tidewatch", mkdocs, "tidewatch", "readthedocs"),
    "mkdocs-material": from_source("documentation", "de", "de", mkdocs, "de", "material", "de"),
    "asciidoctor": from_source("documentation", "ru", "ru", asciidoctor, "ru"),
    "docbook": from_source("documentation", "en", "tidewatch", docbook, "tidewatch"),
    "groff": from_source("documentation", "en", "tidewatch", groff, "tidewatch"),
    "man2html": from_source("documentation", "en", "tidewatch", man2html, "tidewatch"),
    "rst2html": from_source("documentation", "en", "manual", rst2html, "manual"),
    "notebook-lab": from_source("documentation", "en", "manual", nbconvert, "manual", "lab"),
    "notebook-classic": from_source("documentation", "en", "manual", nbconvert, "manual", "classic"),
    "pandoc": from_source("article", "zh", "zh", pandoc_page, "zh", "zh"),
    "pelican-notmyidea": from_source("article", "fr", "fr", pelican, "fr", "notmyidea", "fr"),
    "pelican-simple": from_source("article", "en", "reedsmith", pelican, "reedsmith", "simple", "en"),
    "nikola": from_source("article", "es", "es", nikola, "es", "es"),
    "doxygen": from_source("documentation", "en", "", doxygen),
    "javadoc": from_source("documentation", "en", "", javadoc),
    "pdoc": from_source("documentation", "en", "", pdoc),
    "pydoc": from_source("documentation", "en", "", pydoc),
    "texinfo": from_source("documentation", "en", "tidewatch", texinfo, "tidewatch"),
    "mandoc": from_source("documentation", "en", "manual", mandoc, "manual"),
    "latexml": from_source("article", "en", "tidewatch", latexml, "tidewatch"),
    "hevea": from_source("article", "en", "manual", hevea, "manual"),
    "jekyll": from_source("article", "de", "de", jekyll, "de", "de"),
    "jekyll-index": from_source("listing", "en", "", jekyll_index),
    "hexo": from_source("article", "zh", "zh", hexo, "zh", "zh-CN"),
    "hexo-index": from_source("listing", "en", "", hexo_index),
    "honkit": from_source("documentation", "fr", "fr", honkit, "fr", "fr"),
    "vitepress": from_source("documentation", "ja", "ja", vitepress, "ja", "ja"),
    "starlight": from_source("documentation", "en", "manual", starlight, "manual", "en"),
    "pod2html": from_source("documentation", "en", "", pod2html),
    "rdoc": from_source("documentation", "en", "", rdoc),
    "yard": from_source("documentation", "en", "", yard),
    "rustdoc": from_source("documentation", "en", "", rustdoc),
    "jsdoc": from_source("documentation", "en", "", jsdoc),
    "documentation-js": from_source("documentation", "en", "", documentation_js),
    "typedoc": from_source("documentation", "en", "", typedoc),
    "redoc": from_source("documentation", "en", "", redoc),
    "ldoc": from_source("documentation", "en", "", ldoc),
    "naturaldocs": from_source("documentation", "en", "", naturaldocs),
    "pydoctor": from_source("documentation", "en", "", pydoctor),
    "ford": from_source("documentation", "en", "", ford),
    "mhonarc": from_source("forum", "en", "", mhonarc),
}
