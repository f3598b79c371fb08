// Whether an answer's statements stand in what was read: a line above it, a mark at each statement, and a panel that says why.

import { button, h, icon } from "./dom.js";
import { list, percent, t } from "./language.js";
import { renderMarked } from "./marks.js";
import { line } from "./text.js";

const SIGNS = { supported: "check", partly: "partly", unsupported: "question", contradicted: "cross" };
const LINGER = 250; // milliseconds before a panel follows the pointer

const isClaim = (statement) => statement.verdict in SIGNS;
const standing = (support) => (support?.statements ?? []).filter((one) => isClaim(one) && !one.removed);
const removed = (support) => (support?.statements ?? []).filter((one) => one.removed);

/** The sums of a report in words, or "" when it has none: "9 statements: 8 supported, 1 partly". */
export function sums(support) {
  const parts = ["supported", "partly", "unsupported", "removed"].filter((name) => support?.[name]).map((name) => t(`support.${name}`, { count: support[name] }));
  const count = ["supported", "partly", "unsupported", "removed"].reduce((sum, name) => sum + (support?.[name] ?? 0), 0);
  return count ? t("support.sum", { statements: t("support.statements", { count }), parts: list(parts) }) : "";
}

/** The line above an answer, with the way to what was left out, or null. `toggle()` shows or hides that. */
export function summary(support, isShown, toggle) {
  const words = sums(support);
  if (!words) return null;
  const label = t(isShown ? "removed.hide" : "removed.show");
  return h(
    "div",
    { class: "support" },
    h("p", {}, words),
    removed(support).length ? h("button", { type: "button", class: "text-button", "aria-pressed": String(isShown), on: { click: toggle } }, label) : null,
  );
}

/** The answer's text with its statements marked. */
export function statements(run, citation) {
  const all = run.support.statements;
  const marked = all.filter((one) => isClaim(one) || one.removed);
  const { fragment, missing } = renderMarked(run.written, marked, citation, {
    segment: (index, text) => h("span", { class: "statement", data: { statement: all.indexOf(marked[index]), verdict: marked[index].verdict } }, text),
    end: (index) => sign(marked[index], all.indexOf(marked[index])),
    removed: (index) => h("span", { class: "left-out" }, " ", leftOut(marked[index]), " "),
  });
  const elsewhere = missing.map((index) => marked[index]).filter((one) => one.removed);
  if (elsewhere.length) fragment.append(h("div", { class: "left-out" }, h("p", {}, t("removed.elsewhere")), h("ul", {}, elsewhere.map((one) => h("li", {}, leftOut(one))))));
  return fragment;
}

const leftOut = ({ text }) => h("del", { dir: "auto" }, h("span", { class: "unseen" }, `${t("removed.label")} `), line(text, 2_000));

function sign({ verdict }, index) {
  const label = t("verdict.why", { verdict: t(`verdict.${verdict}`) });
  return h("button", { type: "button", class: "verdict", "aria-label": label, "aria-expanded": "false", data: { statement: index, verdict } }, icon(SIGNS[verdict]));
}

/** The panel of a text whose statements are marked: opens over the pointer, a tap, the focus; closes with them or with Escape. */
export class Panel {
  #prose;
  #run;
  #open;
  #panel = null;
  #button = null;
  #pinned = false;
  #timer = 0;

  /** `open(reference)` shows a footnote's quote in its page. */
  constructor(prose, run, open) {
    this.#prose = prose;
    this.#run = run;
    this.#open = open;
    const on = (type, listener) => prose.addEventListener(type, listener);
    on("pointerover", (event) => event.pointerType === "mouse" && this.#hover(event.target));
    on("pointerleave", (event) => event.pointerType === "mouse" && this.#hover(null));
    on("focusin", ({ target }) => target.matches("button.verdict:focus-visible") && this.#pin(target));
    on("focusout", ({ relatedTarget }) => {
      const inside = relatedTarget && (relatedTarget === this.#button || relatedTarget.closest("dialog") || this.#panel?.contains(relatedTarget));
      if (relatedTarget && !inside) this.hide();
    });
    on("click", (event) => this.#click(event));
    on("keydown", (event) => {
      if (event.key !== "Escape" || !this.#panel) return;
      event.stopPropagation();
      const { activeElement } = document;
      if (this.#panel.contains(activeElement)) this.#button.focus();
      this.hide();
    });
  }

  /** Close what is open, as when the text is made anew. */
  hide() {
    clearTimeout(this.#timer);
    this.#panel?.remove();
    this.#button?.setAttribute("aria-expanded", "false");
    this.#panel = this.#button = null;
    this.#pinned = false;
    removeEventListener("pointerdown", this.#outside);
  }

  #outside = ({ target }) => {
    if (!this.#panel?.contains(target) && !target.closest?.("dialog, .statement, button.verdict")) this.hide();
  };

  #buttonOf(target) {
    const index = target?.closest?.("[data-statement]")?.dataset.statement;
    return index === undefined ? null : this.#prose.querySelector(`button.verdict[data-statement="${index}"]`);
  }

  #hover(target) {
    clearTimeout(this.#timer);
    if (this.#pinned || (target && this.#panel?.contains(target))) return;
    const wanted = this.#buttonOf(target);
    if (wanted !== this.#button) this.#timer = setTimeout(() => (wanted ? this.#show(wanted) : this.hide()), LINGER);
  }

  #click({ target }) {
    if (this.#panel?.contains(target)) return;
    const wanted = this.#buttonOf(target);
    const other = target.closest("a, button:not(.verdict)");
    if (!wanted || other || (!target.closest("button") && !getSelection().isCollapsed)) return;
    if (wanted === this.#button && this.#pinned) return this.hide();
    this.#pin(wanted);
  }

  /** Open, and stay so whatever the pointer does. */
  #pin(wanted) {
    this.#show(wanted);
    this.#pinned = true;
  }

  #show(wanted) {
    clearTimeout(this.#timer);
    if (wanted === this.#button) return;
    this.hide();
    const statement = this.#run.support.statements[wanted.dataset.statement];
    const panel = h("span", { class: "panel", popover: "manual", dir: document.documentElement.dir, role: "group", "aria-label": t("verdict.panel"), data: { verdict: statement.verdict } }, why(statement, this.#run, this.#open));
    wanted.after(panel); // in the order of the tabs it comes next
    wanted.setAttribute("aria-expanded", "true");
    panel.showPopover();
    place(panel, wanted, this.#prose);
    this.#panel = panel;
    this.#button = wanted;
    addEventListener("pointerdown", this.#outside);
  }
}

/** Under the statement's last line, or over its first when there is more room. */
function place(panel, wanted, prose) {
  const pieces = [...prose.querySelectorAll(`[data-statement="${wanted.dataset.statement}"]`)].flatMap((piece) => [...piece.getClientRects()]);
  const [top, bottom] = [Math.min(...pieces.map((piece) => piece.top)), Math.max(...pieces.map((piece) => piece.bottom))];
  const last = pieces.findLast((piece) => piece.width > 1) ?? wanted.getBoundingClientRect();
  const { width, height } = panel.getBoundingClientRect();
  const left = Math.max(8, Math.min(last.left, document.documentElement.clientWidth - width - 8));
  const below = bottom + height + 12 < innerHeight || top - height < 12;
  panel.style.left = `${left + scrollX}px`;
  panel.style.top = `${(below ? bottom + 6 : top - height - 6) + scrollY}px`;
}

/** What no source holds; each in its own direction, whatever the page's. */
function absent(missing) {
  const [before, after] = t("verdict.missing").split("{items}");
  const items = missing.map((item, index) => [index ? t("comma") : "", h("bdi", { dir: /\p{L}/u.test(item) ? "auto" : "ltr" }, line(item, 60))]);
  return [before, items, after];
}

/** What the panel says. Inside a line of text, so that everything is a span. */
function why(statement, run, open) {
  const { verdict, score = 0, evidence = [], missing = [], reason = "", judged_by = "rules" } = statement;
  const references = new Map(run.references.map((reference) => [reference.evidence_id, reference]));
  const index = run.support.statements.indexOf(statement);
  const quotes = evidence.map((id) => references.get(id)).filter(Boolean);
  const against = (run.support.contradictions ?? []).filter((one) => one.statement === index);
  const quoted = (words) => h("span", { class: "quoted", dir: "auto" }, line(words, 400));
  const way = (reference) => h("button", { type: "button", class: "text-button", "aria-haspopup": "dialog", on: { click: () => open(reference) } }, t("footnote.show", { n: reference.number }));
  const row = (kind, ...children) => h("span", { class: kind }, ...children);
  return [
    row("panel-head", icon(SIGNS[verdict]), h("strong", {}, t(`verdict.${verdict}`)), h("span", { class: "panel-score" }, t("verdict.score", { score: percent(score) }))),
    reason ? row("panel-row", h("span", { dir: "auto" }, line(reason, 400))) : null,
    missing.length ? row("panel-row", absent(missing)) : null,
    quotes.map((reference) => row("panel-row", quoted(reference.quote), way(reference))),
    quotes.length || verdict === "contradicted" ? null : row("panel-row", t("verdict.none")),
    against.map((one) => row("panel-row", t("verdict.against"), quoted(one.quote), references.has(one.opposing) ? way(references.get(one.opposing)) : null)),
    row("panel-by", t(`verdict.by.${judged_by === "model" ? "model" : "rules"}`)),
  ];
}
