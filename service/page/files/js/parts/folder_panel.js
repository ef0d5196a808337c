// A whole folder is enrolled by the service, with a report of each photo.

import { button, fill, h, note, tick } from "../dom.js";
import { forgetSent, isTooMuch, lastSent, photosOf, reportOf, sendFolder, waitFor } from "../folder.js";
import { texts } from "../texts.js";
import { folderReport } from "./folder_report.js";

const words = texts.enrol;

/** The element, and stop(). An import of before that this browser has sent is shown until it is dismissed. */
export function folderPanel() {
  const input = h("input", { type: "file", webkitdirectory: true, multiple: true, hidden: true, id: "folder", tabIndex: -1, "aria-label": words.folderPick, on: { change: () => send([...input.files]) } });
  const keepCrop = h("input", { type: "checkbox", id: "folder-keep-crop", checked: true });
  const pick = button(words.folderPick, () => input.click());
  const halt = button(words.folderStop, () => stop.abort(), { hidden: true });
  const progress = h("progress", { "aria-label": words.progress, hidden: true, max: 1 });
  const said = h("div", { "aria-live": "polite", id: "folder-said" });
  const report = h("div", {});
  let stop = new AbortController();

  async function send(files) {
    input.value = "";
    const photos = photosOf(files);
    fill(report);
    if (!photos.length) return fill(said, note(words.folderNone, "bad"));
    if (isTooMuch(photos)) return fill(said, note(words.folderTooMuch, "bad"));
    stop = new AbortController();
    busy(true, true);
    try {
      const sent = await sendFolder(photos, {
        storeCrop: keepCrop.checked,
        signal: stop.signal,
        tell(read) {
          progress.value = read / photos.length;
          fill(said, read < photos.length ? words.folderReading(read, photos.length) : words.folderSending(photos.length));
        },
      });
      return follow(sent);
    } catch (error) {
      busy(false);
      return fill(said, note(error.name === "AbortError" ? words.folderStopped : error.message, "bad"));
    }
  }

  async function follow(sent) {
    busy(true);
    fill(said, words.folderBusy);
    let ending = null;
    try {
      await waitFor(sent, (done) => (progress.value = done), stop.signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      // A service that was started anew has forgotten its jobs, and has the report.
      ending = error.status === 404 ? note(words.folderCut, "warn") : note(error.message, "bad");
    }
    busy(false);
    try {
      const rows = await reportOf(sent);
      fill(said, ending, summary(rows));
      fill(report, folderReport(rows, button(words.folderDismiss, () => (forgetSent(), fill(said), fill(report)))));
    } catch (error) {
      if (error.status === 404) forgetSent();
      fill(said, ending || note(error.message, "bad"));
    }
  }

  /** canStop: as long as nothing has reached the service. */
  function busy(is, canStop = false) {
    pick.disabled = is;
    halt.hidden = !canStop;
    progress.hidden = !is;
    progress.removeAttribute("value");
  }

  const before = lastSent();
  if (before) follow(before);
  return {
    element: h("section", { class: "panel", hidden: !("webkitdirectory" in input) }, h("h2", {}, words.folderTitle), h("p", { class: "quiet" }, words.folderWords), tick(words.keepCrop, keepCrop), h("div", { class: "row" }, pick, halt), input, progress, said, report),
    stop: () => stop.abort(),
  };
}

function summary(rows) {
  const many = (...outcomes) => rows.filter((row) => outcomes.includes(row.outcome)).length;
  const refused = many("rejected");
  return note(words.folderDone(many("enrolled", "warned"), many("already_enrolled"), refused), refused ? "warn" : "good");
}
