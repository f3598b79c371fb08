// Which part of a rendered text is which statement: marks of the private use area go through the Markdown with the text.

import { render, skeleton } from "./markdown.js";
import { shown } from "./text.js";

const BEGIN = "\ue000";
const END = "\ue001";
const PLACE = "\ue002"; // where something stood
const MARKS = /[\ue000-\ue002]/u;
const ALL_MARKS = /[\ue000-\ue002]/gu;

const BLOCK_BEGINS = /^(?:\s|>|\||[-+*]\s|\d{1,9}[.)]\s|#{1,6}\s)+/u; // what says how a block is to be read, at its beginning
const BLOCK_ENDS = /[\s|]+$/u;
const WORDS_BEGIN = /^[^\p{L}\p{N}]+/u;
const WORDS_END = /[^\p{L}\p{N}.!?。！？]+$/u;
const MOST_PARSES = 200;

const length = (pattern, text) => [...(pattern.exec(text)?.[0] ?? "")].length;

/** Where the marks of a statement may go, best first: lists of `[position, mark]`, positions in characters. */
function ways(characters, { start, end, removed }) {
  if (removed) {
    let before = start;
    while (before > 0 && /\s/u.test(characters[before - 1])) before--;
    let after = start;
    while (after < characters.length && /\s/u.test(characters[after])) after++;
    after += length(BLOCK_BEGINS, characters.slice(after, after + 40).join(""));
    return [...new Set([start, before, after])].map((place) => [[place, PLACE]]);
  }
  const text = characters.slice(start, end).join("");
  const span = (first, last) => [[start + length(first, text), BEGIN], [end - length(last, text), END]];
  return [span(BLOCK_BEGINS, BLOCK_ENDS), span(WORDS_BEGIN, WORDS_END)].filter(([[from], [to]]) => from < to);
}

function withMarks(characters, items) {
  const parts = [];
  let at = 0;
  for (const [position, mark] of items.flatMap((item) => item.ways[item.way])) {
    parts.push(characters.slice(at, position).join("").replace(ALL_MARKS, ""), mark);
    at = position;
  }
  parts.push(characters.slice(at).join("").replace(ALL_MARKS, ""));
  return parts.join("");
}

/** Those of `items` whose marks change nothing in how the text is read. */
function placeable(characters, all) {
  const plain = skeleton(shown(withMarks(characters, [])));
  let parses = 0;
  const harmless = (items) => {
    if (parses++ >= MOST_PARSES) return false;
    const read = skeleton(shown(withMarks(characters, items)));
    const marks = items.reduce((sum, item) => sum + item.ways[item.way].length, 0);
    return (read.match(ALL_MARKS) ?? []).length === marks && read.replace(ALL_MARKS, "") === plain;
  };
  const choose = (items) => {
    if (!items.length || harmless(items)) return items;
    if (items.length > 1) {
      const middle = items.length >> 1;
      return [...choose(items.slice(0, middle)), ...choose(items.slice(middle))];
    }
    const [item] = items;
    while (++item.way < item.ways.length) if (harmless(items)) return items;
    return [];
  };
  const chosen = choose(all);
  return chosen.length === all.length || harmless(chosen) ? chosen : [];
}

/**
 * The rendered `text` in which statements are elements: `segment(index, text)` for each piece of statement `index`,
 * `end(index)` after its last piece, `removed(index)` where one stood. Statements are `{start, end, removed}`, in characters of `text`.
 * Returns the fragment and the indices of the statements that have no place in it.
 */
export function renderMarked(text, statements, citation, { segment, end, removed }) {
  const characters = Array.from(text);
  const items = [];
  let free = 0; // statements that overlap another are left alone
  for (const [index, one] of [...statements.entries()].sort(([, a], [, b]) => a.start - b.start || a.end - b.end)) {
    const { start = 0, end: last = 0 } = one;
    const stops = one.removed ? start : last;
    if (start < free || stops > characters.length || (!one.removed && stops <= start)) continue;
    const found = ways(characters, { ...one, start, end: last });
    if (found.length) items.push({ index, ways: found, way: 0 });
    free = stops;
  }
  const placed = placeable(characters, items);
  const fragment = render(withMarks(characters, placed), citation);
  const walker = document.createTreeWalker(fragment, NodeFilter.SHOW_TEXT);
  const nodes = [];
  while (walker.nextNode()) nodes.push(walker.currentNode);
  let current = null;
  let next = 0;
  for (const node of nodes) {
    if (!MARKS.test(node.data) && (current === null || node.parentElement?.closest("button, sup"))) continue;
    const made = [];
    for (const part of node.data.split(/([\ue000-\ue002])/u)) {
      if (part === BEGIN) current = placed[next++].index;
      else if (part === PLACE) made.push(removed(placed[next++].index));
      else if (part === END) {
        made.push(end(current));
        current = null;
      } else if (part) made.push(current === null ? part : segment(current, part));
    }
    node.replaceWith(...made);
  }
  const there = new Set(placed.map((item) => item.index));
  return { fragment, missing: [...statements.keys()].filter((index) => !there.has(index)) };
}
