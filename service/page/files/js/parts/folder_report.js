// What came of each photo of a folder: a table of the first ones, and all of them as CSV.

import { button, h } from "../dom.js";
import { csvOf } from "../folder.js";
import { texts } from "../texts.js";

const words = texts.enrol;
const ROWS_SHOWN = 200;
const GOOD = ["enrolled", "already_enrolled"];

/**
 * rows: [{path, outcome, detail}]. Those that somebody should look at come first where not all are shown.
 * `dismiss` is a button that puts it away.
 */
export function folderReport(rows, dismiss) {
  const { columns, outcome } = words;
  const sorted = rows.length > ROWS_SHOWN ? [...rows].sort((a, b) => GOOD.includes(a.outcome) - GOOD.includes(b.outcome)) : rows;
  const shown = sorted.slice(0, ROWS_SHOWN);
  const save = button(words.reportSave, () => {
    const url = URL.createObjectURL(new Blob([csvOf(Object.keys(columns), rows.map((row) => ({ ...row, detail: row.detail || "" })))], { type: "text/csv" }));
    h("a", { href: url, download: "enrolment.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  });
  return h(
    "div",
    {},
    h("h3", {}, words.report),
    rows.length > shown.length ? h("p", { class: "quiet small" }, words.reportPart(shown.length, rows.length)) : null,
    h("div", { class: "scroll-x", tabIndex: 0, role: "group", "aria-label": words.report }, h("table", { id: "report" }, h("thead", {}, h("tr", {}, Object.values(columns).map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, shown.map((row) => h("tr", { data: { outcome: row.outcome } }, h("td", {}, row.path), h("td", {}, outcome[row.outcome]), h("td", {}, row.detail || "")))))),
    h("div", { class: "row" }, save, dismiss),
  );
}
