// What Slack shows only in part until it is asked for the rest. Where it cuts is not documented: long is our guess.

import { el } from "./dom.js";

const MOST = 7;
/** Lines of a text that is drawn whole; a longer one shows as many as slack.css says. */

/** A text that is folded if it is drawn long: it depends on the width of the window, so it is measured. */
export function foldable(words) {
  const text = el("div", { class: "foldable" }, words);
  const more = el("button", { type: "button", class: "more", hidden: true }, "See more");
  let opened = false;
  const measure = () => {
    const line = Number.parseFloat(getComputedStyle(text).lineHeight);
    const long = text.scrollHeight > line * MOST + 1;
    text.classList.toggle("folded", long && !opened);
    more.hidden = !long;
  };
  const open = (wide) => {
    opened = wide;
    more.textContent = opened ? "See less" : "See more";
    measure();
  };
  more.addEventListener("click", () => open(!opened));
  text.addEventListener("focusin", () => open(true));
  new ResizeObserver(measure).observe(text);
  return [text, more];
}

/** A list of which only the first few are seen until somebody asks. */
export function few(nodes, shown, longest) {
  if (nodes.length <= longest) return [nodes, null];
  const rest = nodes.slice(shown);
  const more = el("button", { type: "button", class: "more" }, `See ${rest.length} more`);
  const hide = (hidden) => {
    for (const node of rest) node.hidden = hidden;
    more.textContent = hidden ? `See ${rest.length} more` : "See less";
  };
  more.addEventListener("click", () => hide(!rest[0].hidden));
  hide(true);
  return [nodes, more];
}
