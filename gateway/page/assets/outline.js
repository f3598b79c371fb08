// The outline of a report that waits to be written: a list that a person may change.

import * as api from "./api.js";
import { button, h, icon } from "./dom.js";
import { t } from "./language.js";
import { line } from "./text.js";

/** What is sent: sections without a heading are left out. */
export const approved = ({ title = "", sections }) => ({
  title: title.trim(),
  sections: sections.filter(({ heading }) => heading.trim()).map(({ heading, brief, words, evidence }) => ({ heading: heading.trim(), brief: brief.trim(), words, evidence })),
});

/** The outline as it is edited, from the service's. */
export const editable = ({ title = "", sections = [] }) => ({
  title,
  sections: sections.map(({ heading = "", brief = "", words = 0, evidence = [] }) => ({ heading, brief, words, evidence })),
});

/** The form. It changes `outline` in place; `write(outline)` sends it and resolves when the run goes on. */
export function outlineForm(outline, write) {
  const sections = h("ol", { class: "outline-sections" });
  const problem = h("p", { class: "problem", role: "alert" });
  const submit = h("button", { type: "submit", class: "button strong" }, t("outline.write"));

  const input = (tag, owner, name, label, more = {}) => {
    const element = h(tag, { "aria-label": label, placeholder: label, dir: "auto", ...more, on: { input: () => (owner[name] = more.type === "number" ? Math.max(0, Math.round(Number(element.value) || 0)) : element.value) } });
    element.value = owner[name] || "";
    return element;
  };
  const draw = (focus = null) => {
    sections.replaceChildren(...outline.sections.map(section));
    if (focus) (sections.children[focus.index]?.querySelector(`[data-do="${focus.what}"]:not(:disabled)`) ?? sections.children[focus.index]?.querySelector("input") ?? submit).focus();
  };
  const move = (index, by, what) => {
    const [moved] = outline.sections.splice(index, 1);
    outline.sections.splice(index + by, 0, moved);
    draw({ index: index + by, what });
  };
  const section = (one, index, { length }) => {
    const name = line(one.heading, 60) || t("outline.section", { n: index + 1 });
    const tool = (what, image, listener, disabled = false) => h("button", { type: "button", class: "button quiet", data: { do: what }, disabled, title: t(`outline.${what}`), "aria-label": t("outline.tool", { what: t(`outline.${what}`), name }), on: { click: listener } }, icon(image));
    return h(
      "li",
      {},
      h("div", { class: "outline-fields" }, input("input", one, "heading", t("outline.heading"), { type: "text", maxlength: "300" }), input("textarea", one, "brief", t("outline.brief"), { rows: "2", maxlength: "2000" })),
      h(
        "div",
        { class: "outline-tools" },
        h("label", {}, h("span", {}, t("outline.words")), input("input", one, "words", t("outline.words"), { type: "number", min: "0", max: "20000", step: "10", inputmode: "numeric", placeholder: "–", dir: null })),
        tool("up", "up", () => move(index, -1, "up"), index === 0),
        tool("down", "down", () => move(index, 1, "down"), index === length - 1),
        tool("remove", "cross", () => (outline.sections.splice(index, 1), draw({ index: Math.min(index, length - 2), what: "remove" }))),
      ),
    );
  };
  const add = () => {
    outline.sections.push({ heading: "", brief: "", words: 0, evidence: [] });
    draw();
    sections.lastElementChild.querySelector("input").focus();
  };
  const send = async (event) => {
    event.preventDefault();
    const wanted = approved(outline);
    problem.textContent = wanted.sections.length ? "" : t("outline.empty");
    if (!wanted.sections.length || submit.disabled) return;
    submit.disabled = true;
    try {
      await write(wanted);
    } catch (error) {
      problem.textContent = error instanceof api.Refusal ? error.message : t("unreachable");
      submit.disabled = false;
    }
  };
  draw();
  return h(
    "form",
    { class: "outline", novalidate: true, "aria-labelledby": "outline-title", on: { submit: send } },
    h("h2", { id: "outline-title" }, t("outline.title")),
    h("p", { class: "hint" }, t("outline.lead")),
    input("input", outline, "title", t("outline.name"), { type: "text", class: "outline-name", maxlength: "300" }),
    sections,
    problem,
    h("div", { class: "actions" }, button(t("outline.add"), add, { image: "plus" }), submit),
  );
}
