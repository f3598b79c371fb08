// The form that asks, with its options folded away.

import * as api from "./api.js";
import { button, h } from "./dom.js";
import { languageName, t } from "./language.js";

const EFFORTS = ["low", "medium", "high"];
const ANSWER_LANGUAGES = ["en", "zh", "de", "fr", "es", "it", "pt", "nl", "pl", "tr", "ru", "uk", "ar", "he", "fa", "hi", "ja", "ko", "vi", "id"];

/** What is being written, kept while the page is drawn anew (as in another language). */
const draft = { question: "", effort: "medium", minutes: "", language: "", only: "", bad: "", open: false };

/** Host names from what a person typed: whole addresses are taken for their host. */
export function hostnames(text) {
  return text
    .split(/[\s,;]+/u)
    .filter(Boolean)
    .map((part) => part.replace(/^[a-z]+:\/\//iu, "").split(/[/?#]/u)[0].toLowerCase());
}

/** The document that is posted; what is left alone is left out. */
export function request({ question, effort, minutes, language, only, bad }) {
  const wanted = { question: question.trim(), reasoning_effort: effort };
  if (Number(minutes) > 0) wanted.budget_seconds = Number(minutes) * 60;
  if (language) wanted.language_code = language;
  if (hostnames(only).length) wanted.only_hostnames = hostnames(only);
  if (hostnames(bad).length) wanted.bad_hostnames = hostnames(bad);
  return wanted;
}

/** The form. `begun(run)` is called with the summary of the run that was begun. */
export function askForm(begun) {
  const problem = h("p", { class: "problem", role: "alert", id: "ask-problem" });
  const question = h("textarea", { id: "question", rows: "3", dir: "auto", placeholder: t("ask.placeholder"), "aria-label": t("ask.label"), "aria-describedby": "ask-problem", enterkeyhint: "send" });
  const keep = (name, element) => {
    element.value = draft[name];
    element.addEventListener("input", () => (draft[name] = element.value));
    return element;
  };
  keep("question", question);
  const submit = h("button", { type: "submit", class: "button strong", "aria-keyshortcuts": "Control+Enter Meta+Enter" }, t("ask.submit"));

  const effort = h(
    "fieldset",
    { class: "choice" },
    h("legend", {}, t("option.effort")),
    EFFORTS.map((name) => {
      const input = h("input", { type: "radio", name: "effort", value: name, checked: name === draft.effort, on: { change: () => (draft.effort = name) } });
      return h("label", {}, input, h("span", {}, t(`effort.${name}`)));
    }),
    h("p", { class: "hint" }, t("effort.hint")),
  );
  const field = (name, label, element, hint) => h("div", { class: "field" }, h("label", { for: element.id }, label), keep(name, element), hint ? h("p", { class: "hint", id: `${element.id}-hint` }, hint) : null);
  const minutes = h("input", { id: "minutes", type: "number", min: "0.1", max: "1440", step: "any", inputmode: "decimal", placeholder: "10" });
  const language = h("select", { id: "answer-language" }, h("option", { value: "" }, t("option.language.auto")), ANSWER_LANGUAGES.map((code) => h("option", { value: code }, languageName(code))));
  const only = h("input", { id: "only", type: "text", autocomplete: "off", spellcheck: "false", dir: "ltr", placeholder: "example.org, example.com", "aria-describedby": "only-hint" });
  const bad = h("input", { id: "bad", type: "text", autocomplete: "off", spellcheck: "false", dir: "ltr", placeholder: "example.net", "aria-describedby": "bad-hint" });
  const options = h(
    "details",
    { class: "options", open: draft.open, on: { toggle: () => (draft.open = options.open) } },
    h("summary", {}, t("options")),
    h(
      "div",
      { class: "options-grid" },
      effort,
      field("minutes", t("option.minutes"), minutes),
      field("language", t("option.language"), language),
      field("only", t("option.only"), only, t("option.only.hint")),
      field("bad", t("option.bad"), bad, t("option.bad.hint")),
    ),
  );

  const send = async () => {
    if (submit.disabled) return;
    problem.textContent = "";
    if (!draft.question.trim()) {
      problem.textContent = t("ask.empty");
      question.focus();
      return;
    }
    submit.disabled = true;
    try {
      const run = await api.begin(request(draft));
      draft.question = "";
      begun(run);
    } catch (error) {
      problem.textContent = error instanceof api.Refusal ? error.message : t("unreachable");
    } finally {
      submit.disabled = false;
    }
  };
  const form = h("form", { class: "ask", novalidate: true }, h("div", { class: "ask-box" }, question, h("div", { class: "ask-row" }, h("span", { class: "hint keys" }, t("ask.keys", { key: /mac|iphone|ipad/iu.test(navigator.platform) ? "⌘" : t("key.control") })), submit)), problem, options);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
      event.preventDefault();
      send();
    }
  });
  return form;
}

/** Questions to begin with; choosing one writes it into the form. */
export function examples(form) {
  const choose = (text) => {
    const question = form.querySelector("#question");
    question.value = draft.question = text;
    question.focus();
  };
  return h(
    "section",
    { class: "examples", "aria-labelledby": "examples-title" },
    h("h2", { id: "examples-title" }, t("examples")),
    h("ul", {}, [1, 2, 3].map((n) => h("li", {}, h("button", { type: "button", class: "example", on: { click: () => choose(t(`example.${n}`)) } }, t(`example.${n}`))))),
  );
}

/** One line to ask on from an answer: the conversation so far goes with it. */
export function followUp(run, begun) {
  const problem = h("p", { class: "problem", role: "alert" });
  const input = h("textarea", { rows: "1", dir: "auto", "aria-label": t("follow.label"), placeholder: t("follow.label") });
  const send = async () => {
    const question = input.value.trim();
    if (!question || input.disabled) return;
    const earlier = (run.request.messages ?? []).map(({ role = "user", content = "" }) => ({ role, content }));
    if (run.request.question && earlier.at(-1)?.content !== run.request.question) earlier.push({ role: "user", content: run.request.question });
    const messages = [...earlier, { role: "assistant", content: run.written.replace(/ ?\[\^\d+\]/gu, "") }, { role: "user", content: question }];
    const { reasoning_effort, only_hostnames, bad_hostnames, language_code } = run.request;
    input.disabled = true;
    problem.textContent = "";
    try {
      begun(await api.begin(Object.fromEntries(Object.entries({ messages, reasoning_effort, only_hostnames, bad_hostnames, language_code }).filter(([, value]) => value !== undefined && value !== null))));
    } catch (error) {
      problem.textContent = error instanceof api.Refusal ? error.message : t("unreachable");
      input.disabled = false;
    }
  };
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
  });
  return h("div", { class: "follow" }, h("div", { class: "follow-row" }, input, button(t("ask.submit"), send, { kind: "strong" })), problem);
}
