// A run as far as its events tell: no element, no network. The same events always give the same run.

import { Calls } from "./calls.js";
import { characters, unitIndex } from "./text.js";

const USAGE = ["llm_calls", "prompt_tokens", "completion_tokens", "cached_tokens", "provider_tokens", "searches", "pages", "cost_usd"];

/** What a token budget counts. */
export const tokens = (usage) => (usage.prompt_tokens ?? 0) + (usage.completion_tokens ?? 0) + (usage.provider_tokens ?? 0);

/** What a call spent is beside its result, or in it; null without. */
const usageOf = (data) => data.usage ?? Object.values(data).find((value) => value && typeof value === "object" && "usage" in value)?.usage ?? null;

export class Run {
  id;
  question = "";
  request = {};
  limits = null;
  background = false;
  startedAt = 0;
  lastTime = 0;
  mode = "";
  /** Of the question and the answer, as ISO 639-1. */
  language = "";
  /** Steps in order; the first has no action: it holds what happened before the first decision. */
  steps = [{ number: 0, action: "", entries: [] }];
  decisions = 0;
  calls = new Map();
  /** The same calls and all that have ended, with their times. */
  trace = new Calls();
  spent = Object.fromEntries(USAGE.map((name) => [name, 0]));
  /** The answer as it is written, with its length in characters. */
  written = "";
  writtenCharacters = 0;
  references = [];
  /** The verdicts on the answer's statements, once they are known. */
  support = null;
  /** Of a report: its outline as it was proposed or approved. */
  outline = null;
  /** `run_ended`, once it came: outcome, answer, code, message. */
  ended = null;
  #sequence = 0;
  #said = new Set();

  constructor(id) {
    this.id = id;
  }

  /** Take an event of docs/events.md; kinds that are not known change nothing. One that came before is passed over. */
  take(event) {
    const streamedOnly = event.type === "answer_delta" || event.type === "run_ended";
    if (!streamedOnly) {
      if (event.sequence <= this.#sequence) return;
      this.#sequence = event.sequence;
    }
    this.lastTime = Math.max(this.lastTime, event.time ?? 0);
    const data = event.data ?? {};
    const call = data.effect_id === undefined ? null : (this.calls.get(data.effect_id) ?? null);
    if (call) this.calls.delete(data.effect_id);
    if (!streamedOnly) {
      const usage = usageOf(data);
      this.#spend(usage);
      this.trace.take(event, usage);
    }
    const take = this[`_${event.type}`];
    if (typeof take === "function") take.call(this, data, call, event);
  }

  /** What is under way now: the kind of the oldest call and what it is about, or null. */
  doing() {
    const calls = [...this.calls.values()];
    if (this.ended || !calls.length) return null;
    const first = calls[0];
    return { kind: first.kind, item: first.items?.[0] ?? "", count: calls.filter((call) => call.kind === first.kind).length };
  }

  /** Forget how it ended: it goes on. */
  reopen() {
    this.ended = null;
  }

  _run_started(data, _, event) {
    this.request = data.request ?? {};
    const turns = this.request.messages ?? [];
    this.question = this.request.question || turns.findLast((turn) => (turn.role ?? "user") === "user")?.content || "";
    this.limits = data.limits ?? null;
    this.background = data.background ?? false;
    this.startedAt = event.time;
  }

  _stage_called({ effect }) {
    this.calls.set(effect.id, effect);
    if (effect.kind === "search") {
      for (const query of effect.items ?? []) this.#add({ kind: "query", effect: effect.id, query, state: "pending", results: 0, errors: [] });
    } else if (effect.kind === "read") {
      this.#add({ kind: "page", effect: effect.id, url: effect.items?.[0] ?? "", title: "", state: "pending", passages: 0 });
    } else if (effect.kind === "delegate") {
      const researcher = { kind: "researcher", effect: effect.id, question: effect.question, run: effect.items?.[0] ?? "", state: "pending" };
      const question = this.#find((entry) => entry.kind === "question" && entry.text === effect.question);
      this.#phase("team");
      if (question) this.#change(question, researcher);
      else this.#add(researcher);
    } else if (effect.kind === "evaluate") {
      this.#add({ kind: "check", effect: effect.id, state: "pending", criterion: "", think: "", plan: "" });
    }
  }

  _understood({ understanding = {} }) {
    this.mode = understanding.mode ?? "extractive";
    const { language_code = "en", language_style = "", criteria = [], model = "" } = understanding;
    if (/^[a-z]{2,3}(-[a-z0-9]{2,8})*$/iu.test(language_code)) this.language = language_code;
    this.#add({ kind: "plan", mode: this.mode, model, language: language_code, style: language_style, criteria });
  }

  _decided({ decision = {} }) {
    this.decisions += 1;
    const { action = "", think = "", answer = "", questions = [], code_issue = "", decided_by = "rules" } = decision;
    this.steps.push({ number: this.decisions, action, entries: [] });
    if (think.trim()) this.#add({ kind: "thought", text: think, by: decided_by });
    for (const question of questions) this.#add({ kind: "question", text: question });
    if (code_issue) this.#add({ kind: "task", text: code_issue });
    if (answer) this.#add({ kind: "draft", text: answer, state: "written" });
  }

  _searched({ response = {} }, _, event) {
    for (const outcome of response.outcomes ?? []) {
      const { query = "", provider = "", results = 0, errors = [] } = outcome;
      const entry = this.#find((one) => one.kind === "query" && one.effect === event.data.effect_id && one.query === query && one.state === "pending");
      const change = { state: provider ? "done" : "failed", provider, results, errors };
      if (entry) this.#change(entry, change);
      else this.#add({ kind: "query", effect: event.data.effect_id, query, ...change });
    }
    this.#settle(event.data.effect_id);
  }

  _rewritten({ rewriting = {} }) {
    if (rewriting.think?.trim()) this.#add({ kind: "thought", text: rewriting.think, by: "model" });
  }

  _clustered({ clustering = {} }) {
    const insights = (clustering.clusters ?? []).map((cluster) => cluster.insight).filter(Boolean);
    if (insights.length) this.#add({ kind: "insights", insights });
  }

  _ranked({ ranking = {} }) {
    for (const text of ranking.errors ?? []) this.#warn(text);
  }

  _deduped({ response = {} }) {
    for (const text of response.errors ?? []) this.#warn(text);
  }

  _page_read({ effect_id, page = {}, passages = [] }) {
    const change = { state: "done", url: page.url ?? "", title: page.title ?? "", page_id: page.page_id ?? "", published: page.published ?? null, passages: passages.length };
    const entry = this.#of(effect_id);
    if (entry) this.#change(entry, change);
    else this.#add({ kind: "page", effect: effect_id, ...change });
  }

  _decomposed({ decomposition = {} }) {
    const { questions = [], think = "", decided_by = "rules" } = decomposition;
    this.#phase("team");
    if (think.trim()) this.#add({ kind: "thought", text: think, by: decided_by });
    for (const question of questions) this.#add({ kind: "question", text: question });
  }

  _delegated({ effect_id, answer = {} }) {
    const change = { state: answer.text ? "done" : "failed", run: answer.run_id ?? "" };
    const entry = this.#of(effect_id);
    if (entry) this.#change(entry, change);
    else this.#add({ kind: "researcher", effect: effect_id, question: answer.question ?? "", ...change });
  }

  _reduced({ draft = {} }) {
    this.#phase("team");
    this.#add({ kind: "draft", text: draft.text ?? "", state: draft.text ? "merged" : "empty" });
  }

  _digested({ digest = {} }) {
    this.#phase("notes");
    this.#add({ kind: "digest", url: digest.url ?? "", title: digest.title ?? "", findings: digest.findings ?? [] });
  }

  _synthesized({ synthesis = {} }) {
    const { agreements = [], conflicts = [], gaps = [] } = synthesis;
    this.#phase("notes");
    this.#add({ kind: "synthesis", agreements, conflicts, gaps });
  }

  _outlined({ outline = {} }) {
    this.#phase("outline");
    this.outline = outline;
    this.#add({ kind: "sections", title: outline.title ?? "", sections: outline.sections ?? [], approved: false });
  }

  _outline_approved({ outline = {} }) {
    if (outline.sections?.length) this.outline = outline;
    this.#phase("outline");
    this.#add({ kind: "sections", title: this.outline?.title ?? "", sections: this.outline?.sections ?? [], approved: true });
  }

  _section_written({ draft = {} }, call) {
    this.#phase("writing");
    const heading = this.outline?.sections?.[call?.items?.[0]]?.heading ?? /^#{1,6}\s+(.+)$/mu.exec(draft.text ?? "")?.[1] ?? "";
    this.#add({ kind: "section", heading, text: draft.text ?? "" });
  }

  _checked({ support = {} }) {
    this.#checking();
    this.#add({ kind: "verdicts", support });
  }

  _revised({ draft = {} }) {
    this.#checking();
    this.#add({ kind: "draft", text: draft.text ?? "", state: draft.text ? "revised" : "empty" });
  }

  _illustrated({ illustration = {} }) {
    for (const text of illustration.errors ?? []) this.#warn(text);
    this.#add({ kind: "pictures", count: illustration.images?.length ?? 0 });
  }

  _computed({ result = {} }) {
    this.#add({ kind: "code", output: result.output ?? "", source: result.source_code ?? "" });
  }

  _composed({ draft = {} }) {
    this.#add({ kind: "draft", text: draft.text ?? "", state: draft.text ? "written" : "empty" });
  }

  _evaluated({ effect_id, evaluation = {} }) {
    const { passed = false, failed_criterion = "", think = "", improvement_plan = "" } = evaluation;
    const change = { state: passed ? "done" : "failed", criterion: failed_criterion ?? "", think, plan: improvement_plan };
    const entry = this.#of(effect_id);
    if (entry) this.#change(entry, change);
    else this.#add({ kind: "check", effect: effect_id, ...change });
    const draft = this.#find((one) => one.kind === "draft" && one.state === "written");
    if (draft) this.#change(draft, { state: passed ? "accepted" : "rejected" });
  }

  _analyzed({ analysis = {} }) {
    this.#add({ kind: "lesson", blame: analysis.blame ?? "", improvement: analysis.improvement ?? "" });
  }

  _finalized({ text = "", references = [], support = null, error = "" }) {
    this.#write(text);
    this.references = references;
    this.support = support;
    if (error) this.#warn(error);
  }

  _call_failed({ effect_id, message = "" }, call) {
    const entries = this.steps.flatMap((step) => step.entries).filter((one) => one.effect === effect_id && one.state === "pending");
    if (entries.length) for (const entry of entries) this.#change(entry, { state: "failed", errors: [message], think: message });
    else this.#add({ kind: "failure", what: call?.kind ?? "", text: message });
  }

  _run_resumed() {
    this.calls.clear();
    for (const step of this.steps) step.entries = step.entries.filter((entry) => entry.state !== "pending");
    this.#add({ kind: "resumed" });
  }

  _run_cancelled() {
    this.#add({ kind: "cancelled" });
  }

  _answer_delta({ text = "", offset = 0 }) {
    if (offset === this.writtenCharacters) {
      this.written += text;
      this.writtenCharacters += characters(text);
    } else {
      this.#write(this.written.slice(0, unitIndex(this.written, offset)) + text);
    }
  }

  _run_ended(data) {
    this.ended = { outcome: data.outcome ?? "finished", answer: data.answer ?? null, code: data.code ?? "", message: data.message ?? "" };
    this.calls.clear();
    this.trace.close();
    for (const entry of this.steps.flatMap((step) => step.entries)) if (entry.state === "pending") this.#change(entry, { state: "left" });
    if (data.answer) {
      this.#write(data.answer.text ?? "");
      this.references = data.answer.references ?? [];
      this.support = data.answer.support ?? null;
      this.mode = data.answer.mode ?? this.mode;
    }
  }

  #write(text) {
    this.written = text;
    this.writtenCharacters = characters(text);
  }

  #spend(usage) {
    if (usage) for (const name of USAGE) this.spent[name] += usage[name] ?? 0;
  }

  /** What comes next belongs to a part of the run that no decision began. */
  #phase(name) {
    if (this.steps.at(-1).action !== name) this.steps.push({ number: 0, action: name, entries: [] });
  }

  /** A section is checked as part of its writing. */
  #checking() {
    if (this.steps.at(-1).action !== "writing") this.#phase("checking");
  }

  #add(entry) {
    this.steps.at(-1).entries.push({ version: 0, ...entry });
  }

  #change(entry, change) {
    Object.assign(entry, change);
    entry.version += 1;
  }

  #find(wanted) {
    return this.steps.flatMap((step) => step.entries).findLast(wanted);
  }

  #of(effect) {
    return this.#find((entry) => entry.effect === effect && entry.state === "pending");
  }

  /** Queries of a search that its result does not name. */
  #settle(effect) {
    for (let entry = this.#of(effect); entry; entry = this.#of(effect)) this.#change(entry, { state: "left" });
  }

  /** A weakness of the service is said once. */
  #warn(text) {
    if (this.#said.has(text)) return;
    this.#said.add(text);
    this.#add({ kind: "warning", text });
  }
}
