// The trace of a run: a table of its calls by step, with a bar for each where and as long as it was made.

import { follow, h, icon } from "./dom.js";
import { duration, has, number, t } from "./language.js";
import { tokens } from "./run.js";
import { line, place } from "./text.js";
import { reason, sign } from "./trail.js";

const TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400];
const MOST_TICKS = 6;
const MANY = 60; // calls of an ended run that are shown at once; of more, first the steps
const COLUMNS = ["call", "timeline", "stage", "start", "duration", "tokens", "cost", "searches", "pages", "outcome"];

/** What a call does, for a person. */
export function doing(kind, item = "", count = 1) {
  if (kind === "read" && count === 1 && item) return t("doing.read.page", { item: place(item) });
  if (kind === "search" && item) return t("doing.search.query", { item: line(item, 80) });
  const key = `doing.${kind}`;
  return t(has(key) || has(`${key}.other`) ? key : "doing.other", { count, item: "" });
}

/** Seconds in a column, where tenths would hide what is short. */
const clock = (seconds) => (seconds < 60 ? t("seconds", { n: number(seconds, { minimumFractionDigits: 2, maximumFractionDigits: 2 }) }) : duration(seconds));
const money = (usd) => (usd ? `$${number(usd, { minimumFractionDigits: 4, maximumFractionDigits: 4 })}` : "");
const count = (value) => (value ? number(value) : "");

/** Keeps the table like the run. It is made when it is first looked at; then only what has changed is made anew. */
export class Trace {
  element;
  #ways;
  #run = null;
  #groups = [];
  #critical = new Set();
  #now = 0;
  #table;
  #axis;
  #sums = h("dl", { class: "facts" });
  #summary = h("span", { class: "trace-sum" });
  #fold;
  #folded = null;

  /** `ways` lead on: `run(id)` to another run. `open`: it is looked at from the beginning. */
  constructor(ways, open) {
    this.#ways = ways;
    this.#fold = h("button", { type: "button", class: "text-button", on: { click: () => this.#foldAll(!this.#folded) } });
    this.#axis = h("th", { scope: "col", class: "lane" }, h("span", { class: "unseen" }, t("trace.timeline")));
    const heads = COLUMNS.map((name) => (name === "timeline" ? this.#axis : h("th", { scope: "col", class: `of-${name}` }, t(has(`trace.${name}`) ? `trace.${name}` : `fact.${name}`))));
    this.#table = h("table", { class: "calls" }, h("caption", { class: "unseen" }, t("trace.caption")), h("thead", {}, h("tr", {}, heads)));
    this.element = h(
      "details",
      { class: "trace", open, on: { toggle: () => this.#run && this.update(this.#run, this.#now) } },
      h("summary", {}, h("h2", {}, t("trace")), this.#summary),
      h("div", { class: "trace-head" }, this.#sums, this.#fold),
      h("div", { class: "trace-table", role: "region", tabindex: "0", "aria-label": t("trace.caption") }, this.#table),
      h("p", { class: "hint" }, h("span", { class: "key-critical", "aria-hidden": "true" }), t("trace.critical.hint")),
    );
  }

  get open() {
    return this.element.open;
  }

  /** Show the run as it is at `now`, in seconds since the epoch. */
  update(run, now) {
    this.#run = run;
    this.#now = now;
    const { all, groups } = run.trace;
    this.element.hidden = !all.length;
    const failed = all.filter((call) => call.state === "failed").length;
    const words = [t("trace.calls", { count: all.length }), failed ? t("trace.failed", { count: failed }) : ""].filter(Boolean).join(" · ");
    if (this.#summary.textContent !== words) this.#summary.textContent = words;
    if (!this.open) return;
    this.#critical = new Set(run.trace.critical());
    groups.forEach((group, index) => {
      if (!group.rows.length) return;
      this.#groups[index] ??= this.#begin(group);
      this.#fill(this.#groups[index]);
    });
    if (this.#folded === null) this.#foldAll(run.trace.ended && all.length > MANY);
    this.tick(now);
  }

  /** What is under way grows. */
  tick(now) {
    if (!this.#run || !this.open) return;
    this.#now = now;
    const { trace, spent } = this.#run;
    for (const made of this.#groups) if (made) this.#grow(made);
    this.#measure(trace.span(now));
    this.#table.classList.toggle("without-cost", !spent.cost_usd);
    const together = trace.all.reduce((sum, call) => sum + trace.seconds(call, now), 0);
    const critical = [...this.#critical].reduce((sum, call) => sum + trace.seconds(call, now), 0);
    const sums = [["fact.time", trace.span(now)], ["trace.critical", critical], ["trace.together", together]];
    this.#sums.replaceChildren(...sums.map(([name, seconds]) => h("div", {}, h("dt", {}, t(name)), h("dd", {}, clock(seconds)))));
  }

  #begin(group) {
    const id = `calls-${this.#groups.length}`;
    const title = h("span", { class: "group-title" });
    const toggle = h("button", { type: "button", "aria-expanded": "true", "aria-controls": id, on: { click: () => this.#open(made, !made.open) } }, title);
    const bar = h("span", { class: "call-bar whole" });
    const made = { group, open: true, title, toggle, bar, cells: {}, rows: new Map(), body: h("tbody", { id }) };
    const cells = COLUMNS.slice(2).map((name) => (made.cells[name] = h("td", { class: `of-${name}` })));
    made.head = h("tbody", { class: "group" }, h("tr", {}, h("th", { scope: "rowgroup", class: "of-call" }, toggle), h("td", { class: "lane" }, bar), cells));
    this.#table.append(made.head, made.body);
    this.#open(made, !this.#folded);
    return made;
  }

  #open(made, open) {
    made.open = open;
    made.body.hidden = !open;
    made.toggle.setAttribute("aria-expanded", String(open));
  }

  #foldAll(folded) {
    this.#folded = folded;
    this.#fold.textContent = t(folded ? "trace.all" : "trace.steps");
    for (const made of this.#groups) if (made) this.#open(made, !folded);
  }

  #fill(made) {
    const { group, rows, title, body } = made;
    const name = group.action ? t(has(`action.${group.action}`) ? `action.${group.action}` : "action.other") : group.number ? "…" : t("action.begin");
    const words = group.number ? `${t("step", { n: group.number })} · ${name}` : name;
    if (title.textContent !== words) title.textContent = words;
    for (const row of group.rows) {
      const shape = row.pause ?? `${row.state} ${row.run} ${this.#critical.has(row)}`;
      const before = rows.get(row);
      if (before?.shape === shape) continue;
      const next = row.pause ? { node: this.#pause(row) } : this.#call(row);
      if (before) before.node.replaceWith(next.node);
      else body.append(next.node);
      rows.set(row, { ...next, shape });
    }
  }

  /** Whatever changes with time: the bars and durations of what is under way, and the sums of a step. */
  #grow({ group, rows, bar, cells }) {
    const { trace } = this.#run;
    const calls = group.rows.filter((row) => !row.pause);
    for (const call of calls) {
      const row = rows.get(call);
      if (!row || row.grown) continue;
      const seconds = trace.seconds(call, this.#now);
      row.bar.style.setProperty("--for", seconds);
      row.duration.textContent = clock(seconds);
      row.grown = call.end !== null;
    }
    if (!calls.length) return;
    const from = trace.at(calls[0].start);
    const to = Math.max(...calls.map((call) => trace.at(call.start) + trace.seconds(call, this.#now)));
    const sum = (value) => calls.reduce((total, { usage }) => total + (usage ? value(usage) : 0), 0);
    const failed = calls.filter((call) => call.state === "failed").length;
    bar.style.setProperty("--from", from);
    bar.style.setProperty("--for", to - from);
    const words = {
      stage: t("trace.calls", { count: calls.length }),
      start: clock(from),
      duration: clock(to - from),
      tokens: count(sum(tokens)),
      cost: money(sum((usage) => usage.cost_usd ?? 0)),
      searches: count(sum((usage) => usage.searches ?? 0)),
      pages: count(sum((usage) => usage.pages ?? 0)),
      outcome: failed ? t("trace.failed", { count: failed }) : "",
    };
    for (const [name, text] of Object.entries(words)) if (cells[name].textContent !== text) cells[name].textContent = text;
  }

  #call(call) {
    const { kind, stage, state, items, usage, start } = call;
    const critical = this.#critical.has(call);
    const bar = h("span", { class: "call-bar" });
    bar.style.setProperty("--from", this.#run.trace.at(start));
    const name = kind === "delegate" ? line(call.question, 200) || doing(kind) : doing(kind, items[0]);
    const lead = call.run ? h("a", { class: "count", href: `/?run=${encodeURIComponent(call.run)}`, on: { click: (event) => follow(event, () => this.#ways.run(call.run)) } }, t("researcher.open")) : null;
    const why = state === "failed" ? reason(call.code ? `${call.code}: ${call.message}` : call.message) : null;
    const spent = usage ?? {};
    const approximate = spent.estimated && tokens(spent) ? "≈ " : "";
    const time = h("td", { class: "of-duration" });
    const node = h(
      "tr",
      { "data-state": state, "data-stage": stage, "data-critical": critical },
      h("th", { scope: "row", class: "of-call" }, h("span", { class: "call-name", dir: "auto", title: name }, name), lead, why),
      h("td", { class: "lane" }, bar, critical ? h("span", { class: "unseen" }, t("trace.critical")) : null),
      h("td", { class: "of-stage" }, h("code", { dir: "ltr" }, `${stage} /${line(kind, 40)}`)),
      h("td", { class: "of-start" }, clock(this.#run.trace.at(start))),
      time,
      h("td", { class: "of-tokens" }, tokens(spent) ? approximate + number(tokens(spent)) : ""),
      h("td", { class: "of-cost" }, money(spent.cost_usd)),
      h("td", { class: "of-searches" }, count(spent.searches)),
      h("td", { class: "of-pages" }, count(spent.pages)),
      h("td", { class: "of-outcome" }, outcome(state)),
    );
    return { node, bar, duration: time };
  }

  #pause({ pause, from, to }) {
    const words = t(`trace.${pause}`, { time: duration(Math.max(0, to - from)) });
    return h("tr", { class: "pause", "data-pause": pause }, h("td", { colspan: COLUMNS.length }, h("span", {}, icon(pause === "resumed" ? "alert" : "outline"), words)));
  }

  /** The axis: the run's seconds up to the next tick, so that bars keep their places while it goes on. */
  #measure(seconds) {
    const tick = TICKS.find((one) => seconds / one <= MOST_TICKS) ?? Math.ceil(seconds / MOST_TICKS);
    const ticks = Math.max(1, Math.ceil(seconds / tick));
    const shape = `${tick} ${ticks}`;
    if (this.#axis.dataset.shape === shape) return;
    this.#axis.dataset.shape = shape;
    this.#table.style.setProperty("--ticks", ticks);
    this.#table.style.setProperty("--span", tick * ticks);
    const labels = Array.from({ length: ticks }, (_, n) => {
      const label = h("span", { class: "tick", "aria-hidden": "true" }, duration(n * tick));
      label.style.setProperty("--from", n * tick);
      return label;
    });
    this.#axis.replaceChildren(this.#axis.firstChild, ...labels);
  }
}

/** How a call went: what is usual as a sign alone, with its word for those who do not see it. */
function outcome(state) {
  if (state === "interrupted" || state === "left") return h("span", { class: "muted" }, t(`trace.${state}`));
  return state === "failed" ? [sign(state), h("span", { "aria-hidden": "true" }, t("state.failed"))] : sign(state);
}
