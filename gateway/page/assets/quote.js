// The stored text of a page in a dialog, with the quoted span marked.

import * as api from "./api.js";
import { button, h, icon } from "./dom.js";
import { date, t } from "./language.js";
import { link } from "./markdown.js";
import { address, line, shown, unitIndex, webUrl } from "./text.js";

const AROUND = 20_000; // UTF-16 units shown on each side of a quote, until all is wanted
const stored = new Map();

/** Where the quote is in the page, in UTF-16 units, or null when the page does not hold it. */
export function locate(text, { start = 0, end = 0, quote = "" }) {
  const from = unitIndex(text, start);
  const to = unitIndex(text, end);
  if (to > from && text.slice(from, to) === quote) return [from, to];
  const found = quote ? text.indexOf(quote) : -1;
  return found < 0 ? null : [found, found + quote.length];
}

/** Open the dialog. `source` has `page_id`, `url`, `title`, and for a footnote `number`, `quote`, `start` and `end`. */
export async function openPage(run, source) {
  const body = h("div", { class: "page-text", tabindex: "0", dir: "auto", role: "region", "aria-label": t("quote.text") }, h("p", { class: "muted" }, t("loading")));
  const note = h("p", { class: "quote-note" });
  const title = line(source.title, 300) || address(source.url);
  const web = webUrl(source.url);
  const dialog = h(
    "dialog",
    { class: "quote", "aria-labelledby": "quote-title" },
    h(
      "header",
      {},
      h(
        "div",
        {},
        source.number ? h("p", { class: "kicker" }, t("footnote", { n: source.number })) : h("p", { class: "kicker" }, t("quote.page")),
        h("h2", { id: "quote-title", dir: "auto" }, title),
        h("p", { class: "quote-place" }, web ? link(web.href, h("span", { dir: "ltr" }, address(source.url)), icon("out")) : h("span", { dir: "ltr" }, address(source.url)), date(source.published) ? ` · ${date(source.published)}` : ""),
      ),
      h("button", { type: "button", class: "button quiet", "aria-label": t("close"), on: { click: () => dialog.close() } }, icon("cross")),
    ),
    note,
    body,
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  try {
    const name = `${run}/${source.page_id}`;
    if (!stored.has(name)) stored.set(name, await api.page(run, source.page_id));
    fill(stored.get(name), source, body, note);
  } catch (error) {
    body.replaceChildren();
    note.setAttribute("role", "alert");
    note.textContent = error instanceof api.Refusal ? error.message : t("unreachable");
  }
}

function fill(page, source, body, note) {
  const text = page.text ?? "";
  const span = source.quote ? locate(text, source) : null;
  if (source.quote && !span) note.textContent = t("quote.missing");
  else note.textContent = span ? t("quote.marked") : t("quote.stored");
  const [from, to] = span ?? [0, 0];
  const show = (first, last) => {
    const mark = h("mark", { tabindex: "-1" }, shown(text.slice(from, to)));
    const more = (label) => button(label, () => show(0, text.length), { kind: "quiet" });
    body.replaceChildren(
      ...[
        first > 0 ? more(t("quote.all")) : null,
        shown(text.slice(first, from)),
        span ? mark : null,
        shown(text.slice(to, last)),
        last < text.length ? more(t("quote.all")) : null,
      ].filter((part) => part),
    );
    if (span) mark.scrollIntoView({ block: "center" });
  };
  show(boundary(text, Math.max(0, from - AROUND)), boundary(text, Math.min(text.length, to + AROUND)));
}

/** Not between the two halves of a character. */
const boundary = (text, index) => (/[\udc00-\udfff]/u.test(text[index] ?? "") ? index - 1 : index);
