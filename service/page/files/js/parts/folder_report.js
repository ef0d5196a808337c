// What came of each photo of a folder: a table of the first ones, and all of them as CSV.

import { button, h } from "../dom.js";
import { csvOf } from "../folder.js";
import { texts } from "../texts.js";
import { table } from "./table.js";

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
    table(words.report, Object.values(columns), shown.map((row) => ({ cells: [row.path, outcome[row.outcome], row.detail || ""], data: { outcome: row.outcome } })), { id: "report" }),
    h("div", { class: "row" }, save, dismiss),
  );
}
