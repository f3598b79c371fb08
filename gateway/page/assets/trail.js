// The trail of a run: its steps, and in each what was thought, searched, read, drafted and checked.

import { follow, h, icon } from "./dom.js";
import { has, languageName, list, t } from "./language.js";
import { render } from "./markdown.js";
import { sums } from "./support.js";
import { address, line, place, shown } from "./text.js";

const HUES = 8;
const SHORT = 120; // characters of a reason that are shown at once

/** A coloured letter in the place of a site's icon, which would have to be fetched from that site. */
export function letter(url) {
  const name = place(url);
  let hash = 0;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)) % 9973;
  const first = [...name.replace(/^[^\p{L}\p{N}]+/u, "")][0] ?? "?";
  return h("span", { class: "letter", "data-hue": hash % HUES, "aria-hidden": "true" }, first.toUpperCase());
}

/** Keeps the list of steps like the run. Only what has changed is made anew, so that what a person has opened stays open. */
export class Trail {
  element = h("ol", { class: "steps" });
  #ways;
  #steps = [];

  /** `ways` lead on: `page(entry)` to the stored text of a page that was read, `run(id)` to another run. */
  constructor(ways) {
    this.#ways = ways;
  }

  update(run) {
    run.steps.forEach((step, index) => {
      if (!this.#steps[index] && (step.action || step.entries.length)) this.#steps[index] = this.#begin(step);
      if (this.#steps[index]) this.#fill(this.#steps[index], step);
    });
  }

  #begin(step) {
    const entries = h("ul", { class: "entries" });
    const title = step.action ? t(has(`action.${step.action}`) ? `action.${step.action}` : "action.other") : t("action.begin");
    const head = h("h3", {}, icon(step.action || "plan"), h("span", {}, title), step.number ? h("span", { class: "number" }, t("step", { n: step.number })) : null);
    this.element.append(h("li", { class: "step", "data-action": step.action || "begin" }, head, entries));
    return { entries, nodes: new Map() };
  }

  #fill({ entries, nodes }, step) {
    for (const [entry, { node }] of nodes) {
      if (!step.entries.includes(entry)) {
        node.remove();
        nodes.delete(entry);
      }
    }
    for (const entry of step.entries) {
      const before = nodes.get(entry);
      if (before?.version === entry.version) continue;
      const node = this.#entry(entry);
      if (before) before.node.replaceWith(node);
      else entries.append(node);
      nodes.set(entry, { node, version: entry.version });
    }
  }

  #entry(entry) {
    const make = ENTRIES[entry.kind];
    return h("li", { class: `entry ${entry.kind}`, "data-state": entry.state ?? "" }, make ? make(entry, this.#ways) : "");
  }
}

const text = (value, most = 600) => h("span", { dir: "auto" }, line(value, most));

/** Why something is so; what is long is folded after its beginning. */
export function reason(value) {
  const whole = line(value, 1_500);
  const beginning = line(whole, SHORT);
  if (whole === beginning) return h("span", { class: "reason", dir: "auto" }, whole);
  return h("details", { class: "reason", dir: "auto" }, h("summary", {}, beginning), whole.slice(beginning.length - 1));
}

/** A sign of how it went, with the word for those who do not see it. */
export function sign(state) {
  if (state === "pending") return h("span", { class: "sign", "data-state": state }, h("span", { class: "dot", "aria-hidden": "true" }), h("span", { class: "unseen" }, t("state.pending")));
  const image = { done: "check", failed: "cross" }[state];
  return image ? h("span", { class: "sign", "data-state": state }, icon(image), h("span", { class: "unseen" }, t(`state.${state}`))) : null;
}

/** Without the ids of evidence, which are the service's own. */
const bare = (value) => value.replace(/ ?\[(?:e\d+(?:, ?)?)+\]/gu, "");

const points = (items) => h("ul", { class: "points", dir: "auto" }, items.map((item) => h("li", {}, line(bare(item), 500))));

const ENTRIES = {
  plan: (entry) => {
    const by = entry.mode === "model" ? t("plan.model", { model: line(entry.model, 80) || "?" }) : t("plan.extractive");
    const criteria = entry.criteria.map((name) => t(has(`criterion.${name}`) ? `criterion.${name}` : "criterion.other", { name: line(name, 40) }));
    return [
      h("p", {}, by),
      h("p", {}, t("plan.language", { language: languageName(entry.language) })),
      criteria.length ? h("p", {}, t("plan.criteria", { criteria: list(criteria) })) : null,
    ];
  },
  thought: (entry) => h("p", { dir: "auto" }, line(entry.text, 1_200)),
  question: (entry) => h("p", { dir: "auto" }, line(entry.text, 600)),
  task: (entry) => h("p", { dir: "auto" }, line(entry.text, 1_200)),
  query: (entry) => [
    sign(entry.state),
    h("span", { class: "query-text", dir: "auto" }, line(entry.query, 300)),
    entry.state === "done" ? h("span", { class: "count" }, t("results", { count: entry.results }) + (entry.provider ? ` · ${line(entry.provider, 40)}` : "")) : null,
    entry.state === "failed" ? h("span", { class: "count" }, t("search.failed")) : null,
    ...(entry.errors ?? []).map(reason),
  ],
  page: (entry, ways) => {
    const title = line(entry.title, 160) || address(entry.url);
    const name = entry.page_id
      ? h("button", { type: "button", class: "page-title", dir: "auto", "aria-haspopup": "dialog", on: { click: () => ways.page(entry) } }, title)
      : h("span", { class: "page-title", dir: "auto" }, title);
    return [
      letter(entry.url),
      h("span", { class: "page-words" }, name, h("span", { class: "host", dir: "ltr" }, place(entry.url))),
      entry.state === "done" ? h("span", { class: "count" }, t("passages", { count: entry.passages })) : null,
      sign(entry.state),
      ...(entry.state === "failed" ? entry.errors ?? [] : []).map(reason),
    ];
  },
  insights: (entry) => [h("p", { class: "small" }, t("insights")), h("ul", { dir: "auto" }, entry.insights.map((insight) => h("li", {}, line(insight, 500))))],
  code: (entry) => [
    h("pre", { tabindex: "0", dir: "ltr" }, shown(entry.output).slice(0, 4_000)),
    entry.source ? h("details", {}, h("summary", {}, t("code.source")), h("pre", { tabindex: "0", dir: "ltr" }, shown(entry.source).slice(0, 20_000))) : null,
  ],
  draft: (entry) =>
    entry.state === "empty"
      ? h("p", {}, t("draft.empty"))
      : h("details", {}, h("summary", {}, t(`draft.${entry.state}`)), h("div", { class: "prose small", dir: "auto" }, render(bare(entry.text)))),
  check: (entry) => [
    sign(entry.state),
    h("span", {}, entry.state === "pending" ? t("check.pending") : entry.state === "done" ? t("check.passed") : entry.criterion ? t(`check.${has(`check.${entry.criterion}`) ? entry.criterion : "failed"}`) : t("check.failed")),
    entry.think ? reason(entry.think) : null,
    entry.plan ? reason(entry.plan) : null,
  ],
  lesson: (entry) => [entry.blame ? h("p", {}, h("strong", {}, t("lesson.blame")), " ", text(entry.blame)) : null, entry.improvement ? h("p", {}, h("strong", {}, t("lesson.improvement")), " ", text(entry.improvement)) : null],
  researcher: (entry, ways) => [
    sign(entry.state),
    text(entry.question),
    entry.run ? h("a", { class: "count", href: `/?run=${encodeURIComponent(entry.run)}`, on: { click: (event) => follow(event, () => ways.run(entry.run)) } }, t("researcher.open")) : null,
    ...(entry.errors ?? []).map(reason),
  ],
  digest: (entry) => {
    const name = h("span", { class: "page-words" }, h("span", { class: "page-title", dir: "auto" }, line(entry.title, 160) || address(entry.url)), h("span", { class: "host", dir: "ltr" }, place(entry.url)));
    const count = h("span", { class: "count" }, t("findings", { count: entry.findings.length }));
    return [letter(entry.url), entry.findings.length ? h("details", {}, h("summary", {}, name, " ", count), points(entry.findings)) : h("div", {}, name, " ", count)];
  },
  synthesis: (entry) => ["agreements", "conflicts", "gaps"].filter((name) => entry[name].length).map((name) => [h("p", { class: "small" }, t(`synthesis.${name}`)), points(entry[name])]),
  sections: (entry) => [
    h("p", {}, entry.approved ? t("outline.approved") : text(entry.title, 200)),
    h("details", {}, h("summary", {}, t("outline.sections", { count: entry.sections.length })), h("ol", { class: "points", dir: "auto" }, entry.sections.map(({ heading = "", brief = "" }) => h("li", {}, line(heading, 200), brief ? h("p", { class: "small" }, line(brief, 400)) : null)))),
  ],
  section: (entry) => h("details", {}, h("summary", {}, text(entry.heading, 200)), h("div", { class: "prose small", dir: "auto" }, render(bare(entry.text)))),
  verdicts: (entry) => h("p", {}, sums(entry.support) || t("support.none")),
  pictures: (entry) => h("p", {}, t("images.found", { count: entry.count })),
  warning: (entry) => [icon("alert"), text(entry.text, 400)],
  failure: (entry) => [sign("failed"), h("span", {}, t("failure", { what: t(has(`doing.${entry.what}`) ? `doing.${entry.what}` : "doing.other", { item: "", count: 1 }) })), reason(entry.text)],
  resumed: () => h("p", {}, t("trail.resumed")),
  cancelled: () => h("p", {}, t("trail.cancelled")),
};
