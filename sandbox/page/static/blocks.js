// Block Kit drawn as Slack draws it. It knows nothing of where the blocks come from: `env` says who reads,
// what ids are called, and what happens when something is pressed. Without `env.act` all of it is a picture.

import { combo } from "./combo.js";
import { el, fresh, svg } from "./dom.js";
import { foldable } from "./folding.js";
import { clock, mrkdwn } from "./mrkdwn.js";
import { alert, plan, tasks } from "./plan.js";
import { plot } from "./plot.js";
import { richText, unknown, words } from "./rich.js";
import { dataTable, table } from "./tables.js";

/** Every block that can be drawn; any other is shown as unknown. */
export const BLOCKS = {
  alert: (block, env) => alert(block, env),
  container: (block, env) => container(block, env),
  data_table: (block, env) => dataTable(block, env),
  data_visualization: (block) => plot(block),
  plan: (block, env) => plan(block, env),
  task_card: (block, env) => tasks([block], env),
  actions: (block, env) =>
    el(
      "div",
      { class: "block actions" },
      block.elements.map((each) => element(each, block, env)),
    ),
  context: (block, env) =>
    el(
      "div",
      { class: "block context" },
      block.elements.map((each) => small(each, env)),
    ),
  divider: () => el("hr", { class: "block divider" }),
  header: (block) => el(heading(block), { class: `block header level-${block.level ?? "none"}` }, block.text.text),
  image: (block) => picture(block),
  input: (block, env) => field(block, env),
  rich_text: (block, env) => richText(block, env),
  section: (block, env) => section(block, env),
  table: (block, env) => table(block, env),
};

/** Every element that can be drawn in a block. */
export const ELEMENTS = {
  button: (given, block, env) => button(given, block, env),
  checkboxes: (given, block, env) => boxes(given, block, env),
  conversations_select: (given, block, env) => menu({ ...given, options: listed(env.conversations) }, block, env),
  datepicker: (given, block, env) => box(given, block, env),
  external_select: (given, block, env) => menu(given, block, env),
  image: (given) => el("img", { src: given.image_url, alt: given.alt_text, class: "thumbnail" }),
  multi_external_select: (given, block, env) => menu(given, block, env),
  multi_static_select: (given, block, env) => menu(given, block, env),
  plain_text_input: (given, block, env) => box(given, block, env),
  static_select: (given, block, env) => menu(given, block, env),
  users_select: (given, block, env) => menu({ ...given, options: listed(env.people) }, block, env),
};

/** Options for people or channels, by their ids. */
function listed(named = {}) {
  return Object.entries(named).map(([value, { name }]) => ({ text: { type: "plain_text", text: name }, value }));
}

/** Draw blocks from top to bottom. */
export function drawBlocks(blocks, env = {}) {
  return blocks.map((block) => (BLOCKS[block.type] ?? unknown("block"))(block, env));
}

/** Draw a message as it stands in a channel: who, when, and what. */
export function drawMessage(message, env = {}) {
  const author = env.people?.[message.user] ?? {
    name: env.names?.[message.user] ?? "keyturn",
    bot: message.user !== env.me,
  };
  return el(
    "article",
    {
      class: `message${message.only_you ? " only-you" : ""}`,
      "aria-label": `${author.name}, ${message.ts ? clock(message.ts) : ""}`,
    },
    message.only_you && el("p", { class: "visibility" }, icon(EYE), "Only visible to you"),
    avatar(author),
    el("div", { class: "said" }, byline(message, author), content(message, env)),
  );
}

function byline(message, author) {
  return el(
    "p",
    { class: "byline" },
    el("strong", { class: "author" }, author.name),
    author.bot && el("span", { class: "app" }, "APP"),
    message.ts && !message.home && el("time", { class: "when", datetime: new Date(message.ts * 1000).toISOString() }, clock(message.ts)),
  );
}

/** What a message says: its blocks, or its text where it has none. */
export function content(message, env) {
  const body = message.blocks?.length
    ? drawBlocks(message.blocks, env)
    : message.text && el("div", { class: "block" }, mrkdwn(message.text, env));
  const files = (message.files ?? []).map(file);
  return el("div", { class: "content" }, body, files, message.edited && el("span", { class: "edited" }, "(edited)"));
}

/** A file under what was said: its name, its size, and how it begins. */
function file(given) {
  const size = given.size < 1000 ? `${given.size} bytes` : `${(given.size / 1000).toFixed(1)} kB`;
  return el(
    "figure",
    { class: "block file" },
    el("figcaption", {}, el("strong", {}, given.title ?? given.name), el("span", { class: "soft" }, ` ${size}`)),
    given.preview && el("pre", { tabindex: 0, "aria-label": `How ${given.name} begins` }, given.preview),
  );
}

function avatar(author) {
  const letter = author.bot ? icon(KEY) : author.name.slice(0, 1).toUpperCase();
  const colour = author.bot
    ? "bot"
    : `person-${[...author.name].reduce((sum, char) => sum + char.charCodeAt(0), 0) % 4}`;
  return el("span", { class: `avatar ${colour}`, "aria-hidden": "true" }, letter);
}

const KEY =
  "M14.5 3a6.5 6.5 0 0 0-6.2 8.4L2 17.7V22h5v-2.6h2.4V17h2l1.4-1.4" +
  "A6.5 6.5 0 1 0 14.5 3Zm2 6.2a1.8 1.8 0 1 1 0-3.6 1.8 1.8 0 0 1 0 3.6Z";
const EYE =
  "M12 5C6.5 5 2.6 9.3 1.2 12c1.4 2.7 5.3 7 10.8 7s9.4-4.3 10.8-7C21.4 9.3 17.5 5 12 5Z" +
  "m0 11a4 4 0 1 1 0-8 4 4 0 0 1 0 8Z";

function icon(path) {
  return svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: path }));
}

function element(given, block, env) {
  return (ELEMENTS[given.type] ?? unknown("element"))(given, block, env);
}

/** A header says which level it is to a screen reader, too; the message itself has none. */
function heading(block) {
  return `h${(block.level ?? 1) + 2}`;
}

/** Blocks under a title, which may be folded; a child stands in it as it would outside. */
function container(block, env) {
  const title = block.rich_text_title ? richText(block.rich_text_title, env) : el("strong", {}, block.title.text);
  const top = [title, block.subtitle && el("div", { class: "soft" }, words(block.subtitle, env))];
  const open = !(block.is_collapsible && block.default_collapsed);
  const body = el("div", {}, drawBlocks(block.child_blocks, env));
  return block.is_collapsible
    ? el("details", { class: "block container", open }, el("summary", {}, top), body)
    : el("div", { class: "block container" }, top, body);
}

function small(given, env) {
  if (given.type === "image") return ELEMENTS.image(given);
  return el("span", { class: "small" }, words(given, env));
}

function section(block, env) {
  return el(
    "div",
    { class: "block section" },
    el(
      "div",
      { class: "text" },
      block.text && (block.expand ? el("div", {}, words(block.text, env)) : foldable(words(block.text, env))),
      block.fields &&
        el(
          "div",
          { class: "fields" },
          block.fields.map((each) => el("div", {}, words(each, env))),
        ),
    ),
    block.accessory && el("div", { class: "accessory" }, element(block.accessory, block, env)),
  );
}

function picture(block) {
  const shown = el("img", { src: block.image_url, alt: block.alt_text });
  return el("figure", { class: "block picture" }, block.title && el("figcaption", {}, block.title.text), shown);
}

function button(given, block, env) {
  const press = () => {
    if (given.url) window.open(given.url, "_blank", "noopener");
    env.act?.press(given, block, env.message);
  };
  const label = given.accessibility_label;
  const look = `button ${given.style ?? ""}`.trim();
  return el(
    "button",
    { type: "button", class: look, "aria-label": label, onclick: press, "data-key": named(given) },
    given.text.text,
  );
}

function menu(given, block, env) {
  return combo(given, {
    key: named(given),
    label: block.label?.text ?? given.placeholder?.text ?? "Choose",
    chosen: env.form?.chosen(block, given) ?? [],
    suggest: (query) => env.act?.suggest(given, block, query, env.message) ?? [],
    changed: (options) => chose(options, given, block, env),
    described: env.form?.described(block),
    id: env.form?.id(block),
    invalid: Boolean(env.form?.errors[block.block_id]),
  });
}

/** Boxes to tick: what is ticked counts once the form is sent. */
function boxes(given, block, env) {
  const ticked = new Set((env.form?.chosen(block, given) ?? []).map((option) => option.value));
  const changed = (option, on) => {
    ticked[on ? "add" : "delete"](option.value);
    const options = given.options.filter((each) => ticked.has(each.value));
    chose(options, given, block, env);
  };
  return el(
    "div",
    {
      role: "group",
      class: "boxes",
      "aria-label": block.label?.text,
      "aria-describedby": env.form?.described(block),
      "data-key": named(given),
    },
    given.options.map((option) =>
      el(
        "label",
        {},
        el("input", {
          type: "checkbox",
          checked: ticked.has(option.value),
          onchange: (event) => changed(option, event.target.checked),
        }),
        el("span", {}, words(option.text, env), option.description && el("span", { class: "soft" }, words(option.description, env))),
      ),
    ),
  );
}

/** In a form a choice waits to be sent; in a message the app hears of it at once. */
function chose(options, given, block, env) {
  if (env.form && block.type === "input") env.form.put(block, given, options);
  else env.act?.choose(given, options[0], env.message);
}

function box(given, block, env) {
  const form = env.form;
  const typed = form?.typed(block, given) ?? given.initial_value ?? "";
  const common = {
    id: form?.id(block),
    class: "box",
    "aria-describedby": form?.described(block),
    "data-key": named(given),
  };
  const more = {
    autocomplete: "off",
    spellcheck: "false",
    autocapitalize: "off",
    placeholder: given.placeholder?.text,
    type: given.type === "datepicker" ? "date" : null,
  };
  const checked = {
    "aria-invalid": form?.errors[block.block_id] ? "true" : null,
    "aria-required": block.optional ? null : "true",
  };
  const node = el(given.multiline ? "textarea" : "input", { ...common, ...more, ...checked });
  const left = el("span", { class: "remaining", "aria-live": "polite" });
  node.value = typed;
  const count = () => remaining(left, given, node.value);
  node.addEventListener("input", () => form?.put(block, given, node.value));
  node.addEventListener("input", count);
  count();
  return el("span", { class: "boxed" }, node, left);
}

/** Say how many characters are left once it matters. */
function remaining(left, given, typed) {
  const rest = (given.max_length ?? 3000) - typed.length;
  left.textContent = rest < 50 ? String(rest) : "";
  left.classList.toggle("over", rest < 0);
}

/** A form that nobody sends: an input block in a message. */
const BLANK = { errors: {}, described: () => null, typed: () => undefined, chosen: () => [], put: () => null };

function field(block, env) {
  const id = env.form?.id(block) ?? fresh("field");
  const wrong = env.form?.errors[block.block_id];
    const inner = { ...env, form: env.form ?? { ...BLANK, id: () => id } };
  return el(
    "div",
    { class: wrong ? "block field wrong" : "block field" },
    el("label", { for: id }, block.label.text, block.optional && el("span", { class: "optional" }, " (optional)")),
    element(block.element, block, inner),
    wrong && el("p", { class: "error", id: `${id}-error` }, wrong),
    block.hint && el("p", { class: "hint", id: `${id}-hint` }, block.hint.text),
  );
}

/** What an element is known by when it is drawn again. */
function named(given) {
  return `${given.action_id ?? given.type}/${given.value ?? ""}`;
}
