// A table whose rows are blocks on a phone: there each cell has the title of its column beside it.

import { h } from "../dom.js";

/**
 * columns: titles, {title, kind: "number"}, or null for a column of buttons. rows: [{cells, data}]. more: props
 * of the table.
 */
export function table(label, columns, rows, more = {}) {
  const titled = columns.map((column) => (typeof column === "string" ? { title: column } : column));
  const head = titled.map((column) => (column ? h("th", { scope: "col", class: column.kind }, column.title) : h("td", {})));
  const body = rows.map(({ cells, data }) =>
    h("tr", { data }, cells.map((cell, place) => h("td", { class: titled[place]?.kind, data: { title: titled[place]?.title ?? "" } }, cell))));
  return h("div", { class: "scroll-x", tabIndex: 0, role: "group", "aria-label": label }, h("table", { class: "blocks", ...more }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
}
