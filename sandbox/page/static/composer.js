// The message box: what one types is said, or, beginning with a slash, done.

import { el, instead } from "./dom.js";

const COMMAND = "/rotate-key";
const WORDS = [
  ["/rotate-key", "choose a provider key to rotate"],
  ["/rotate-key NAME-OR-ID", "show what uses it"],
  ["/rotate-key status", "what is under way"],
  ["/rotate-key history", "the last rotations"],
  ["/rotate-key receipt", "the receipt of a rotation, by its id"],
  ["/rotate-key help", "all this"],
];

export class Composer {
  constructor(holder, id, send, { commands = false }) {
    this.holder = holder;
    this.send = send;
    this.commands = commands;
    this.hints = el("ul", { class: "hints", id: `${id}-hints`, hidden: true });
    this.box = el("textarea", {
      id,
      rows: 1,
      autocomplete: "off",
      "aria-describedby": commands ? this.hints.id : null,
      onkeydown: (event) => this.key(event),
      oninput: () => this.grow(),
    });
    this.label = el("label", { for: id, class: "visually-hidden" }, "Message");
    this.button = el("button", { type: "submit", class: "send", "aria-label": "Send" }, "➤");
    this.form = el(
      "form",
      { class: "composer", onsubmit: instead(() => this.go()) },
      this.label,
      this.box,
      this.button,
    );
    this.closed = el("p", { class: "closed", hidden: true });
    holder.append(this.hints, this.form, this.closed);
  }

  /** Offer to write, or say why one cannot. */
  show(prompt, closed = "") {
    this.form.hidden = Boolean(closed);
    this.closed.hidden = !closed;
    this.closed.textContent = closed;
    this.box.placeholder = prompt ?? "";
    this.label.textContent = prompt ?? "Message";
    this.grow();
  }

  put(text) {
    this.box.value = text;
    this.box.focus();
    this.grow();
  }

  key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.go();
    } else if (event.key === "Tab" && !event.shiftKey && this.completes()) {
      event.preventDefault();
      this.put(`${COMMAND} `);
    }
  }

  completes() {
    const typed = this.box.value;
    return this.commands && typed.startsWith("/") && COMMAND.startsWith(typed) && typed !== COMMAND;
  }

  go() {
    const text = this.box.value.trim();
    if (!text) return;
    this.box.value = "";
    this.grow();
    this.send(text);
  }

  grow() {
    this.box.style.height = "auto";
    this.box.style.height = `${Math.min(this.box.scrollHeight + 2, 200)}px`;
    this.hint();
  }

  /** While a command is typed, show what there is, as Slack does. */
  hint() {
    const typed = this.box.value;
    const fitting =
      this.commands && typed.startsWith("/")
        ? WORDS.filter(([command]) => command.startsWith(typed.trim()) || typed === "/")
        : [];
    this.hints.hidden = !fitting.length;
    this.hints.replaceChildren(...fitting.map(([command, what]) => el("li", {}, el("code", {}, command), " ", what)));
  }
}
