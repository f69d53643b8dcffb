// A menu that one types into: one choice or several, from a list or from the app.

import { el, fresh } from "./dom.js";

const PAUSE = 150;

/** Draw a select element. `how`: label, chosen, suggest(query), changed(options), key, id, described. */
export function combo(given, how) {
  const several = given.type.startsWith("multi_");
  const external = given.type.endsWith("external_select");
  const all = [...(given.options ?? []), ...(given.option_groups ?? []).flatMap((group) => group.options)];
  const state = { chosen: [...how.chosen], shown: [], at: -1, asked: 0 };

  const list = el("ul", { role: "listbox", id: fresh("list"), class: "options", hidden: true, "aria-label": how.label, "aria-multiselectable": several ? "true" : null });
  const input = el("input", {
    id: how.id, role: "combobox", type: "text", class: "box", autocomplete: "off", spellcheck: "false",
    "aria-label": how.id ? null : how.label, "aria-expanded": "false", "aria-controls": list.id, "aria-autocomplete": "list",
    "aria-describedby": how.described, "aria-invalid": how.invalid ? "true" : null, "data-key": how.key,
    placeholder: given.placeholder?.text ?? "",
  });
  const chips = el("span", { class: "chips" });
  const status = el("span", { class: "visually-hidden", role: "status" });
  const box = el("span", { class: several ? "combo several" : "combo" }, chips, input, list, status);

  const close = () => {
    list.hidden = true;
    state.at = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    if (!several) input.value = state.chosen[0]?.text.text ?? "";
  };

  const look = async (query) => {
    const turn = ++state.asked;
    const found = external ? await how.suggest(query) : all.filter((option) => matches(option, query));
    if (turn !== state.asked || document.activeElement !== input) return;
    state.shown = found ?? [];
    state.at = state.shown.length && query ? 0 : -1;
    show();
  };

  const show = () => {
    const rows = state.shown.map((option, place) => row(option, place));
    list.replaceChildren(...(rows.length ? rows : [el("li", { class: "none", role: "option", "aria-disabled": "true", "aria-selected": "false" }, "No results")]));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    status.textContent = `${rows.length} results`;
    mark();
  };

  const row = (option, place) =>
    el(
      "li",
      { role: "option", id: `${list.id}-${place}`, "aria-selected": String(holds(state.chosen, option)), onmousedown: (event) => (event.preventDefault(), take(option)) },
      el("span", {}, option.text.text),
      option.description && el("small", {}, option.description.text),
    );

  const mark = () => {
    [...list.children].forEach((each, place) => each.classList.toggle("at", place === state.at));
    if (state.at < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", `${list.id}-${state.at}`);
    return list.children[state.at]?.scrollIntoView({ block: "nearest" });
  };

  const take = (option) => {
    if (!several) state.chosen = [option];
    else state.chosen = holds(state.chosen, option) ? without(state.chosen, option) : [...state.chosen, option];
    if (several) input.value = "";
    tell();
    if (several) look("");
    else close();
  };

  const tell = () => {
    if (several) chips.replaceChildren(...state.chosen.map(chip));
    how.changed(state.chosen);
  };

  const chip = (option) => {
    const drop = () => ((state.chosen = without(state.chosen, option)), tell(), input.focus());
    return el("span", { class: "chip" }, option.text.text, el("button", { type: "button", "aria-label": `Remove ${option.text.text}`, onclick: drop }, "×"));
  };

  const step = (by) => {
    if (list.hidden) return look(input.value);
    const count = state.shown.length;
    state.at = count ? (state.at + by + count) % count : -1;
    return mark();
  };

  const KEYS = {
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    Enter: () => (list.hidden ? false : (state.at >= 0 && take(state.shown[state.at]), true)),
    Escape: () => (list.hidden ? false : (close(), true)),
    Backspace: () => (several && !input.value && state.chosen.length ? ((state.chosen = state.chosen.slice(0, -1)), tell(), true) : false),
  };
  input.addEventListener("keydown", (event) => {
    const done = KEYS[event.key]?.();
    if (done === false || !KEYS[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
  });
  let pause;
  input.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(() => look(input.value), external ? PAUSE : 0);
  });
  input.addEventListener("click", () => list.hidden && look(""));
  input.addEventListener("focus", () => !several && input.select());
  input.addEventListener("blur", close);

  if (several) chips.replaceChildren(...state.chosen.map(chip));
  else input.value = state.chosen[0]?.text.text ?? "";
  return box;
}

const matches = (option, query) => option.text.text.toLowerCase().includes(query.toLowerCase());
const holds = (chosen, option) => chosen.some((each) => each.value === option.value);
const without = (chosen, option) => chosen.filter((each) => each.value !== option.value);
