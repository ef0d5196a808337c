// A folder of people is sent as a zip, and the service enrols it in the background.

import { ask, formOf, jobResult } from "./api.js";
import { inCollection } from "./session.js";
import { BYTES_MOST, FILES_MOST, zipOf } from "./zip.js";

const PHOTO = /\.(jpe?g|png|webp)$/i;
const LAST = "oneglance.import";
// For names and headers of the zip.
const BYTES_BESIDE = 1024;

/** [{path, file}] of the photos that lie in sub-folders; those at the top are nobody's. */
export function photosOf(files) {
  return [...files]
    .map((file) => ({ path: file.webkitRelativePath, file }))
    .filter(({ path, file }) => path.split("/").length > 2 && PHOTO.test(file.name))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Whether they are more than one zip takes. */
export const isTooMuch = (photos) => photos.length > FILES_MOST || photos.reduce((sum, { file }) => sum + file.size + BYTES_BESIDE, 0) > BYTES_MOST;

/**
 * Sends them; {import_id, job, collection}, with which waitFor goes on, here or on a page opened later. `tell`
 * hears how many are read. Raises ApiProblem, and AbortError once `signal` says so.
 */
export async function sendFolder(photos, { storeCrop, tell, signal }) {
  // A folder that is chosen anew is looked at anew: else the service takes it for the same import.
  const note = String(Date.now());
  const archive = new File([await zipOf(photos, { note, tell, signal })], "folder.zip", { type: "application/zip" });
  const { collection } = inCollection();
  const form = formOf({ archive, collection, store_image: storeCrop ? "crop" : "none" });
  const { import_id, job } = await ask("POST", "/v1/imports", { form, signal });
  const sent = { import_id, job: job.id, collection };
  remember(sent);
  return sent;
}

/** Waits for its job; `tell` hears the share done. Raises ApiProblem, or AbortError where `signal` says so. */
export const waitFor = async (sent, tell, signal) => jobResult(await ask("GET", `/v1/jobs/${sent.job}`, { signal }), tell, signal);

/** What came of each photo so far: [{path, outcome, detail}]. Raises ApiProblem. */
export async function reportOf({ import_id: id }) {
  const lines = await (await ask("GET", `/v1/imports/${id}/report`, { raw: true })).text();
  return lines.split("\n").filter(Boolean).map((line) => {
    const { path, outcome, detail, warnings } = JSON.parse(line);
    const warned = warnings.map((warning) => warning.detail).join(" ");
    return { path, outcome: outcome === "enrolled" && warned ? "warned" : outcome, detail: detail || warned };
  });
}

/** The folder that was sent last from this browser to the present collection, or null. */
export function lastSent() {
  try {
    const sent = JSON.parse(localStorage.getItem(LAST));
    return sent?.collection === inCollection().collection ? sent : null;
  } catch {
    return null;
  }
}

/** Keeps ids alone: no name and no photo. */
function remember(sent) {
  try {
    localStorage.setItem(LAST, JSON.stringify(sent));
  } catch {
    // Storage is forbidden here: its report is to be seen until the page is left, then.
  }
}

export function forgetSent() {
  try {
    localStorage.removeItem(LAST);
  } catch {
    // Nothing was kept.
  }
}

/** Rows as CSV (RFC 4180). A cell that a spreadsheet would compute is set off by an apostrophe. */
export function csvOf(columns, rows) {
  const cell = (text) => `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  return [columns, ...rows.map((row) => columns.map((column) => row[column]))].map((row) => row.map(cell).join(",")).join("\r\n");
}
