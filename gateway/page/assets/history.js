// The list of kept runs.

import * as api from "./api.js";
import { follow, h } from "./dom.js";
import { ago, duration, t } from "./language.js";
import { line } from "./text.js";
import { stopReason } from "./answer.js";

/** Fills `list` with the newest runs; `open(run)` shows one. Returns how many there are. */
export async function fillHistory(list, open) {
  const runs = await api.runs();
  list.replaceChildren(
    ...runs.map((run) =>
      h(
        "li",
        {},
        h(
          "a",
          { href: `/?run=${encodeURIComponent(run.run_id)}`, on: { click: (event) => follow(event, () => open(run.run_id)) } },
          h("span", { class: "history-question", dir: "auto" }, line(run.question, 200) || run.run_id),
          h("span", { class: "history-facts" }, h("span", { class: "state", "data-state": run.state }, h("span", { class: "dot", "aria-hidden": "true" }), describe(run)), h("span", {}, ago(run.started_at, api.serverTime()))),
        ),
      ),
    ),
  );
  return runs.length;
}

function describe(run) {
  const how = run.state === "finished" && run.stop_reason && run.stop_reason !== "answered" ? stopReason(run.stop_reason) : t(`run.${run.state}`);
  return run.state === "running" ? how : `${how} · ${duration(run.seconds)}`;
}
