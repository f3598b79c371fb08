// Markdown to elements. markdown-it only parses; every element is made here, from a closed list, and text becomes text nodes.

import MarkdownIt from "./vendor/markdown-it.js";
import { h } from "./dom.js";
import { characters, shown, unitIndex, webUrl } from "./text.js";

const MOST_CHARACTERS = 200_000;
const TAGS = new Set(["p", "blockquote", "ul", "ol", "li", "hr", "thead", "tbody", "tr", "th", "td", "strong", "em", "s", "br"]);

const parser = new MarkdownIt({ html: false, linkify: false, typographer: false });
parser.validateLink = () => true; // `link` below decides
parser.inline.ruler.before("link", "citation", (state, silent) => {
  const match = /^\[\^(\d{1,4})\]/u.exec(state.src.slice(state.pos, state.pos + 8));
  if (!match) return false;
  if (!silent) state.push("citation", "", 0).content = match[1];
  state.pos += match[0].length;
  return true;
});

// A mark of marks.js is no character of the text: emphasis looks past it.
const MARK = /[\ue000-\ue002]/u;
parser.inline.State = class extends parser.inline.State {
  scanDelims(start, canSplit) {
    const { src } = this;
    let [before, end] = [start - 1, start];
    while (src[end] === src[start] && end < this.posMax) end++;
    if (!MARK.test(src[before] ?? "") && !MARK.test(src[end] ?? "")) return super.scanDelims(start, canSplit);
    let after = end;
    while (MARK.test(src[before] ?? "")) before--;
    while (MARK.test(src[after] ?? "")) after++;
    const bare = src.slice(Math.max(0, before - 1), before + 1) + src.slice(start, end) + src.slice(after, after + 2);
    return super.scanDelims.call({ src: bare, posMax: bare.length }, Math.min(2, before + 1), canSplit);
  }
};

/** How `text` is read, as a string: equal for texts that make the same elements. Marks are kept in it where they will be seen. */
export function skeleton(text) {
  const unseen = (value) => JSON.stringify(value ?? "").replace(/[\ue000-\ue002]/gu, "!");
  const read = (tokens) =>
    tokens
      .filter((token) => !token.hidden)
      .map(({ type, tag, nesting, attrs, info, content, children }) => {
        if (type === "text") return content; // it may be in pieces
        const inner = children && type !== "image" ? read(children) : content;
        return `\n${type} ${tag} ${nesting} ${unseen([attrs, info])}\n${inner}`;
      })
      .join("");
  return read(parser.parse(text, {}));
}

/**
 * A fragment with the rendered text. `citation(number)` makes the element for a marker `[^n]`.
 * The highest headings become those of level 3, because the page has the first two. Images are not loaded: their alternative text is a link.
 */
export function render(text, citation = (number) => h("sup", {}, `[${number}]`)) {
  let source = shown(text);
  if (characters(source) > MOST_CHARACTERS) source = source.slice(0, unitIndex(source, MOST_CHARACTERS));
  const fragment = document.createDocumentFragment();
  const tokens = parser.parse(source, {});
  const headings = tokens.filter((token) => token.type === "heading_open").map((token) => Number(token.tag[1]));
  const down = 3 - Math.min(...headings, 6);
  for (const token of tokens) if (token.type === "heading_open") token.tag = `h${Math.min(6, Number(token.tag[1]) + down)}`;
  build(tokens, fragment, citation);
  return fragment;
}

/** A link that leaves this page without telling where from, or plain text when the address is not for a browser. */
export function link(href, ...children) {
  const mail = /^mailto:[^\s]+$/iu.test(href) ? href : null;
  const target = webUrl(href)?.href ?? mail;
  return target === null ? h("span", {}, ...children) : h("a", { href: target, rel: "noopener noreferrer nofollow", target: "_blank" }, ...children);
}

function build(tokens, root, citation) {
  const open = [root];
  const add = (node) => open.at(-1).append(node);
  const enter = (node, inner = node) => (add(node), open.push(inner));
  for (const token of tokens) {
    if (token.hidden) continue;
    if (token.nesting === -1) {
      if (open.length > 1) open.pop();
    } else if (token.nesting === 1) {
      const [outer, inner] = container(token);
      enter(outer, inner);
    } else if (token.type === "inline") {
      build(token.children ?? [], open.at(-1), citation);
    } else if (token.type === "citation") {
      attach(open.at(-1), citation(Number(token.content)));
    } else if (token.type === "text" && open.at(-1).lastChild?.className === "cited") {
      const [, punctuation, rest] = AFTER.exec(token.content);
      open.at(-1).lastChild.append(punctuation);
      add(document.createTextNode(rest));
    } else {
      add(leaf(token));
    }
  }
}

const WORD = /(?:[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{P}]{1,2}|[^\s\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]{1,24})$/u;
const AFTER = /^([.,;:!?)\]”’»。，、；：！？）」』]{0,3})(.*)$/su;

/** A marker stays on the line of the word before it, and so does the punctuation after it. */
function attach(parent, marker) {
  const before = parent.lastChild;
  if (before?.className === "cited" && !/\s$/u.test(before.textContent)) {
    before.append(marker);
    return;
  }
  let word = "";
  if (before?.nodeType === Node.TEXT_NODE) {
    const text = before.data.replace(/[\s\ue000-\ue002]+$/u, (end) => end.replace(/\s/gu, ""));
    word = WORD.exec(text)?.[0] ?? "";
    before.data = text.slice(0, text.length - word.length);
  }
  parent.append(h("span", { class: "cited" }, word, marker));
}

/** Outer and inner element of something that holds others. */
function container(token) {
  if (token.type === "link_open") {
    const element = link(token.attrGet("href") ?? "");
    return [element, element];
  }
  if (token.type === "table_open") {
    const table = h("table");
    return [h("div", { class: "scroll", tabindex: "0" }, table), table];
  }
  const element = h(TAGS.has(token.tag) || token.type === "heading_open" ? token.tag : "span");
  if (token.tag === "ol" && /^\d{1,9}$/u.test(token.attrGet("start") ?? "")) element.start = Number(token.attrGet("start"));
  const align = /^text-align:(left|right|center)$/u.exec(token.attrGet("style") ?? "");
  if (align) element.dataset.align = align[1];
  return [element, element];
}

function leaf(token) {
  switch (token.type) {
    case "code_inline":
      return h("code", {}, token.content);
    case "code_block":
    case "fence":
      return h("pre", { tabindex: "0", dir: "ltr" }, h("code", {}, token.content));
    case "image": {
      const words = token.content || token.attrGet("src") || "";
      return link(token.attrGet("src") ?? "", h("span", { class: "image" }, words));
    }
    case "softbreak":
      return document.createTextNode("\n");
    case "hardbreak":
      return h("br");
    case "hr":
      return h("hr");
    default:
      return document.createTextNode(token.content);
  }
}
