// What lies over the page: the question before a button counts, and the app's forms.

import { drawBlocks } from "./blocks.js";
import { el, fresh, instead } from "./dom.js";

/** Ask before a button counts; tells whether the answer was yes. */
export function ask(dialog) {
  return new Promise((answer) => {
    const shown = el("dialog", { class: "dialog confirm", ...titled() });
    const say = (yes) => () => {
      shown.close();
      shown.remove();
      answer(yes);
    };
    shown.addEventListener("cancel", instead(say(false)));
    shown.append(...confirmation(dialog, shown.getAttribute("aria-labelledby"), say));
    document.body.append(shown);
    shown.showModal();
  });
}

/** The parts of a confirm dialog, also for a picture of it. */
export function confirmation(dialog, title, say = () => null) {
  return [
    el("header", {}, el("h2", { id: title }, dialog.title.text), cross(say(false))),
    el("p", { class: "body" }, dialog.text.text),
    el(
      "footer",
      {},
      el("button", { type: "button", class: "button", onclick: say(false), autofocus: true }, dialog.deny.text),
      el(
        "button",
        { type: "button", class: `button ${dialog.style ?? "primary"}`, onclick: say(true) },
        dialog.confirm.text,
      ),
    ),
  ];
}

const titled = () => ({ "aria-labelledby": fresh("title") });

function cross(close) {
  return el("button", { type: "button", class: "cross", "aria-label": "Close", onclick: close }, "×");
}

/** A form of the app: what is typed stays while the view is the same, and errors stand at their fields. */
export class Form {
  constructor(view, typed = {}) {
    this.view = view;
    this.values = typed;
    this.errors = {};
    this.trouble = "";
    this.busy = false;
  }

  id = (block) => `${this.view.id ?? "view"}-${block.block_id}`;
  key = (block, element) => `${block.block_id}/${element.action_id}`;
  typed = (block, element) => this.values[this.key(block, element)];
  chosen = (block, element) =>
    this.values[this.key(block, element)] ?? [element.initial_option ?? element.initial_options ?? []].flat();

  put = (block, element, value) => {
    this.values[this.key(block, element)] = value;
  };

  described = (block) => {
    const parts = [this.errors[block.block_id] && "error", block.hint && "hint"].filter(Boolean);
    return parts.map((part) => `${this.id(block)}-${part}`).join(" ") || null;
  };

  /** What Slack's client checks before it sends a form. */
  check() {
    const inputs = this.view.blocks.filter((block) => block.type === "input");
    this.errors = Object.fromEntries(
      inputs.map((block) => [block.block_id, this.#wrong(block)]).filter(([, wrong]) => wrong),
    );
    return Object.keys(this.errors).length === 0;
  }

  #wrong(block) {
    const value = this.#value(block);
    const most = block.element.max_length ?? 3000;
    if (!value.length) return block.optional ? "" : "Please complete this required field.";
    return typeof value === "string" && value.length > most
      ? `This field can hold ${most} characters; there are ${value.length}.`
      : "";
  }

  #value(block) {
    const typed = this.values[this.key(block, block.element)];
    return typed ?? block.element.initial_value ?? this.chosen(block, block.element);
  }

  /** The values to send, by block; an option by its value. */
  sent() {
    const inputs = this.view.blocks.filter((block) => block.type === "input");
    return Object.fromEntries(inputs.map((block) => [block.block_id, plain(this.#value(block), block.element)]));
  }
}

function plain(value, element) {
  if (typeof value === "string") return value;
  const options = value.map((option) => option.value);
  const several = element.type.startsWith("multi_") || element.type === "checkboxes";
  return several ? options : (options[0] ?? "");
}

/** The parts of a modal: title, blocks, and what to press. */
export function modalParts(form, env, { close, submit, title }) {
  const { view } = form;
  return [
    el("header", {}, el("h2", { id: title }, view.title.text), cross(close)),
    el(
      "form",
      { novalidate: true, onsubmit: instead(() => submit?.()) },
      el(
        "div",
        { class: "body", tabindex: "-1" },
        form.trouble && el("p", { class: "trouble", role: "alert" }, form.trouble),
        drawBlocks(view.blocks, { ...env, form }),
      ),
      el(
        "footer",
        {},
        el(
          "button",
          { type: "button", class: "button", onclick: close, "data-key": "close" },
          view.close?.text ?? "Cancel",
        ),
        view.submit &&
          el(
            "button",
            {
              type: "submit",
              class: "button primary",
              "data-key": "submit",
              "aria-busy": form.busy ? "true" : null,
              disabled: form.busy,
            },
            view.submit.text,
          ),
      ),
    ),
  ];
}

/** Shows the topmost modal of a person, and hides it when it is gone. */
export class Modals {
  constructor(env, acts) {
    this.env = env;
    this.acts = acts;
    this.form = null;
    this.typed = new Map();
    this.title = fresh("title");
    this.dialog = el("dialog", { class: "dialog modal", "aria-labelledby": this.title });
    this.dialog.addEventListener("cancel", instead(this.close));
    document.body.append(this.dialog);
  }

  /** Draw the topmost of *views*; what had the focus before the first gets it back after the last. */
  show(views) {
    const view = views?.at(-1);
    if (!view) return this.#hide();
    if (this.form?.view.hash === view.hash && this.form.view.id === view.id) return undefined;
    if (this.form?.view.id !== view.id && !this.typed.has(view.id)) this.typed.set(view.id, {});
    this.form = new Form(view, this.typed.get(view.id));
    this.#draw();
    if (!this.dialog.open) {
      this.before = document.activeElement;
      this.dialog.showModal();
    }
    this.#first();
    return undefined;
  }

  #hide() {
    this.form = null;
    this.typed.clear();
    if (!this.dialog.open) return;
    this.dialog.close();
    this.dialog.replaceChildren();
    this.env.focusAgain?.(this.before);
  }

  #draw() {
    this.dialog.replaceChildren(
      ...modalParts(this.form, this.env, { close: this.close, submit: this.submit, title: this.title }),
    );
  }

  #first() {
    const wrong = this.dialog.querySelector("[aria-invalid=true]");
    (
      wrong ??
      this.dialog.querySelector(".field input, .field textarea") ??
      this.dialog.querySelector("footer button")
    )?.focus();
  }

  close = () => this.acts.close();

  submit = async () => {
    const form = this.form;
    if (!form || form.busy) return;
    form.trouble = "";
    if (!form.check()) return this.#redraw(form);
    form.busy = true;
    this.#redraw(form);
    const { errors, error, closed } = await this.acts.submit(form.sent());
    form.busy = false;
    form.errors = errors ?? {};
    form.trouble = error ? "We had some trouble connecting. Try again?" : "";
    if (!closed) this.#redraw(form);
  };

  #redraw(form) {
    if (this.form !== form) return;
    this.#draw();
    if (!form.busy) this.#first();
  }
}
