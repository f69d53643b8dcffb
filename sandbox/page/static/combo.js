// A menu that one types into: one choice or several, from a list or from the app.

import { el, fresh } from "./dom.js";

const PAUSE = 150;

/** Draw a select element. `how`: label, chosen, suggest(query), changed(options), key, id, described, invalid. */
export function combo(given, how) {
  return new Combo(given, how).node;
}

class Combo {
  constructor(given, how) {
    this.how = how;
    this.several = given.type.startsWith("multi_");
    this.external = given.type.endsWith("external_select");
    this.all = [...(given.options ?? []), ...(given.option_groups ?? []).flatMap((group) => group.options)];
    this.chosen = [...how.chosen];
    this.shown = [];
    this.at = -1;
    this.turn = 0;
    this.list = this.makeList();
    this.input = this.makeInput(given);
    this.chips = el("span", { class: "chips" });
    this.status = el("span", { class: "visually-hidden", role: "status" });
    const look = this.several ? "combo several" : "combo";
    this.node = el("span", { class: look }, this.chips, this.input, this.list, this.status);
    this.listen();
    this.drawChosen();
  }

  makeList() {
    return el("ul", {
      role: "listbox",
      id: fresh("list"),
      class: "options",
      hidden: true,
      "aria-label": this.how.label,
      "aria-multiselectable": this.several ? "true" : null,
    });
  }

  makeInput(given) {
    const { id, label, described, invalid, key } = this.how;
    return el("input", {
      id,
      role: "combobox",
      type: "text",
      class: "box",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: given.placeholder?.text ?? "",
      "aria-label": id ? null : label,
      "aria-expanded": "false",
      "aria-controls": this.list.id,
      "aria-autocomplete": "list",
      "aria-describedby": described,
      "aria-invalid": invalid ? "true" : null,
      "data-key": key,
    });
  }

  listen() {
    this.input.addEventListener("keydown", (event) => this.pressed(event));
    this.input.addEventListener("input", () => this.typed());
    this.input.addEventListener("click", () => this.list.hidden && this.look(""));
    this.input.addEventListener("focus", () => !this.several && this.input.select());
    this.input.addEventListener("blur", () => this.close());
  }

  /** A key that means something here does that and nothing else. */
  pressed(event) {
    const act = KEYS[event.key];
    if (!act || act(this) === false) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** What is listed belongs to what was typed before: Enter must not take it any more. */
  typed() {
    clearTimeout(this.pause);
    this.at = -1;
    this.mark();
    if (this.external) this.pause = setTimeout(() => this.look(this.input.value), PAUSE);
    else this.look(this.input.value);
  }

  /** Find what fits; an answer that comes after a later question, or after the reader has gone, is dropped. */
  async look(query) {
    this.turn += 1;
    const turn = this.turn;
    const found = this.external ? await this.how.suggest(query) : this.all.filter((option) => matches(option, query));
    if (turn !== this.turn || document.activeElement !== this.input) return;
    this.shown = found ?? [];
    this.at = this.shown.length && query ? 0 : -1;
    this.open();
  }

  open() {
    const rows = this.shown.map((option, place) => this.row(option, place));
    this.list.replaceChildren(...(rows.length ? rows : [nothing()]));
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.status.textContent = `${rows.length} results`;
    this.mark();
  }

  close() {
    this.list.hidden = true;
    this.at = -1;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
    if (!this.several) this.input.value = this.chosen[0]?.text.text ?? "";
  }

  row(option, place) {
    const take = (event) => {
      event.preventDefault();
      this.take(option);
    };
    return el(
      "li",
      {
        role: "option",
        id: `${this.list.id}-${place}`,
        "aria-selected": String(holds(this.chosen, option)),
        onmousedown: take,
      },
      el("span", {}, option.text.text),
      option.description && el("small", {}, option.description.text),
    );
  }

  mark() {
    for (const [place, row] of [...this.list.children].entries()) row.classList.toggle("at", place === this.at);
    if (this.at < 0) {
      this.input.removeAttribute("aria-activedescendant");
      return;
    }
    this.input.setAttribute("aria-activedescendant", `${this.list.id}-${this.at}`);
    this.list.children[this.at]?.scrollIntoView({ block: "nearest" });
  }

  step(by) {
    const count = this.shown.length;
    if (this.list.hidden) {
      this.look(this.input.value);
    } else if (count) {
      this.at = (this.at + by + count) % count;
      this.mark();
    }
  }

  take(option) {
    if (!this.several) this.choose([option]);
    else if (holds(this.chosen, option)) this.choose(without(this.chosen, option));
    else this.choose([...this.chosen, option]);
    if (!this.several) this.close();
    else {
      this.input.value = "";
      this.look("");
    }
  }

  choose(options) {
    this.chosen = options;
    this.drawChosen();
    this.how.changed(options);
  }

  drawChosen() {
    if (this.several) this.chips.replaceChildren(...this.chosen.map((option) => this.chip(option)));
    else this.input.value = this.chosen[0]?.text.text ?? "";
  }

  chip(option) {
    const drop = () => {
      this.choose(without(this.chosen, option));
      this.input.focus();
    };
    const button = el("button", { type: "button", "aria-label": `Remove ${option.text.text}`, onclick: drop }, "×");
    return el("span", { class: "chip" }, option.text.text, button);
  }
}

/** What a key does; false leaves it to the page. */
const KEYS = {
  ArrowDown: (menu) => menu.step(1),
  ArrowUp: (menu) => menu.step(-1),
  Enter: (menu) => {
    if (menu.list.hidden) return false;
    if (menu.at >= 0) menu.take(menu.shown[menu.at]);
    return true;
  },
  Escape: (menu) => {
    if (menu.list.hidden) return false;
    menu.close();
    return true;
  },
  Backspace: (menu) => {
    if (!menu.several || menu.input.value || !menu.chosen.length) return false;
    menu.choose(menu.chosen.slice(0, -1));
    return true;
  },
};

const nothing = () =>
  el("li", { class: "none", role: "option", "aria-disabled": "true", "aria-selected": "false" }, "No results");
const matches = (option, query) => option.text.text.toLowerCase().includes(query.toLowerCase());
const holds = (chosen, option) => chosen.some((each) => each.value === option.value);
const without = (chosen, option) => chosen.filter((each) => each.value !== option.value);
