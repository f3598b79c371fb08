// The answer: its text with footnotes, its sources, what it cost, and how it ended.

import * as api from "./api.js";
import { button, follow, h } from "./dom.js";
import { date, duration, has, known, language, number, t } from "./language.js";
import { link, render } from "./markdown.js";
import { tokens } from "./run.js";
import { statements } from "./support.js";
import { address, line, place, shown, webUrl } from "./text.js";
import { letter } from "./trail.js";

/** Elements of the answer's text. `open(reference)` shows a footnote's quote. */
export function prose(run, open) {
  const references = new Map(run.references.map((reference) => [reference.number, reference]));
  const citation = (n) => {
    const reference = references.get(n);
    if (!reference) return h("sup", { class: "cite" }, String(n));
    const label = t("footnote.open", { n, title: line(reference.title, 120) || address(reference.url) });
    return h("sup", {}, h("button", { type: "button", class: "cite", "aria-label": label, "aria-haspopup": "dialog", title: line(reference.quote, 200), on: { click: () => open(reference) } }, String(n)));
  };
  return run.ended && run.support?.statements?.length ? statements(run, citation) : render(run.written, citation);
}

/** The list of footnotes: where each quote is from, the quote, and the way to it. */
export function sources(run, open) {
  return h(
    "ol",
    { class: "sources" },
    run.references.map((reference) => {
      const title = line(reference.title, 200) || address(reference.url);
      const web = webUrl(reference.url);
      return h(
        "li",
        {},
        h("span", { class: "source-number", "aria-hidden": "true" }, String(reference.number)),
        h(
          "div",
          {},
          h("p", { class: "source-title", dir: "auto" }, web ? link(web.href, title) : title),
          h("p", { class: "source-place" }, letter(reference.url), h("span", { dir: "ltr" }, place(reference.url)), date(reference.published) ? h("time", { datetime: reference.published }, date(reference.published)) : null),
          h("blockquote", { dir: "auto" }, line(reference.quote, 280)),
          h("button", { type: "button", class: "text-button", "aria-haspopup": "dialog", "aria-label": t("footnote.open", { n: reference.number, title }), on: { click: () => open(reference) } }, t("quote.show")),
        ),
      );
    }),
  );
}

/** The images that fit the answer. They are elsewhere, so that they are named and linked but not loaded; null without any. */
export function images(run) {
  const found = (run.ended.answer?.images ?? []).filter((image) => webUrl(image.url));
  if (!found.length) return null;
  return h(
    "section",
    { class: "images" },
    h("h2", {}, t("images")),
    h("p", { class: "hint" }, t("images.hint")),
    h(
      "ul",
      {},
      found.map(({ url, page_url, text, width, height }) => {
        const size = width && height ? `${number(width)} × ${number(height)}` : "";
        const from = webUrl(page_url);
        return h("li", { dir: "auto" }, link(url, line(text, 200) || t("images.untitled")), h("p", { class: "source-place" }, from ? link(from.href, h("span", { dir: "ltr" }, place(page_url))) : h("span", { dir: "ltr" }, place(url)), size ? h("span", { dir: "ltr" }, size) : null));
      }),
    ),
  );
}

const FORMATS = { markdown: "Markdown", html: "HTML", text: "TXT", pdf: "PDF", docx: "DOCX" };

/** Links to the answer as a file. They are followed with the key, and what is wrong is said beside them. */
export function downloads(run) {
  const problem = h("span", { class: "problem", role: "alert" });
  const save = async (format) => {
    problem.textContent = "";
    try {
      const { content, name } = await api.download(run.id, format);
      const address = URL.createObjectURL(content);
      h("a", { href: address, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
    } catch (error) {
      problem.textContent = error instanceof api.Refusal ? error.message : t("unreachable");
    }
  };
  const links = Object.entries(FORMATS).map(([format, name]) => h("a", { href: api.answerAddress(run.id, format), download: true, "aria-label": t("download.as", { format: name }), on: { click: (event) => follow(event, () => save(format)) } }, name));
  return h("p", { class: "downloads" }, h("span", {}, t("download")), links, problem);
}

/** What a reader must know about how the answer came about. */
export function notes(run) {
  const { outcome, answer, code, message } = run.ended;
  const said = [];
  const extractive = run.mode === "extractive" && outcome === "finished";
  const noticeIn = known(answer?.language_code ?? "") ?? "en"; // the service speaks the same languages
  const told = Boolean(answer?.notice) && noticeIn === language; // it says it all in its own words
  if (answer?.guessed && !told) said.push(h("p", {}, t("guessed")));
  if (extractive && !told) said.push(h("p", {}, h("strong", {}, t("extractive")), " ", t("extractive.meaning")));
  if (outcome === "failed") said.push(h("p", { class: "wrong" }, h("strong", {}, t("failed")), " ", h("span", { dir: "auto" }, line(message || code, 600))));
  if (outcome === "interrupted") said.push(h("p", {}, run.background ? t("interrupted.background") : t("interrupted")));
  if (answer?.stop_reason && answer.stop_reason !== "answered" && outcome !== "failed" && !told) said.push(h("p", {}, stopReason(answer.stop_reason)));
  if (answer?.notice) {
    const notice = h("span", { lang: noticeIn, dir: "auto" }, line(answer.notice, 1_000));
    said.push(h("p", {}, told && extractive ? [h("strong", {}, t("extractive")), " "] : null, notice));
  }
  return said.length ? h("div", { class: "notes" }, said) : null;
}

export const stopReason = (name) => t(has(`stop.${name}`) ? `stop.${name}` : "stop.error");

/** What the run took. */
export function facts(run) {
  const { answer } = run.ended;
  if (!answer) return null;
  const usage = answer.usage ?? {};
  const rows = [
    ["time", duration(answer.seconds ?? 0)],
    ["steps", number(answer.steps ?? 0)],
    ["searches", number(usage.searches ?? 0)],
    ["pages", number(usage.pages ?? 0)],
    ["llm_calls", number(usage.llm_calls ?? 0)],
    ["tokens", `${usage.estimated ? "≈ " : ""}${number(tokens(usage))}`],
  ];
  if (usage.cost_usd) rows.push(["cost", `$${number(usage.cost_usd, { maximumFractionDigits: 4 })}`]);
  return h("dl", { class: "facts", "aria-label": t("facts") }, rows.map(([name, value]) => h("div", {}, h("dt", {}, t(`fact.${name}`)), h("dd", {}, value))));
}

/** The answer as Markdown with footnote definitions. */
export function markdown(run) {
  const inLink = (text) => line(text, 300).replace(/[\\[\]<>*_`]/gu, "\\$&");
  const definitions = run.references.map((reference) => {
    const web = webUrl(reference.url);
    const title = inLink(reference.title) || inLink(address(reference.url));
    const where = web ? `[${title}](<${web.href.replace(/[<>]/gu, encodeURIComponent)}>)` : title;
    return `[^${reference.number}]: ${where}: “${line(reference.quote, 2_000)}”`;
  });
  return [`${shown(run.written).trim()}\n`, ...definitions].join("\n") + (definitions.length ? "\n" : "");
}

/** Put text on the clipboard; the older way where the page is not served securely. Returns whether it worked. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}

/** A button that copies, and says for a moment that it has. */
export function copyButton(label, image, content) {
  const made = button(label, async () => {
    const words = made.querySelector("span");
    words.textContent = (await copy(content())) ? t("copied") : t("copy.failed");
    setTimeout(() => (words.textContent = label), 2_000);
  }, { image, kind: "quiet" });
  made.setAttribute("aria-live", "polite");
  return made;
}

