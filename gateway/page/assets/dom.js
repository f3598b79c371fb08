// Makes elements. Text only ever becomes text nodes: nothing in this page turns a string into markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `properties`: `class`, `on` (listeners by event), `data`, any attribute; `true` is an empty attribute, null and false none. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (name === "data") for (const [key, entry] of Object.entries(value)) element.dataset[key] = entry;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return element;
}

const PATHS = {
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16.2 16.2 21 21",
  thought: "M4 5h16v11H10l-5 4v-4H4z",
  visit: "M6 3h8l4 4v14H6zM14 3v4h4M9 12h6M9 16h6",
  answer: "M4 20h16M5 15.500 15.500 5l3 3L8 18.500H5z",
  reflect: "M12 17.500v.01M9 9.500a3 3 0 1 1 4.500 2.600c-1 .6-1.500 1.200-1.500 2.400",
  coding: "M8 7l-5 5 5 5M16 7l5 5-5 5",
  check: "M4.500 12.500l5 5 10-11",
  cross: "M6 6l12 12M18 6L6 18",
  alert: "M12 4l9 16H3zM12 10v4.500M12 17.300v.01",
  stop: "M7 7h10v10H7z",
  resume: "M8 5l11 7-11 7z",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  link: "M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.700-5.700l-1.200 1.200M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.700 5.700l1.200-1.200",
  out: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  light: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M18.700 5.300l-1.400 1.400M6.700 17.300l-1.400 1.400",
  dark: "M20 14.500A8 8 0 0 1 9.500 4a8 8 0 1 0 10.500 10.500z",
  plus: "M12 5v14M5 12h14",
  partly: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 4v16M14.500 6.500v11M17 8v8",
  question: "M7.500 8.500a4.500 4.500 0 1 1 6.800 3.900c-1.500.9-2.300 1.800-2.300 3.600M12 20.500v.01",
  up: "M12 19V5M6 11l6-6 6 6",
  down: "M12 5v14M6 13l6 6 6-6",
  team: "M9 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM3.500 19c.4-3.500 2.500-5.500 5.500-5.500s5.100 2 5.500 5.500M16 6a2.500 2.500 0 0 1 0 5M17 13.800c2 .6 3.200 2.300 3.500 4.700",
  notes: "M6 3h9l4 4v14H6zM9 9h5M9 13h7M9 17h7",
  outline: "M5 6h.01M9 6h11M9 12h.01M13 12h7M9 18h.01M13 18h7",
  writing: "M4 20h16M5 15.500 15.500 5l3 3L8 18.500H5z",
  checking: "M4 7l2 2 3-4M4 16l2 2 3-4M12 7h8M12 16h8",
  plan: "M5 6h14M5 12h14M5 18h9",
};

/** A line drawing, 24 units wide, that a screen reader passes over. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of [["viewBox", "0 0 24 24"], ["class", "icon"], ["aria-hidden", "true"], ["focusable", "false"]]) svg.setAttribute(key, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name] ?? PATHS.plan);
  svg.append(path);
  return svg;
}

/** A button with a word, and perhaps an icon before it. */
export function button(label, listener, { image = null, kind = "", ...properties } = {}) {
  return h("button", { type: "button", class: `button ${kind}`.trim(), on: { click: listener }, ...properties }, image && icon(image), h("span", {}, label));
}

/** A click that means this page, not a new tab. */
export function follow(event, go) {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  go();
}
