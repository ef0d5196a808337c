// A folder of people: which photos are whose, and their enrolment one after the other.

import { enrolPhoto, subjectByExternalId } from "./enrolling.js";

const PHOTO = /\.(jpe?g|png|webp)$/i;

/** [{name, files}] by the folder that each photo lies in; photos at the top are nobody's. */
export function peopleOf(files) {
  const people = new Map();
  for (const file of [...files].sort((a, b) => (a.webkitRelativePath < b.webkitRelativePath ? -1 : 1))) {
    const parts = file.webkitRelativePath.split("/");
    if (parts.length < 3 || !PHOTO.test(file.name)) continue;
    const name = parts[parts.length - 2];
    if (!people.has(name)) people.set(name, []);
    people.get(name).push(file);
  }
  return [...people].map(([name, list]) => ({ name, files: list }));
}

/**
 * Enrols them; `tell(row)` hears of each photo: {path, outcome, detail}. Ends early once `signal` says
 * so. Raises ApiProblem for what is no photo's fault.
 */
export async function enrolFolder(people, { storeCrop, tell, signal }) {
  for (const { name, files } of people) {
    let subject = (await subjectByExternalId(name)) || { name, external_id: name };
    for (const file of files) {
      if (signal.aborted) return;
      const answer = await enrolPhoto(file, subject, { storeCrop });
      if (answer.subject) subject = answer.subject;
      const path = file.webkitRelativePath;
      if (answer.refusal) tell({ path, outcome: "rejected", detail: answer.refusal });
      else if (answer.warnings.length) tell({ path, outcome: "warned", detail: answer.warnings.map((warning) => warning.detail).join(" ") });
      else tell({ path, outcome: "enrolled", detail: "" });
    }
  }
}

/** Rows as CSV (RFC 4180). A cell that a spreadsheet would compute is set off by an apostrophe. */
export function csvOf(columns, rows) {
  const cell = (text) => `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  return [columns, ...rows.map((row) => columns.map((column) => row[column]))].map((row) => row.map(cell).join(",")).join("\r\n");
}
