// The service's own job API (`/v1/research`): calls, their failures, and the events of a run with reconnection.

const SILENCE_MILLISECONDS = 45_000; // the service breaks every silence after 15 seconds
const FIRST_WAIT = 500;
const LONGEST_WAIT = 8_000;
const KEY = "deepsearch.key";

/** The service said no; `code` and `field` are of its error, `message` is one line for a person. */
export class Refusal extends Error {
  constructor(status, { code = "internal", message = "", field = null } = {}) {
    super(message || `HTTP ${status}`);
    Object.assign(this, { status, code, field });
  }
}

/** Nobody answered, or something between did. */
export class Unreachable extends Error {}

let askForKey = async () => null;
let keyInMemory = "";
let asked = null; // one question at a time, whoever needs the key
let clockSkew = 0; // milliseconds that the service's clock is ahead of ours

/** `ask(refused)` resolves to a key, or null when the person gives none. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

/** The service's time now, in seconds since the epoch. */
export const serverTime = () => (Date.now() + clockSkew) / 1000;

function key() {
  try {
    return sessionStorage.getItem(KEY) ?? keyInMemory;
  } catch {
    return keyInMemory;
  }
}

function keep(value) {
  keyInMemory = value;
  try {
    sessionStorage.setItem(KEY, value);
  } catch {
    // storage is forbidden: kept until the page is left
  }
}

async function request(path, { method = "GET", body, headers = {}, signal } = {}) {
  for (;;) {
    const sent = key();
    const all = { Accept: "application/json", ...headers };
    if (sent) all.Authorization = `Bearer ${sent}`;
    if (body !== undefined) all["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(path, { method, headers: all, body: body === undefined ? undefined : JSON.stringify(body), signal, cache: "no-store", credentials: "same-origin" });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Unreachable(String(error));
    }
    const date = Date.parse(response.headers.get("date") ?? "");
    if (!Number.isNaN(date) && Math.abs(date - Date.now() - clockSkew) > 2_000) clockSkew = date - Date.now();
    if (response.ok) return response;
    if (response.status === 401) {
      if (key() !== sent) continue; // another call has been given a key meanwhile
      asked ??= askForKey(Boolean(sent)).finally(() => (asked = null));
      const given = await asked;
      if (given !== null) {
        keep(given);
        continue;
      }
    }
    const content = await response.json().catch(() => null);
    if (content?.error === undefined && response.status >= 502) throw new Unreachable(`HTTP ${response.status}`);
    throw new Refusal(response.status, content?.error);
  }
}

const json = async (path, options) => (await request(path, options)).json();
const of = (run) => `/v1/research/${encodeURIComponent(run)}`;

export const begin = (question) => json("/v1/research", { method: "POST", body: question });
export const runs = (limit = 30) => json(`/v1/research?limit=${limit}`).then((list) => list.runs);
export const report = (run, signal) => json(of(run), { signal });
export const cancel = (run) => json(of(run), { method: "DELETE" });
export const approve = (run, outline) => json(`${of(run)}/outline`, { method: "POST", body: outline });
export const answerAddress = (run, format) => `${of(run)}/answer?format=${format}`;
export const page = (run, id) => json(`${of(run)}/pages/${encodeURIComponent(id)}`);

/** The finished answer as a file: `{content, name}`. */
export async function download(run, format) {
  const response = await request(answerAddress(run, format), { headers: { Accept: "*/*" } });
  const name = /filename="([^"/\\]+)"/u.exec(response.headers.get("content-disposition") ?? "")?.[1];
  return { content: await response.blob(), name: name ?? `deepsearch-${run}.${{ markdown: "md", text: "txt" }[format] ?? format}` };
}

/**
 * Go on with an interrupted run. Resolves when it is under way; it goes on as long as the connection that `signal` ends.
 */
export async function resume(run, signal) {
  const response = await request(`/resume?run_id=${encodeURIComponent(run)}`, { headers: { Accept: "text/event-stream" }, signal });
  const reader = response.body.getReader();
  await reader.read();
  const drain = async () => {
    while (!(await reader.read()).done);
  };
  drain().catch(() => {}); // what happens then is seen in the events of the run
}

/** The frames of a stream of server-sent events: `{id, event, data}`. */
export async function* frames(stream, silence = SILENCE_MILLISECONDS) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let frame = { id: null, event: "", data: [] };
  try {
    for (;;) {
      let timer;
      const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Unreachable("silence")), silence)));
      const { done, value } = await Promise.race([reader.read(), late]).finally(() => clearTimeout(timer));
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split(/\r\n|\n|\r(?!$)/u);
      rest = lines.pop();
      for (const text of lines) {
        if (text === "") {
          if (frame.data.length) yield { ...frame, data: frame.data.join("\n") };
          frame = { id: null, event: "", data: [] };
        } else if (!text.startsWith(":")) {
          const [, name, content] = /^([^:]*):? ?(.*)$/su.exec(text);
          if (name === "data") frame.data.push(content);
          else if (name === "id") frame.id = content;
          else if (name === "event") frame.event = content;
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/**
 * Every event of a run from `lastId` on, each once, until `run_ended`; lost connections are taken up again.
 * `connection(null)` says that it stands, `connection(milliseconds)` that the next attempt is made after that time.
 * Returns the id of the last event. Throws `Refusal` when trying again cannot help.
 */
export async function follow(run, { lastId = "", signal, receive, connection }) {
  let wait = FIRST_WAIT;
  for (;;) {
    try {
      const headers = { Accept: "text/event-stream", ...(lastId && { "Last-Event-ID": lastId }) };
      const response = await request(`${of(run)}/events`, { headers, signal });
      connection(null);
      if (response.status === 204) return lastId;
      for await (const frame of frames(response.body)) {
        wait = FIRST_WAIT;
        if (frame.id !== null) lastId = frame.id;
        const event = JSON.parse(frame.data);
        receive(event);
        if (event.type === "run_ended") return lastId;
      }
    } catch (error) {
      if (signal.aborted) return lastId;
      const final = error instanceof Refusal && error.status < 500 && error.status !== 429;
      if (final || !(error instanceof Refusal || error instanceof Unreachable || error instanceof TypeError || error.name === "NetworkError")) throw error;
    }
    if (signal.aborted) return lastId;
    connection(wait);
    await pause(wait, signal);
    if (signal.aborted) return lastId;
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }
}

/** Waits, but no longer than until the network is there again or `signal` ends. */
export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    addEventListener("online", done);
    signal?.addEventListener("abort", done);
  });
}
