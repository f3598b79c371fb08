// The page: its head, the way between asking and a run, language, theme and key.

import * as api from "./api.js";
import { askForm, examples } from "./ask.js";
import { button, follow, h, icon } from "./dom.js";
import { fillHistory } from "./history.js";
import { language, LANGUAGES, preferred, t, use } from "./language.js";
import { Watch } from "./watch.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const content = h("main", { id: "content", tabindex: "-1" });
const head = h("header", { class: "top" });
let watch = null;
let shownRun = null;

const RUN = /^[A-Za-z0-9_-]{1,64}$/u;

function wantedRun() {
  const run = new URLSearchParams(location.search).get("run") ?? "";
  return RUN.test(run) ? run : null;
}

/** Show a run, or with null the form. */
function go(run, { replace = false } = {}) {
  const address = run ? `/?run=${encodeURIComponent(run)}` : "/";
  if (replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  show({ focus: true });
}

function show({ focus = false } = {}) {
  const run = wantedRun();
  if (run !== shownRun || !watch) {
    watch?.leave();
    watch = run ? new Watch(run, (next) => go(next)) : null;
    watch?.start();
    shownRun = run;
  }
  for (const dialog of document.querySelectorAll("dialog.quote[open]")) dialog.close();
  drawHead();
  if (watch) {
    content.replaceChildren(watch.draw());
    if (focus) content.querySelector("h1").focus({ preventScroll: true });
  } else {
    drawHome();
  }
  if (focus) scrollTo(0, 0);
}

function drawHead() {
  const toHome = (event) => follow(event, () => go(null));
  const names = h("select", { id: "language", "aria-label": t("language"), on: { change: () => choose(names.value) } }, Object.entries(LANGUAGES).map(([code, name]) => h("option", { value: code, lang: code, selected: code === language }, name)));
  head.replaceChildren(
    h("a", { class: "skip", href: "#content", on: { click: (event) => (event.preventDefault(), content.focus()) } }, t("skip")),
    h("a", { class: "brand", href: "/", on: { click: toHome } }, h("img", { src: "/assets/icon.svg", alt: "", width: "22", height: "22" }), h("span", {}, "DeepSearch")),
    h("nav", { "aria-label": t("navigation") }, watch ? h("a", { class: "button quiet", href: "/", "aria-label": t("new"), on: { click: toHome } }, icon("plus"), h("span", {}, t("new"))) : null, names, themeButton()),
  );
}

function drawHome() {
  document.title = "DeepSearch";
  const form = askForm((run) => go(run.run_id));
  const list = h("ul", { class: "history-list" });
  const below = h("div", { class: "below" });
  content.replaceChildren(h("div", { class: "home" }, h("h1", {}, t("ask.title")), h("p", { class: "lead" }, t("ask.lead")), form, below));
  if (matchMedia("(hover: hover)").matches) form.querySelector("#question").focus({ preventScroll: true });
  const fill = async () => {
    try {
      const count = await fillHistory(list, (run) => go(run));
      below.replaceChildren(count ? h("section", { class: "history", "aria-labelledby": "history-title" }, h("h2", { id: "history-title" }, t("history")), list) : examples(form));
    } catch (error) {
      const words = error instanceof api.Refusal ? error.message : t("unreachable");
      below.replaceChildren(h("div", { class: "banner", role: "alert" }, h("p", {}, words), button(t("again"), fill)));
    }
  };
  fill();
}

async function choose(code) {
  await use(code, { remember: true });
  show();
  head.querySelector("#language").focus();
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : dark.matches;
}

function themeButton() {
  const next = isDark() ? "light" : "dark";
  const toggle = () => {
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("deepsearch.theme", next);
    } catch {
      // it holds until the page is left
    }
    drawHead();
    head.querySelector("#theme").focus();
  };
  return h("button", { type: "button", id: "theme", class: "button quiet", "aria-label": t(`theme.${next}`), title: t(`theme.${next}`), on: { click: toggle } }, icon(next));
}

/** Ask for the key that the service wants; null when none is given. */
function askForKey(refused) {
  return new Promise((resolve) => {
    const input = h("input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false", required: true, dir: "ltr", "aria-describedby": "key-hint" });
    let given = null;
    const form = h(
      "form",
      {},
      h("h2", { id: "key-title" }, t("key.title")),
      refused ? h("p", { class: "problem", role: "alert" }, t("key.refused")) : null,
      h("label", { for: "key" }, t("key.label")),
      input,
      h("p", { class: "hint", id: "key-hint" }, t("key.hint")),
      h("div", { class: "actions" }, h("button", { type: "submit", class: "button strong" }, t("key.submit")), button(t("key.cancel"), () => dialog.close())),
    );
    const dialog = h("dialog", { class: "key", "aria-labelledby": "key-title" }, form);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      given = input.value.trim() || null;
      dialog.close();
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(given);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

api.onKeyNeeded(askForKey);
await use(preferred());
document.body.replaceChildren(head, content);
addEventListener("popstate", () => show());
dark.addEventListener("change", drawHead);
show();
