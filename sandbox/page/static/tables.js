// Tables: `table`, whose columns are cut unless they are wrapped, and `data_table`, which pages and sorts by itself.

import { el } from "./dom.js";
import { richText } from "./rich.js";

const LONG = 40;
const PAGE = 5;

/** A table that shows all of its rows; a column is on one line, and cut, unless its settings say that it wraps. */
export function table(block, env) {
  const [head, ...rows] = block.rows;
  const looks = (column) => [column?.align ?? "left", column?.is_wrapped ? "wrapped" : "cut"];
  const line = (cells, tag) =>
    el(
      "tr",
      {},
      cells.map((each, place) => cellOf(each, tag, looks(block.column_settings?.[place]), env)),
    );
  const name = `Table: ${head.map(plainly).join(", ")}`;
  return scrolled(block, name, [
    el("thead", {}, line(head, "th")),
    el(
      "tbody",
      {},
      rows.map((row) => line(row, "td")),
    ),
  ]);
}

/** A table with a caption, of which one page is seen; its headers sort. */
export function dataTable(block, env) {
  const [head, ...rows] = block.rows;
  const size = block.page_size ?? PAGE;
  const named = block.row_header_column_index ?? 0;
  const body = el("tbody", {});
  const lines = rows.map((row) => ({ row, node: rowOf(row, named, env) }));
  const sorting = { by: null, down: false };
  const pages = Math.ceil(rows.length / size);
  let page = 0;

  const headers = head.map((each, place) => header(each, () => sort(place)));
  const pager = paging((step) => show(page + step));

  function sort(place) {
    sorting.down = sorting.by === place && !sorting.down;
    sorting.by = place;
    for (const [at, node] of headers.entries())
      node.setAttribute("aria-sort", at === place ? (sorting.down ? "descending" : "ascending") : "none");
    show(0);
  }

  function show(wanted) {
    page = Math.min(Math.max(wanted, 0), pages - 1);
    const all = ordered(lines, sorting);
    for (const [place, { node }] of all.entries()) node.hidden = Math.floor(place / size) !== page;
    body.replaceChildren(...all.map(({ node }) => node));
    pager.at(page, pages, `${page * size + 1}–${Math.min((page + 1) * size, rows.length)} of ${rows.length}`);
  }

  show(0);
  const inner = [el("caption", {}, block.caption), el("thead", {}, el("tr", {}, headers)), body];
  return el(
    "div",
    { class: "block data-table" },
    scrolled(block, block.caption, inner),
    rows.length > size && pager.node,
  );
}

function scrolled(block, name, inner) {
  const key = `table/${block.block_id ?? ""}`;
  const marks = { class: "block table", tabindex: 0, role: "group", "aria-label": name, "data-key": key };
  return el("div", marks, el("table", {}, inner));
}

/** A cell of a row; one that says much keeps some width, and the table is scrolled sideways where there is none. */
function cellOf(given, tag, looks, env, scope = tag === "th" && "col") {
  const long = plainly(given).length > LONG && "long";
  return el(tag, { class: [...looks, long].filter(Boolean).join(" "), scope }, cell(given, env));
}

function rowOf(row, named, env) {
  const tag = (place) => (place === named ? "th" : "td");
  return el(
    "tr",
    {},
    row.map((each, place) => cellOf(each, tag(place), ["wrapped"], env, place === named && "row")),
  );
}

function header(given, sort) {
  const label = el("button", { type: "button", class: "sort", onclick: sort }, plainly(given));
  return el("th", { scope: "col", "aria-sort": "none" }, label);
}

function paging(turn) {
  const turner = (words, step) =>
    el("button", { type: "button", class: "button", "data-key": words, onclick: () => turn(step) }, words);
  const [back, on] = [turner("Previous", -1), turner("Next", 1)];
  const where = el("span", { class: "soft", "aria-live": "polite" });
  return {
    node: el("div", { class: "pager" }, where, back, on),
    at: (page, pages, words) => {
      where.textContent = words;
      back.disabled = page === 0;
      on.disabled = page === pages - 1;
    },
  };
}

/** The rows in the order that was asked for: by number only where every cell of the column is one. */
function ordered(lines, { by, down }) {
  if (by === null) return lines;
  const numbers = lines.every(({ row }) => row[by].type === "raw_number");
  const value = ({ row }) => (numbers ? row[by].value : plainly(row[by]));
  const compare = (a, b) => (numbers ? value(a) - value(b) : value(a).localeCompare(value(b)));
  return [...lines].sort((a, b) => (down ? compare(b, a) : compare(a, b)));
}

function cell(given, env) {
  return given.type === "rich_text" ? richText(given, env) : plainly(given);
}

/** A cell in words, to sort by and to measure. */
function plainly(given) {
  if (given.type === "rich_text" || given.elements) return given.elements.map(plainly).join(" ");
  return String(given.text ?? given.value ?? given.fallback ?? given.user_id ?? "");
}
