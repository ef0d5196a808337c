// A whole folder is enrolled, with a report of each photo.

import { button, fill, h, note, tick } from "../dom.js";
import { csvOf, enrolFolder, peopleOf } from "../folder.js";
import { texts } from "../texts.js";

const words = texts.enrol;

/** The element, and stop(). */
export function folderPanel() {
  const input = h("input", { type: "file", webkitdirectory: true, multiple: true, hidden: true, id: "folder", tabIndex: -1, "aria-label": words.folderPick, on: { change: () => run([...input.files]) } });
  const keepCrop = h("input", { type: "checkbox", id: "folder-keep-crop", checked: true });
  const pick = button(words.folderPick, () => input.click());
  const halt = button(words.folderStop, () => stop.abort(), { hidden: true });
  const progress = h("progress", { "aria-label": words.progress, hidden: true, max: 1, value: 0 });
  const said = h("div", { "aria-live": "polite", id: "folder-said" });
  const report = h("div", {});
  let stop = new AbortController();

  async function run(files) {
    input.value = "";
    const people = peopleOf(files);
    const all = people.reduce((sum, person) => sum + person.files.length, 0);
    fill(report);
    if (!all) return fill(said, note(words.folderNone, "bad"));
    const rows = [];
    stop = new AbortController();
    busy(true);
    progress.max = all;
    let ending = null;
    try {
      await enrolFolder(people, {
        storeCrop: keepCrop.checked,
        signal: stop.signal,
        tell(row) {
          rows.push(row);
          progress.value = rows.length;
          fill(said, words.folderBusy(rows.length, all));
        },
      });
    } catch (error) {
      ending = note(error.message, "bad");
    }
    busy(false);
    const refused = rows.filter((row) => row.outcome === "rejected").length;
    fill(said, ending, stop.signal.aborted ? h("p", {}, words.folderStopped) : null, note(words.folderDone(rows.length - refused, refused, people.length), refused ? "warn" : "good"));
    return fill(report, table(rows));
  }

  function busy(is) {
    pick.disabled = is;
    halt.hidden = !is;
    progress.hidden = !is;
  }

  return {
    element: h("section", { class: "panel" }, h("h2", {}, words.folderTitle), h("p", { class: "quiet" }, words.folderWords), tick(words.keepCrop, keepCrop), h("div", { class: "row" }, pick, halt), input, progress, said, report),
    stop: () => stop.abort(),
  };
}

function table(rows) {
  const { columns, outcome } = words;
  const save = button(words.reportSave, () => {
    const url = URL.createObjectURL(new Blob([csvOf(Object.keys(columns), rows)], { type: "text/csv" }));
    h("a", { href: url, download: "enrolment.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  });
  return h(
    "div",
    {},
    h("h3", {}, words.report),
    h("div", { class: "scroll-x", tabIndex: 0, role: "group", "aria-label": words.report }, h("table", { id: "report" }, h("thead", {}, h("tr", {}, Object.values(columns).map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows.map((row) => h("tr", { data: { outcome: row.outcome } }, h("td", {}, row.path), h("td", {}, outcome[row.outcome]), h("td", {}, row.detail)))))),
    save,
  );
}
