// The languages of the page. Each is one file in translations/, complete; only the one that is shown is loaded.

export const LANGUAGES = {
  ar: "العربية",
  de: "Deutsch",
  en: "English",
  es: "Español",
  fr: "Français",
  it: "Italiano",
  ja: "日本語",
  ko: "한국어",
  nl: "Nederlands",
  pt: "Português",
  ru: "Русский",
  zh: "简体中文",
  "zh-TW": "繁體中文",
};
const KEPT = "deepsearch.language";

let words = {};
export let language = "en";

/** Which of the languages is meant by `code`, or undefined. */
export function known(code) {
  const [first, ...rest] = code.toLowerCase().split("-");
  if (first === "zh" && (rest.includes("hant") || (!rest.includes("hans") && rest.some((part) => ["tw", "hk", "mo"].includes(part))))) return "zh-TW";
  return first in LANGUAGES ? first : undefined;
}

/** The language that was chosen, or else the first of the browser's that there is. */
export function preferred() {
  let kept = null;
  try {
    kept = localStorage.getItem(KEPT);
  } catch {
    // storage is forbidden
  }
  return [kept, ...(navigator.languages ?? [])].filter(Boolean).map(known).find(Boolean) ?? "en";
}

/** How numbers and dates are written: as the browser is set up for this language. */
const locale = () => (navigator.languages ?? []).find((code) => known(code) === language) ?? language;

/** Load a language and make it the page's. */
export async function use(code, { remember = false } = {}) {
  words = await (await fetch(`/assets/translations/${code}.json`)).json();
  language = code;
  document.documentElement.lang = { zh: "zh-Hans", "zh-TW": "zh-Hant" }[code] ?? code;
  document.documentElement.dir = words["direction"] ?? "ltr";
  if (remember) {
    try {
      localStorage.setItem(KEPT, code);
    } catch {
      // it holds until the page is left
    }
  }
}

/** The words for `key`, with `{name}` replaced by the values. With a `count`, its plural form is chosen (`key.one`, `key.other`). */
export function t(key, values = {}) {
  const forms = "count" in values ? [`${key}.${new Intl.PluralRules(language).select(values.count)}`, `${key}.other`, key] : [key];
  const found = forms.map((form) => words[form]).find((text) => text !== undefined) ?? key;
  return found.replace(/\{(\w+)\}/gu, (whole, name) => {
    if (!(name in values)) return whole;
    return typeof values[name] === "number" ? number(values[name]) : values[name];
  });
}

/** Whether there are words for `key`. */
export const has = (key) => key in words;

/** A share between 0 and 1 as `87%`. */
export const percent = (share) => new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 0 }).format(share);

/** Things one after the other, with commas as they are written here. */
export const list = (items) => items.join(t("comma"));

/** A number as it is written here; large ones short when `compact`. */
export function number(value, { compact = false, ...options } = {}) {
  return new Intl.NumberFormat(locale(), compact && value >= 10_000 ? { notation: "compact", maximumFractionDigits: 1 } : { maximumFractionDigits: 1, ...options }).format(value);
}

/** Seconds as `3.4 s` or `2 min 5 s`. */
export function duration(seconds) {
  if (seconds < 60) return t("seconds", { n: number(seconds, { maximumFractionDigits: seconds < 10 ? 1 : 0 }) });
  const whole = Math.round(seconds);
  return t(whole % 60 ? "minutes" : "minutes.whole", { m: number(Math.floor(whole / 60)), s: number(whole % 60) });
}

/** An ISO 8601 date, or "" for what is none. */
export function date(text) {
  const day = /^(\d{4})-(\d{2})-(\d{2})/u.exec(text ?? "");
  if (!day) return "";
  const time = new Date(Number(day[1]), Number(day[2]) - 1, Number(day[3]));
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium" }).format(time);
}

/** When something was, seen from now; `seconds` since the epoch. */
export function ago(seconds, now) {
  const past = Math.max(0, now - seconds);
  const relative = new Intl.RelativeTimeFormat(locale(), { numeric: "auto" });
  if (past < 45) return relative.format(0, "second");
  if (past < 3_600) return relative.format(-Math.max(1, Math.round(past / 60)), "minute");
  if (past < 86_400) return relative.format(-Math.round(past / 3_600), "hour");
  if (past < 7 * 86_400) return relative.format(-Math.round(past / 86_400), "day");
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium" }).format(new Date(seconds * 1000));
}

/** The name of a language by its code. */
export function languageName(code) {
  try {
    return new Intl.DisplayNames([language], { type: "language" }).of(code) ?? code;
  } catch {
    return code; // a model may call anything a language code
  }
}
