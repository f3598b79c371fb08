// The calls of a run to its stages, and how their times fit together: no element, no network. The same events always give the same calls.

/** Which stage answers which kind of call; a `delegate` is a run of its own. */
export const STAGES = {
  understand: "query_planner", describe: "query_planner", decide: "query_planner", rewrite: "query_planner", cluster: "query_planner",
  code: "query_planner", decompose: "query_planner", outline: "query_planner",
  search: "jina_searcher",
  rank: "url_ranker", dedupe: "url_ranker",
  read: "page_reader", illustrate: "page_reader",
  evaluate: "evaluator", analyze: "evaluator", check: "evaluator", digest: "evaluator", synthesize: "evaluator",
  compose: "answer_finalizer", revise: "answer_finalizer", reduce: "answer_finalizer", section: "answer_finalizer",
  finalize: "answer_finalizer", structure: "answer_finalizer",
  delegate: "controller",
};
const STEPS = ["rank", "decide"]; // with the first of these a step begins
const PHASES = { decompose: "team", delegate: "team", reduce: "team", digest: "notes", synthesize: "notes", outline: "outline", section: "writing", check: "checking", revise: "checking" };

/**
 * The calls, in groups as the trail has its steps. Times are in seconds since the epoch; `at` and `span` leave out the time in which the
 * run stood still, because its process was gone or its outline waited for a person.
 */
export class Calls {
  /** Each with its rows in order: calls, and the pauses between them. */
  groups = [{ number: 0, action: "", rows: [] }];
  all = [];
  /** When nothing went on: `{pause, from, to}`; `pause` is `resumed` after an interruption, `waited` before an approved outline. */
  pauses = [];
  startedAt = 0;
  /** Of the last event of the journal. */
  lastTime = 0;
  ended = false;
  #steps = 0;
  #taken = 0;

  /** Take an event of the journal, in order, with what it says was spent. */
  take(event, usage = null) {
    const { type, data = {} } = event;
    const time = Math.max(event.time ?? 0, this.lastTime);
    this.#taken += 1;
    if (type === "run_started") this.startedAt = time;
    else if (type === "stage_called") this.#begin(data.effect, time);
    else if (type === "run_resumed") this.#pause(time, "resumed");
    else if (type === "outline_approved") this.#pause(time, "waited");
    else if (data.effect_id !== undefined) this.#end(data, time, usage, type === "call_failed");
    if (type === "decided" && this.groups.at(-1).number) this.groups.at(-1).action = data.decision?.action ?? "";
    this.lastTime = time;
    this.ended = false;
  }

  /** The run has ended, perhaps to go on later: nobody waits for what is under way. */
  close() {
    this.ended = true;
    this.#leave("left");
  }

  /** Seconds of the run at a time: since its start, without the pauses before it. */
  at(time) {
    const paused = this.pauses.reduce((sum, { from, to }) => sum + Math.max(0, Math.min(time, to) - from), 0);
    return Math.max(0, time - this.startedAt - paused);
  }

  /** Seconds that a call took, or has taken until `now`. */
  seconds(call, now) {
    return Math.max(0, this.at(call.end ?? Math.max(now, call.start)) - this.at(call.start));
  }

  /** Seconds of the whole run, until `now` when it goes on. */
  span(now) {
    return this.startedAt ? this.at(this.ended ? this.lastTime : Math.max(now, this.lastTime)) : 0;
  }

  /**
   * The calls that the end had to wait for, last first: the one that ended last, before it the one that had ended last when it began, and so
   * on. Of those under way it is the oldest.
   */
  critical() {
    const chosen = [];
    let begun = Infinity;
    for (;;) {
      const before = this.all.filter((call) => call.ended < begun || (begun === Infinity && call.state === "pending"));
      const last = before.reduce((best, call) => (best === null || call.ended > best.ended ? call : best), null);
      if (last === null) return chosen;
      chosen.push(last);
      begun = last.begun;
    }
  }

  #begin(effect, time) {
    const { id, kind = "", question = "", items = [] } = effect;
    const last = this.groups.at(-1);
    const phase = PHASES[kind];
    if (STEPS.includes(kind)) {
      if (!last.number || last.action) this.groups.push({ number: ++this.#steps, action: "", rows: [] });
    } else if (phase && last.action !== phase && !(phase === "checking" && last.action === "writing")) {
      this.groups.push({ number: 0, action: phase, rows: [] });
    }
    const call = { id, kind, stage: STAGES[kind] ?? "", question, items, start: time, end: null, begun: this.#taken, ended: Infinity, state: "pending", code: "", message: "", usage: null, run: kind === "delegate" ? (items[0] ?? "") : "" };
    this.groups.at(-1).rows.push(call);
    this.all.push(call);
  }

  #end({ effect_id, code = "", message = "", answer }, time, usage, failed) {
    const call = this.all.findLast((one) => one.id === effect_id && one.end === null);
    if (!call) return;
    Object.assign(call, { end: time, ended: this.#taken, state: failed ? "failed" : "done", code, message, usage });
    if (answer?.run_id) call.run = answer.run_id;
  }

  /** From the last event to now nothing went on; a call that was under way is made again. */
  #pause(time, why) {
    if (why === "resumed") this.#leave("interrupted");
    const pause = { pause: why, from: this.lastTime, to: time };
    this.pauses.push(pause);
    this.groups.at(-1).rows.push(pause);
  }

  /** Calls that nobody waits for any longer count for nothing in the critical path. */
  #leave(state) {
    for (const call of this.all) {
      if (call.end === null) Object.assign(call, { end: this.lastTime, ended: NaN, state });
      else if (call.state === "left" && state === "interrupted") call.state = state; // the end was none
    }
  }
}
