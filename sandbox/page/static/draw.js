// Draws the JSON it is given, without a workspace: a message, a modal, a home tab, an option of a menu, or a list of messages.
// `draw(json, {names, me, now, ts, confirm})`; or the JSON, encoded, after a # in the address.

import { drawBlocks, drawMessage } from "./blocks.js";
import { Form, confirmation, modalParts } from "./dialog.js";
import { el, fresh } from "./dom.js";

const NAMES = {
  U_REQUESTER: "requester",
  U_APPROVER: "approver",
  U_MEMBER: "member",
  U_GUEST: "guest",
  U_KEYTURN: "keyturn",
  S_APPROVERS: "key-approvers",
  C_OPS: "ops",
};

/** What kinds of JSON there are, and how each is drawn; the first that fits is taken. */
const KINDS = [
  [Array.isArray, (list, env) => list.map((each, place) => message(each, env, place))],
  [(json) => json.type === "modal", (view, env) => modal(view, env)],
  [(json) => json.type === "home", (view, env) => el("div", { class: "content" }, drawBlocks(view.blocks, env))],
  [(json) => "text" in json && "value" in json, (option) => listed(option)],
  [(json) => json.title && json.confirm && json.deny, (dialog) => question(dialog)],
  [() => true, (given, env) => message(given, env)],
];

function listed(option) {
  const words = [el("span", {}, option.text.text), option.description && el("small", {}, option.description.text)];
  const row = el("li", { role: "option", "aria-selected": "false" }, words);
  return el("ul", { class: "options", role: "listbox", "aria-label": "Options" }, row);
}

function message(given, env, place = 0) {
  return drawMessage({ user: "U_KEYTURN", ts: env.ts && env.ts + place, ...given }, env);
}

function modal(view, env) {
  const title = fresh("title");
  const form = new Form({ id: "drawn", ...view });
  form.errors = env.errors ?? {};
  return el(
    "div",
    { class: "dialog modal", role: "dialog", "aria-labelledby": title },
    modalParts(form, env, { close: () => null, title }),
  );
}

function question(dialog) {
  const title = fresh("title");
  return el("div", { class: "dialog confirm", role: "dialog", "aria-labelledby": title }, confirmation(dialog, title));
}

export function draw(json, options = {}) {
  const people = { U_KEYTURN: { name: "keyturn", bot: true } };
  const env = {
    people,
    ...options,
    names: { ...NAMES, ...options.names },
    now: options.now ? () => new Date(options.now) : undefined,
  };
  const [, drawn] = KINDS.find(([fits]) => fits(json));
  document.getElementById("drawing").replaceChildren(...[drawn(json, env)].flat());
}

window.draw = draw;
if (location.hash.length > 1) draw(JSON.parse(decodeURIComponent(location.hash.slice(1))));
