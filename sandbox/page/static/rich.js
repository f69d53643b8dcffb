// Text as Slack draws it: text objects, and rich text with its lists, links, people and dates.

import { el } from "./dom.js";
import { mrkdwn } from "./mrkdwn.js";

/** What is drawn for a type that this page does not know. */
export function unknown(what) {
  return (given) => el("p", { class: "unknown", role: "note" }, `Unknown ${what}: ${given.type}`);
}

/** Draw a text object of either kind. */
export function words(text, env) {
  return text.type === "mrkdwn" ? mrkdwn(text.text, env) : text.text;
}

/** Draw a rich_text block, also in a cell or a task. */
export function richText(block, env) {
  return el(
    "div",
    { class: "block rich" },
    block.elements.map((part) => rich(part, env)),
  );
}

const RICH = {
  rich_text_section: (part, env) =>
    el(
      "p",
      {},
      part.elements.map((each) => run(each, env)),
    ),
  rich_text_quote: (part, env) =>
    el(
      "blockquote",
      {},
      part.elements.map((each) => run(each, env)),
    ),
  rich_text_preformatted: (part, env) =>
    el(
      "pre",
      {},
      part.elements.map((each) => run(each, env)),
    ),
  rich_text_list: (part, env) =>
    el(
      part.style === "ordered" ? "ol" : "ul",
      {},
      part.elements.map((each) =>
        el(
          "li",
          {},
          each.elements.map((one) => run(one, env)),
        ),
      ),
    ),
};

function rich(part, env) {
  return (RICH[part.type] ?? unknown("rich text"))(part, env);
}

const RUNS = {
  text: (given) => given.text,
  link: (given, env) => mrkdwn(`<${given.url}|${given.text ?? given.url}>`, env),
  user: (given, env) => mrkdwn(`<@${given.user_id}>`, env),
  usergroup: (given, env) => mrkdwn(`<!subteam^${given.usergroup_id}>`, env),
  channel: (given, env) => mrkdwn(`<#${given.channel_id}>`, env),
  broadcast: (given, env) => mrkdwn(`<!${given.range}>`, env),
  date: (given, env) => mrkdwn(`<!date^${given.timestamp}^${given.format}|${given.fallback ?? ""}>`, env),
  emoji: (given) => `:${given.name}:`,
};
const STYLED = { bold: "strong", italic: "em", strike: "s", code: "code" };

function run(given, env) {
  const drawn = (RUNS[given.type] ?? unknown("rich text"))(given, env);
  return Object.keys(STYLED).reduce(
    (inner, style) => (given.style?.[style] ? el(STYLED[style], {}, inner) : inner),
    drawn,
  );
}
