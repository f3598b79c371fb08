// The form that asks, with its options folded away.

import * as api from "./api.js";
import { button, h } from "./dom.js";
import { languageName, number, t } from "./language.js";

const EFFORTS = ["low", "medium", "high"];
const FORMS = ["answer", "report"];
const CITATIONS = ["strict", "flag", "off"];
const MOST_RESEARCHERS = 8;
const ANSWER_LANGUAGES = ["en", "zh", "de", "fr", "es", "it", "pt", "nl", "pl", "tr", "ru", "uk", "ar", "he", "fa", "hi", "ja", "ko", "vi", "id"];

/** What is being written, kept while the page is drawn anew (as in another language). */
const draft = {
  question: "",
  effort: "medium",
  form: "answer",
  words: "",
  planFirst: false,
  researchers: "1",
  citations: "",
  guess: false,
  polish: false,
  images: false,
  minutes: "",
  tokens: "",
  language: "",
  only: "",
  bad: "",
  open: false,
};

/** Host names from what a person typed: whole addresses are taken for their host. */
export function hostnames(text) {
  return text
    .split(/[\s,;]+/u)
    .filter(Boolean)
    .map((part) => part.replace(/^[a-z]+:\/\//iu, "").split(/[/?#]/u)[0].toLowerCase());
}

/** The document that is posted; what is left alone is left out. */
export function request({ question, effort, form, words, planFirst, researchers, citations, guess, polish, images, minutes, tokens, language, only, bad }) {
  const wanted = { question: question.trim(), reasoning_effort: effort };
  if (form === "report") {
    wanted.mode = "report";
    if (Number(words) > 0) wanted.words = Number(words);
    if (planFirst) wanted.plan_first = true;
  }
  if (Number(researchers) > 1) wanted.team_size = Number(researchers);
  if (citations) wanted.citations = citations;
  if (guess) wanted.allow_guess = true;
  if (polish) wanted.polish = true;
  if (images) wanted.with_images = true;
  if (Number(minutes) > 0) wanted.budget_seconds = Number(minutes) * 60;
  if (Number(tokens) > 0) wanted.budget_tokens = Number(tokens);
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

  const options = h("details", { class: "options", open: draft.open, on: { toggle: () => (draft.open = options.open) } }, h("summary", {}, t("options")), optionFields(keep));

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

/** The options in groups; `keep(name, element)` ties an element to the draft. */
function optionFields(keep) {
  const hint = (id, words) => (words ? h("p", { class: "hint", id: `${id}-hint` }, words) : null);
  const field = (name, element, label, words) => {
    if (words) element.setAttribute("aria-describedby", `${element.id}-hint`);
    return h("div", { class: "field" }, h("label", { for: element.id }, label), keep(name, element), hint(element.id, words));
  };
  const amount = (id, more) => h("input", { id, type: "number", inputmode: "decimal", ...more });
  const hosts = (id, example) => h("input", { id, type: "text", autocomplete: "off", spellcheck: "false", dir: "ltr", placeholder: example });
  const select = (id, options) => h("select", { id }, options.map(([value, label]) => h("option", { value }, label)));
  const choice = (name, values, words, changed = () => {}) =>
    h(
      "fieldset",
      { class: "choice" },
      h("legend", {}, t(`option.${name}`)),
      values.map((value) => {
        const input = h("input", { type: "radio", name, value, checked: value === draft[name], on: { change: () => changed((draft[name] = value)) } });
        return h("label", {}, input, h("span", {}, t(`${name}.${value}`)));
      }),
      hint(name, words),
    );
  const tick = (name) => {
    const input = h("input", { type: "checkbox", checked: draft[name], on: { change: () => (draft[name] = input.checked) } });
    return h("label", {}, input, h("span", {}, t(`option.${name}`)));
  };

  const ofReports = h("div", { class: "options-grid of-reports" }, field("words", amount("words", { min: "100", max: "20000", step: "100", placeholder: "2000" }), t("option.words")), h("div", { class: "ticks" }, tick("planFirst")));
  const show = (form) => (ofReports.hidden = form !== "report");
  show(draft.form);
  const researchers = Array.from({ length: MOST_RESEARCHERS }, (_, index) => [String(index + 1), number(index + 1)]);
  const citations = [["", t("citations.default")], ...CITATIONS.map((value) => [value, t(`citations.${value}`)])];
  const languages = [["", t("option.language.auto")], ...ANSWER_LANGUAGES.map((code) => [code, languageName(code)])];
  return h(
    "div",
    { class: "options-grid" },
    choice("form", FORMS, t("form.hint"), show),
    ofReports,
    choice("effort", EFFORTS, t("effort.hint")),
    field("researchers", select("researchers", researchers), t("option.researchers"), t("option.researchers.hint")),
    field("citations", select("citations", citations), t("option.citations"), t("option.citations.hint")),
    field("language", select("answer-language", languages), t("option.language")),
    h("div", { class: "ticks" }, tick("guess"), tick("polish"), tick("images")),
    field("minutes", amount("minutes", { min: "0.1", max: "1440", step: "any", placeholder: "10" }), t("option.minutes")),
    field("tokens", amount("tokens", { min: "1000", step: "1000" }), t("option.tokens")),
    field("only", hosts("only", "example.org, example.com"), t("option.only"), t("option.only.hint")),
    field("bad", hosts("bad", "example.net"), t("option.bad"), t("option.bad.hint")),
  );
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
    const { reasoning_effort, only_hostnames, bad_hostnames, language_code, citations, allow_guess } = run.request;
    input.disabled = true;
    problem.textContent = "";
    try {
      begun(await api.begin(Object.fromEntries(Object.entries({ messages, reasoning_effort, only_hostnames, bad_hostnames, language_code, citations, allow_guess }).filter(([, value]) => value !== undefined && value !== null))));
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
