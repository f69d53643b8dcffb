// Slack's mrkdwn as nodes: bold, italic, strike, code, quotes, links, mentions, and dates in the reader's clock.

import { el } from "./dom.js";

const FENCE = /```(?:\n)?([\s\S]+?)```/;
const QUOTE = /^(?:&gt;|>) ?/;
const INLINE = new RegExp(
  [
    "`(?<code>[^`\\n]+)`",
    "<(?<special>[^<>\\n]+)>",
    "(?<![\\w*_~`])(?<mark>[*_~])(?=\\S)(?<marked>(?:`[^`\\n]*`|<[^<>\\n]*>|[^\\n])+?)(?<=\\S)\\k<mark>(?![\\w])",
    "(?<url>https?://[^\\s<>|`]*[^\\s<>|`.,:;!?)\\]])",
  ].join("|"),
  "g",
);
const MARKS = { "*": "strong", _: "em", "~": "s" };
const SAFE = /^(https?:\/\/|mailto:)/;

/** Draw mrkdwn as an array of nodes. */
export function mrkdwn(text, env = {}) {
  return text.split(FENCE).flatMap((part, place) => (place % 2 ? el("pre", {}, decoded(part)) : paragraphs(part, env)));
}

function paragraphs(text, env) {
  const nodes = [];
  for (const lines of grouped(text.split("\n"))) {
    const said = lines.map((line) => line.replace(QUOTE, "")).join("\n");
    const quoted = QUOTE.test(lines[0]);
    if (quoted) nodes.push(el("blockquote", {}, inline(said, env)));
    else
      nodes.push(
        ...(nodes.length && nodes.at(-1).tagName !== "BLOCKQUOTE" ? ["\n"] : []),
        ...inline(lines.join("\n"), env),
      );
  }
  return nodes;
}

/** Put lines that are quoted, and lines that are not, together. */
function grouped(lines) {
  const groups = [];
  for (const line of lines) {
    const last = groups.at(-1);
    if (last && QUOTE.test(last[0]) === QUOTE.test(line)) last.push(line);
    else groups.push([line]);
  }
  return groups;
}

function inline(text, env) {
  const nodes = [];
  let end = 0;
  for (const found of text.matchAll(INLINE)) {
    nodes.push(decoded(text.slice(end, found.index)), drawn(found.groups, env));
    end = found.index + found[0].length;
  }
  return [...nodes, decoded(text.slice(end))].filter((node) => node !== "");
}

function drawn({ code, special, mark, marked, url }, env) {
  if (code) return el("code", {}, plainly(code, env));
  if (mark) return el(MARKS[mark], {}, inline(marked, env));
  return url ? link(decoded(url), decoded(url), env) : specially(special, env);
}

/** Inside code, mentions and links are read and marks are not. */
function plainly(code, env) {
  return code.split(/<([^<>]+)>/).map((part, place) => (place % 2 ? specially(part, env) : decoded(part)));
}

function specially(special, env) {
  const [target, label] = special.split(/\|(.*)/s);
  if (target.startsWith("@")) return mention("@", target.slice(1), label, env);
  if (target.startsWith("#")) return mention("#", target.slice(1), label, env);
  if (target.startsWith("!date^")) return date(target, label, env);
  if (target.startsWith("!subteam^"))
    return mention("@", target.slice("!subteam^".length), label?.replace(/^@/, ""), env);
  if (target.startsWith("!")) return mention("@", target.slice(1), label, env);
  return link(decoded(target), decoded(label ?? target.replace(/^mailto:/, "")), env);
}

function mention(mark, id, label, env) {
  const mine = id === env.me || env.groups?.includes(id);
  return el("span", { class: mine ? "mention mine" : "mention" }, mark + decoded(env.names?.[id] ?? label ?? id));
}

function link(url, label, env) {
  if (!SAFE.test(url)) return label;
  const follow = (event) => env.follow?.(url) && event.preventDefault();
  return el("a", { href: url, target: "_blank", rel: "noopener noreferrer", onclick: follow }, label);
}

/** Slack sends three characters as entities, and no other. */
export function decoded(text) {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

const DATES = {
  date_num: { year: "numeric", month: "2-digit", day: "2-digit" },
  date: { year: "numeric", month: "long", day: "numeric" },
  date_short: { year: "numeric", month: "short", day: "numeric" },
  date_long: { weekday: "long", year: "numeric", month: "long", day: "numeric" },
  time: { hour: "numeric", minute: "2-digit" },
  time_secs: { hour: "numeric", minute: "2-digit", second: "2-digit" },
};

function date(target, fallback, env) {
  const [, seconds, format, url] = target.split("^");
  const moment = new Date(Number(seconds) * 1000);
  if (Number.isNaN(moment.getTime())) return decoded(fallback ?? target);
  const said = decoded(format).replace(/\{(\w+)\}/g, (whole, token) => dated(token, moment, now(env)) ?? whole);
  const shown = el("time", { datetime: moment.toISOString(), title: moment.toLocaleString() }, said);
  return url ? el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, shown) : shown;
}

function dated(token, moment, today) {
  if (token === "ago") return away(moment, today);
  const pretty = token.endsWith("_pretty");
  if (pretty) return nearby(moment, today) ?? dated(token.replace("_pretty", ""), moment, today);
  return DATES[token] && moment.toLocaleString(undefined, DATES[token]);
}

const UNITS = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
];

function away(moment, today) {
  const [unit, length] = UNITS.find(([, length]) => Math.abs(moment - today) >= length) ?? UNITS.at(-1);
  return new Intl.RelativeTimeFormat().format(Math.round((moment - today) / length), unit);
}

function nearby(moment, today) {
  const day = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());
  const apart = Math.round((day(moment) - day(today)) / 86_400_000);
  return { "-1": "yesterday", 0: "today", 1: "tomorrow" }[apart];
}

export const now = (env) => env.now?.() ?? new Date();

/** A message's time as Slack shows it beside the name. */
export function clock(ts) {
  return new Date(Number(ts) * 1000).toLocaleTimeString(undefined, DATES.time);
}
