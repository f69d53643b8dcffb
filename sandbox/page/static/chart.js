// Requests by second, drawn by hand: one bar a second, one part for each key that served, failures at the bottom.

import { el, svg } from "./dom.js";

const WIDTH = 600;
const HEIGHT = 120;
const FOOT = 2;

/** Draw *seconds*, oldest first: `{served: {mark: count}, failed}`. */
export function chart(seconds, colours, most) {
  const bars = seconds.map((second, place) => bar(second, place, seconds.length, colours, most));
  return svg(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
      class: "chart",
      role: "img",
      "aria-label": said(seconds),
    },
    grid(),
    bars,
  );
}

function grid() {
  return [0.25, 0.5, 0.75].map((part) =>
    svg("line", { x1: 0, x2: WIDTH, y1: HEIGHT * part, y2: HEIGHT * part, class: "grid" }),
  );
}

function bar(second, place, count, colours, most) {
  const width = WIDTH / count;
  let foot = HEIGHT - FOOT;
  const part = (amount, look) => {
    const height = ((HEIGHT - FOOT) * amount) / most;
    foot -= height;
    return amount > 0 && svg("rect", { x: place * width + 0.75, y: foot, width: width - 1.5, height, class: look });
  };
  return [
    part(second.failed, "failed"),
    Object.entries(second.served)
      .sort()
      .map(([mark, amount]) => part(amount, `served ${colours(mark)}`)),
  ];
}

/** The same in a sentence. */
export function said(seconds) {
  const good = seconds.reduce((sum, second) => sum + Object.values(second.served).reduce((a, b) => a + b, 0), 0);
  const failed = seconds.reduce((sum, second) => sum + second.failed, 0);
  return `Caller requests in the last ${seconds.length} seconds: ${good} good, ${failed} failed.`;
}

/** A swatch beside its word, for what the colours mean. */
export function legend(look, ...children) {
  return el("span", { class: "legend" }, el("span", { class: `swatch ${look}`, "aria-hidden": "true" }), ...children);
}
