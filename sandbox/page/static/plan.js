// The steps of a plan with their states, and the alert of a form.

import { el, svg } from "./dom.js";
import { few } from "./folding.js";
import { richText, words } from "./rich.js";

const LONGEST = 8;
const SHOWN = 6;

/** A state as a word, for who can't see it, and as a sign: never by its colour alone. */
const STATES = {
  pending: ["pending", "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm0 2a7 7 0 1 1 0 14 7 7 0 0 1 0-14Z"],
  in_progress: ["in progress", "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm0 2a7 7 0 0 1 0 14Z"],
  complete: ["complete", "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm-1.3 12.9-4-4 1.5-1.5 2.5 2.5 5.2-5.2 1.5 1.5Z"],
  error: [
    "error",
    "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm4.2 11.8-1.4 1.4L12 13.4l-2.8 2.8-1.4-1.4 2.8-2.8-2.8-2.8 1.4-1.4 2.8 2.8" +
      " 2.8-2.8 1.4 1.4-2.8 2.8Z",
  ],
};

const LEVELS = {
  default: "M4 5h16v2H4Zm0 6h16v2H4Zm0 6h10v2H4Z",
  info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm-1 8h2v6h-2Zm0-4h2v2h-2Z",
  warning: "M12 3 1.5 21h21Zm-1 7h2v5h-2Zm0 6.5h2v2h-2Z",
  error: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm-1 4h2v6h-2Zm0 8h2v2h-2Z",
  success: STATES.complete[1],
};

/** A plan: its title, how many steps are done, and the steps; Slack folds a long one. */
export function plan(block, env) {
  const steps = block.tasks ?? [];
  const done = steps.filter((each) => each.status === "complete").length;
  return el(
    "div",
    { class: "block plan" },
    el("p", {}, el("strong", {}, block.title), el("span", { class: "soft" }, ` · ${done} of ${steps.length}`)),
    tasks(steps, env),
  );
}

/** Steps one below the other. */
export function tasks(steps, env) {
  const [shown, more] = few(
    steps.map((each) => task(each, env)),
    SHOWN,
    LONGEST,
  );
  return [el("ol", { class: "block tasks", role: "list" }, shown), more];
}

function task(given, env) {
  const [word, path] = STATES[given.status];
  const sources = (given.sources ?? []).map((each) =>
    richText({ elements: [{ type: "rich_text_section", elements: [{ ...each, type: "link" }] }] }, env),
  );
  return el(
    "li",
    { class: `task is-${given.status}` },
    svg("svg", { viewBox: "0 0 24 24", role: "img", "aria-label": word }, svg("path", { d: path })),
    el(
      "div",
      {},
      !given.hide_title && el("p", {}, given.title),
      [given.details, given.output].filter(Boolean).map((each) => el("div", { class: "soft" }, richText(each, env))),
      sources,
    ),
  );
}

/** A sentence that stands out in a form; its level is said, too. */
export function alert(block, env) {
  const level = block.level ?? "default";
  const said = level !== "default" && el("span", { class: "visually-hidden" }, `${level}: `);
  return el(
    "div",
    { class: `block alert is-${level}`, role: "note" },
    svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: LEVELS[level] })),
    el("p", {}, said, words(block.text, env)),
  );
}
