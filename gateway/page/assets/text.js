// Text of pages, models and people: how it is counted and how it may be shown.

/** Index in UTF-16 units of the character (code point) at `offset`: the service counts characters, JavaScript counts units. */
export function unitIndex(text, offset) {
  let index = 0;
  for (let left = offset; left > 0 && index < text.length; left--) index += text.codePointAt(index) > 0xffff ? 2 : 1;
  return index;
}

/** Number of characters (code points). */
export function characters(text) {
  let count = 0;
  for (let index = 0; index < text.length; index += text.codePointAt(index) > 0xffff ? 2 : 1) count++;
  return count;
}

// Controls but tab and line feed, and the marks that reorder what follows (bidirectional overrides, embeddings and isolates).
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufff9-\ufffb]/gu;

/** `text` without characters that make it look other than it is. Lines stay. */
export function shown(text) {
  return String(text ?? "").replaceAll("\r\n", "\n").replace(UNSEEN, "");
}

/** The same on one line, at most `most` characters. */
export function line(text, most = 300) {
  const one = shown(text).replace(/\s+/gu, " ").trim();
  return characters(one) > most ? `${one.slice(0, unitIndex(one, most - 1)).trimEnd()}…` : one;
}

/** The address as a `URL` when a browser may be sent there (http and https), else null. */
export function webUrl(text) {
  try {
    const url = new URL(String(text));
    return (url.protocol === "http:" || url.protocol === "https:") && url.hostname ? url : null;
  } catch {
    return null;
  }
}

/** Where something is, for a person: the host without `www.`, or the name of a file. A host in other letters shows as the name server knows it. */
export function place(text) {
  const web = webUrl(text);
  if (web) return line(web.host.replace(/^www\./u, ""), 80);
  const name = String(text ?? "").split(/[?#]/u)[0].split("/").filter(Boolean).pop() ?? "";
  try {
    return line(decodeURIComponent(name), 80);
  } catch {
    return line(name, 80);
  }
}

/** Host and path, for a person. */
export function address(text) {
  const web = webUrl(text);
  if (!web) return place(text);
  let path = web.pathname;
  try {
    path = decodeURIComponent(path);
  } catch {
    // not UTF-8: shown as it is
  }
  return line(`${web.host.replace(/^www\./u, "")}${path.replace(/\/$/u, "")}`, 100);
}
