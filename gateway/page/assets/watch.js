// One run on the page: follows its events and keeps what is shown like them.

import * as api from "./api.js";
import { copyButton, downloads, facts, images, markdown, notes, prose, sources } from "./answer.js";
import { followUp } from "./ask.js";
import { button, h } from "./dom.js";
import { duration, number, t } from "./language.js";
import { editable, outlineForm } from "./outline.js";
import { openPage } from "./quote.js";
import { Run, tokens } from "./run.js";
import { Panel, summary } from "./support.js";
import { line } from "./text.js";
import { doing, Trace } from "./trace.js";
import { Trail } from "./trail.js";

const LOOK_AGAIN = 3_000;

export class Watch {
  #abort = new AbortController();
  #run;
  #lastId = "";
  #changed = false;
  #connection = null;
  #problem = "";
  #stopping = false;
  /** The outline as it is being changed, and the one that it was made from. */
  #plan = null;
  #planOf = null;
  #leftOut = false;
  #clock;
  #go;
  #view;

  /** `go(run)` shows another run. */
  constructor(id, go) {
    this.#run = new Run(id);
    this.#go = go;
  }

  /** Begin to follow; the elements come and go with `draw`. */
  start() {
    this.#clock = setInterval(() => this.#view && this.#tick(), 1_000);
    this.#follow();
  }

  /** Leave the run. It goes on. */
  leave() {
    clearInterval(this.#clock);
    this.#abort.abort();
    document.title = "DeepSearch";
  }

  /** The run's elements, made from nothing in the page's present language. */
  draw() {
    const trail = new Trail({ page: (entry) => openPage(this.#run.id, entry), run: (id) => this.#go(id) });
    const trace = new Trace({ run: (id) => this.#go(id) }, this.#view?.trace.open ?? false);
    const view = {
      trail,
      trace,
      question: h("h1", { dir: "auto", tabindex: "-1" }),
      state: h("p", { class: "state", role: "status", "aria-live": "polite" }),
      elapsed: h("span", { class: "elapsed", role: "timer", "aria-live": "off" }),
      actions: h("div", { class: "actions" }),
      problem: h("div", { class: "banner", role: "alert", hidden: true }),
      gauges: h("ul", { class: "gauges", "aria-label": t("gauges") }),
      waiting: h("p", { class: "waiting" }, t("waiting")),
      plan: h("section", { class: "to-approve", hidden: true }),
      answer: h("section", { class: "answer", "aria-labelledby": "answer-title", hidden: true }),
      prose: h("div", { class: "prose", dir: "auto" }),
      support: h("div", { class: "support-line" }),
      after: h("div", { class: "after" }),
      details: null,
    };
    view.panel = new Panel(view.prose, this.#run, (reference) => openPage(this.#run.id, reference));
    view.answer.append(h("h2", { id: "answer-title", class: "unseen" }, t("answer")), view.support, view.prose, view.after);
    view.details = h("details", { class: "trail", open: true }, h("summary", {}, h("h2", {}, t("trail"))), trail.element);
    view.element = h(
      "article",
      { class: "run" },
      h("div", { class: "main" }, h("header", { class: "run-head" }, view.question, h("div", { class: "state-row" }, view.state, view.elapsed, view.actions)), view.problem, view.gauges, view.waiting, view.plan, view.answer),
      view.details,
      trace.element,
    );
    this.#view = view;
    this.#update();
    return view.element;
  }

  async #follow() {
    const signal = this.#abort.signal;
    try {
      this.#lastId = await api.follow(this.#run.id, {
        lastId: this.#lastId,
        signal,
        receive: (event) => this.#receive(event),
        connection: (wait) => {
          this.#connection = wait;
          this.#schedule();
        },
      });
      const outcome = this.#run.ended?.outcome;
      if (outcome === "waiting" || (outcome === "interrupted" && this.#run.background)) await this.#untilItGoesOn(outcome);
    } catch (error) {
      if (signal.aborted) return;
      this.#problem = error instanceof api.Refusal ? this.#refused(error) : t("broken", { message: String(error.message ?? error) });
      this.#schedule();
    }
  }

  /** Why the service shows no events, for a person. */
  #refused({ code, message }) {
    return code === "run_not_found" ? t("unknown", { run: line(this.#run.id, 64) }) : message;
  }

  /** A job that was interrupted is taken up by the service itself when it is back, and one that waits by whoever approves: look until that is so. */
  async #untilItGoesOn(outcome) {
    const signal = this.#abort.signal;
    for (;;) {
      await api.pause(LOOK_AGAIN, signal);
      if (signal.aborted || this.#run.ended?.outcome !== outcome) return;
      const report = await api.report(this.#run.id, signal).catch((error) => {
        if (error instanceof api.Refusal && error.status < 500) throw error;
      });
      if (this.#run.ended?.outcome !== outcome) return;
      if (report && report.run.state !== outcome) return this.#again();
    }
  }

  /** Follow on after the end that turned out to be none. */
  #again() {
    this.#lastId = this.#lastId.replace(/\..*$/u, "");
    this.#run.reopen();
    this.#schedule();
    return this.#follow();
  }

  #receive(event) {
    this.#run.take(event);
    if (event.type === "run_ended") this.#stopping = false;
    this.#schedule();
  }

  /** Draw what has changed with the next frame; many events arrive at once when a run is looked at later. */
  #schedule() {
    if (this.#changed) return;
    this.#changed = true;
    const draw = () => {
      if (!this.#changed) return;
      this.#changed = false;
      if (this.#view?.element.isConnected && !this.#abort.signal.aborted) this.#update();
    };
    requestAnimationFrame(draw);
    setTimeout(draw, 250); // a page in the background gets no frames
  }

  #update() {
    const { question, problem, answer, prose: text, after, trail, trace, actions, element } = this.#view;
    const run = this.#run;
    const state = this.#state();
    element.dataset.state = state;
    const words = line(run.question, 2_000);
    if (question.textContent !== words) question.textContent = words;
    question.classList.toggle("long", words.length > 90);
    document.title = words ? `${state === "running" ? "… " : ""}${line(words, 60)} – DeepSearch` : "DeepSearch";
    this.#status(state);
    this.#banner(problem);
    trail.update(run);
    trace.update(run, api.serverTime());
    this.#gauges();
    this.#tick();
    const finished = Boolean(run.ended) && state !== "waiting";
    const shape = `${state} ${this.#stopping}`;
    if (actions.dataset.shape !== shape) {
      actions.dataset.shape = shape;
      actions.replaceChildren(...this.#buttons(state));
    }
    if (text.written !== run.written || text.references !== run.references || text.support !== run.support || text.finished !== finished) {
      Object.assign(text, { written: run.written, references: run.references, support: run.support, finished });
      this.#view.panel.hide();
      text.replaceChildren(prose(run, (reference) => openPage(run.id, reference)));
      this.#summary();
    }
    this.#planning(state);
    if (run.language) text.lang = question.lang = run.language;
    text.setAttribute("aria-busy", String(!finished));
    answer.hidden = !run.written && !finished;
    this.#view.waiting.hidden = state !== "running" || Boolean(run.written) || !run.background; // others may end with their client
    if (finished && after.dataset.of !== run.ended.outcome) {
      after.dataset.of = run.ended.outcome;
      if (narrow()) this.#view.details.open = false;
      after.replaceChildren(...this.#end());
    } else if (!finished) {
      delete after.dataset.of;
      after.replaceChildren();
    }
  }

  /** The line above the answer: how its statements fared. */
  #summary() {
    const { support, prose: text } = this.#view;
    const toggle = () => {
      this.#leftOut = !this.#leftOut;
      this.#summary();
      support.querySelector("button").focus();
    };
    text.classList.toggle("with-left-out", this.#leftOut);
    const line = this.#run.ended ? summary(this.#run.support, this.#leftOut, toggle) : null;
    support.replaceChildren(...(line ? [line] : []));
  }

  /** The outline that waits to be approved; what a person has changed in it stays. */
  #planning(state) {
    const { plan } = this.#view;
    const { outline } = this.#run;
    plan.hidden = state !== "waiting" || !outline;
    if (plan.hidden) {
      plan.replaceChildren();
      return;
    }
    if (this.#planOf !== outline) [this.#planOf, this.#plan] = [outline, editable(outline)];
    else if (plan.hasChildNodes()) return;
    const write = async (wanted) => {
      await api.approve(this.#run.id, wanted);
      if (this.#run.ended) this.#again();
    };
    plan.replaceChildren(outlineForm(this.#plan, write));
  }

  #state() {
    if (this.#run.ended) return this.#run.ended.outcome;
    return this.#run.startedAt ? "running" : "loading";
  }

  #status(state) {
    const { state: place } = this.#view;
    const now = this.#run.doing();
    let words;
    if (this.#problem) words = "";
    else if (state === "running") words = this.#stopping ? t("stopping") : doing(now?.kind, now?.item, now?.count);
    else words = state === "loading" ? t("loading") : t(`run.${state}`);
    if (place.dataset.words === words) return;
    place.dataset.words = words;
    place.dataset.state = state;
    place.replaceChildren(...(words ? [h("span", { class: "dot", "aria-hidden": "true" }), h("span", { dir: "auto" }, words)] : []));
  }

  #banner(problem) {
    const words = this.#problem || (this.#connection === null ? "" : t("reconnecting", { seconds: number(Math.ceil(this.#connection / 1000)) }));
    problem.hidden = !words;
    if (problem.dataset.words === words) return;
    problem.dataset.words = words;
    problem.replaceChildren(words ? h("p", { dir: "auto" }, words) : "");
  }

  #buttons(state) {
    const made = [];
    if (state === "running" || state === "waiting") made.push(button(t("stop"), () => this.#stop(), { image: "stop", disabled: this.#stopping }));
    if (state === "interrupted") made.push(button(t("resume"), () => this.#resume(), { image: "resume", kind: "strong" }));
    made.push(copyButton(t("copy.link"), "link", () => new URL(`/?run=${encodeURIComponent(this.#run.id)}`, location.href).href));
    return made;
  }

  async #stop() {
    this.#stopping = true;
    this.#schedule();
    try {
      await api.cancel(this.#run.id);
      if (this.#run.ended) this.#again(); // it waited, and nothing was followed
    } catch (error) {
      this.#stopping = false;
      this.#problem = error instanceof api.Refusal ? error.message : t("unreachable");
      this.#schedule();
    }
  }

  async #resume() {
    this.#problem = "";
    try {
      await api.resume(this.#run.id, this.#abort.signal);
      await this.#again();
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.#problem = error instanceof api.Refusal ? error.message : t("unreachable");
      this.#schedule();
    }
  }

  #gauges() {
    const { gauges } = this.#view;
    const { limits, spent, ended } = this.#run;
    gauges.hidden = !limits || Boolean(ended);
    if (gauges.hidden) return;
    const rows = [
      ["time", this.#seconds(), limits.seconds, duration],
      ["tokens", tokens(spent), limits.tokens, (value) => number(value, { compact: true })],
      ["searches", spent.searches, limits.searches, number],
      ["pages", spent.pages, limits.pages, number],
    ];
    if (limits.usd) rows.push(["cost", spent.cost_usd, limits.usd, (value) => `$${number(value, { maximumFractionDigits: 3 })}`]);
    if (gauges.childElementCount !== rows.length) {
      gauges.replaceChildren(...rows.map(([name]) => h("li", { "data-of": name }, h("span", { class: "gauge-name" }, t(`fact.${name}`)), h("span", { class: "gauge-value" }), h("span", { class: "bar", role: "meter", "aria-label": t(`fact.${name}`), "aria-valuemin": "0" }, h("span")))));
    }
    rows.forEach(([, value, limit, write], index) => {
      const row = gauges.children[index];
      const spentNow = Math.max(0, value);
      row.querySelector(".gauge-value").textContent = t("of", { value: write(spentNow), limit: write(limit) });
      row.dataset.longest = t("of", { value: write(Math.max(0, limit - 1)), limit: write(limit) });
      const bar = row.querySelector(".bar");
      bar.setAttribute("aria-valuemax", String(limit));
      bar.setAttribute("aria-valuenow", String(Math.min(limit, Math.round(spentNow * 1000) / 1000)));
      bar.firstElementChild.style.inlineSize = `${limit ? Math.min(100, (100 * spentNow) / limit) : 0}%`;
    });
  }

  /** Whole seconds that the run has used of its time: while it stood still it used none. */
  #seconds() {
    return Math.floor(this.#run.trace.span(api.serverTime()));
  }

  #tick() {
    const { elapsed } = this.#view;
    const { startedAt, ended } = this.#run;
    if (ended) elapsed.textContent = ended.answer?.seconds ? duration(ended.answer.seconds) : "";
    else if (startedAt) elapsed.textContent = duration(this.#seconds());
    if (ended) return;
    this.#gauges();
    this.#view.trace.tick(api.serverTime());
  }

  #end() {
    const run = this.#run;
    const open = (reference) => openPage(run.id, reference);
    const parts = [notes(run)];
    if (run.written) parts.push(h("div", { class: "actions" }, copyButton(t("copy.markdown"), "copy", () => markdown(run)), run.ended.outcome === "finished" ? downloads(run) : null));
    parts.push(images(run));
    if (run.references.length) parts.push(h("h2", {}, t("sources")), sources(run, open));
    parts.push(facts(run));
    if (run.written && run.ended.outcome === "finished") parts.push(followUp(run, (next) => this.#go(next.run_id)));
    return parts.filter(Boolean);
  }
}

const narrow = () => matchMedia("(max-width: 64rem)").matches;
