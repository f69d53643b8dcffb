// A chart (`data_visualization`): line, area, bar or pie, with a legend, and the same in words for who can't see it.
// The lines are stretched to the width there is; all that is read is HTML beside them, so that it keeps its size.

import { el, svg } from "./dom.js";

const WIDTH = 600;
const HEIGHT = 160;
const STEPS = 3;
/** How many labels have room on a phone, by the characters of the longest. */
const LABELS = [
  [6, 6],
  [8, 3],
  [20, 2],
];

/** Draw a chart with its title. */
export function plot(block) {
  const { chart } = block;
  const drawn = chart.type === "pie" ? pie(chart) : axes(chart);
  return el("figure", { class: `block plot ${chart.type}` }, el("figcaption", {}, block.title), drawn);
}

/** The whole chart as a sentence. */
function said(chart) {
  const parts = chart.segments
    ? chart.segments.map((each) => `${each.label} ${each.value}`)
    : chart.series.map(({ name, data }) => `${name}: ${data.map((each) => `${each.label} ${each.value}`).join(", ")}`);
  return `${chart.type} chart. ${parts.join("; ")}.`;
}

function canvas(chart, box, shapes) {
  const marks = { viewBox: box, preserveAspectRatio: "none", role: "img", "aria-label": said(chart) };
  return svg("svg", marks, shapes);
}

function axes(chart) {
  const { categories, x_label, y_label } = chart.axis_config;
  const values = chart.series.map((series) => inOrder(series, categories));
  const scale = scaled(values.flat());
  const draw = { line: lines, area: areas, bar: bars }[chart.type];
  return el(
    "div",
    { class: "axes" },
    y_label && el("p", { class: "y-label" }, y_label),
    el(
      "div",
      { class: "y-ticks", "aria-hidden": "true" },
      scale.ticks.map((each) => el("span", {}, short(each))),
    ),
    canvas(chart, `0 0 ${WIDTH} ${HEIGHT}`, [grid(scale), draw(values, scale, categories.length)]),
    el(
      "div",
      { class: "x-ticks", "aria-hidden": "true" },
      categories.map((each, place) => el("span", {}, ticked(categories, place) ? each : "")),
    ),
    x_label && el("p", { class: "x-label" }, x_label),
    legend(
      chart.series.map((each) => each.name),
      chart.type === "line",
    ),
  );
}

/** The values of a series, in the order of the axis. */
function inOrder(series, categories) {
  const values = new Map(series.data.map((point) => [point.label, point.value]));
  return categories.map((each) => values.get(each) ?? 0);
}

/** From where to where the axis goes, in even steps of a round number, and always past nothing; the highest first. */
function scaled(values) {
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const rough = (high - low || 1) / STEPS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const [least, most] = [Math.floor(low / step), Math.ceil(high / step) || 1];
  const ticks = Array.from({ length: most - least + 1 }, (_, place) => (most - place) * step);
  return { ticks, y: (value) => HEIGHT - ((value / step - least) / (most - least)) * HEIGHT };
}

const short = (value) => value.toLocaleString(undefined, { notation: "compact", maximumFractionDigits: 1 });

/** Whether a category is written: not all of them have room. */
function ticked(categories, place) {
  const longest = Math.max(...categories.map((each) => each.length));
  const [, most] = LABELS.find(([length]) => longest <= length);
  const every = Math.ceil(categories.length / most);
  return place % every === 0;
}

function grid(scale) {
  return scale.ticks.map(scale.y).map((y) => svg("line", { x1: 0, x2: WIDTH, y1: y, y2: y, class: "grid" }));
}

const across = (place, count) => ((place + 0.5) * WIDTH) / count;

function lines(values, scale, count) {
  return values.map((series, number) => {
    const points = series.map((value, place) => `${across(place, count)},${scale.y(value)}`);
    const dots = series.map((value, place) => svg("path", { d: dot(across(place, count), scale.y(value)) }));
    return svg("g", { class: `series-${number}` }, svg("polyline", { points: points.join(" ") }), dots);
  });
}

/** A dot that stays round where the lines are stretched: a line of no length with a round end. */
const dot = (x, y) => `M${x} ${y}h0`;

function areas(values, scale, count) {
  return values.map((series, number) => {
    const top = series.map((value, place) => `${across(place, count)},${scale.y(value)}`);
    const foot = scale.y(0);
    const points = [`${across(0, count)},${foot}`, ...top, `${across(count - 1, count)},${foot}`];
    return svg("polygon", { points: points.join(" "), class: `series-${number}` });
  });
}

function bars(values, scale, count) {
  const group = WIDTH / count;
  const width = (group * 0.8) / values.length;
  return values.map((series, number) =>
    series.map((value, place) => {
      const x = place * group + group * 0.1 + number * width;
      const [top, foot] = [scale.y(Math.max(value, 0)), scale.y(Math.min(value, 0))];
      return svg("rect", { x, y: top, width: width * 0.92, height: foot - top, class: `series-${number}` });
    }),
  );
}

function pie(chart) {
  const sum = chart.segments.reduce((total, each) => total + each.value, 0);
  let before = 0;
  const slices = chart.segments.map((each, number) => {
    const path = slice(before / sum, (before + each.value) / sum);
    before += each.value;
    return svg("path", { d: path, class: `series-${number}` });
  });
  const share = (each) => `${each.label} ${Math.round((each.value / sum) * 100)} %`;
  return el("div", { class: "round" }, canvas(chart, "-1 -1 2 2", slices), legend(chart.segments.map(share), false));
}

function slice(from, to) {
  const point = (part) => `${Math.sin(part * 2 * Math.PI)} ${-Math.cos(part * 2 * Math.PI)}`;
  if (to - from >= 1) return "M0-1A1 1 0 1 1-.001-1Z";
  return `M0 0L${point(from)}A1 1 0 ${to - from > 0.5 ? 1 : 0} 1 ${point(to)}Z`;
}

/** What each colour means, with the dashes of its line. */
function legend(names, lined) {
  const mark = (number) =>
    lined
      ? svg("line", { x1: 0, x2: 24, y1: 6, y2: 6, class: `series-${number}` })
      : svg("rect", { x: 6, y: 0, width: 12, height: 12, class: `series-${number}` });
  return el(
    "ul",
    { class: "key", role: "list" },
    names.map((name, number) => {
      const swatch = svg("svg", { viewBox: "0 0 24 12", "aria-hidden": "true" }, mark(number));
      return el("li", {}, swatch, name);
    }),
  );
}
