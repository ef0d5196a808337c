// Decisions: what a threshold does with one's own people, and what people say of recent answers.

import { ask, formOf, jobResult } from "../api.js";
import { button, field, fill, h, note } from "../dom.js";
import { moment } from "../numbers.js";
import { calibrationCurves } from "../parts/calibration_curves.js";
import { titleOf } from "../parts/face_cards.js";
import { picture } from "../parts/thumbs.js";
import { toast } from "../parts/toast.js";
import { verdictButtons } from "../parts/verdict_buttons.js";
import { recentHere, session } from "../session.js";
import { texts } from "../texts.js";

const words = texts.decisions;

export function view(place) {
  const path = `/v1/collections/${encodeURIComponent(session.collection.id)}/calibrations`;
  const shown = h("div", { id: "calibration" }, h("p", {}, texts.common.loading));
  const strangers = h("input", { type: "file", id: "strangers", multiple: true, accept: "image/jpeg,image/png,image/webp" });
  const progress = h("progress", { "aria-label": words.busy, max: 1, value: 0, hidden: true });
  const said = h("div", { "aria-live": "polite" });
  const go = button(words.calibrate, calibrate, { class: "main", id: "calibrate" });

  async function load() {
    try {
      const [calibration] = (await ask("GET", path)).calibrations;
      go.textContent = calibration ? words.recalibrate : words.calibrate;
      fill(shown, calibration ? parts(calibration) : note(words.none));
    } catch (error) {
      fill(shown, note(error.message, "bad"));
    }
  }

  async function calibrate() {
    go.disabled = true;
    progress.hidden = false;
    fill(said, words.busy);
    try {
      const { job } = await ask("POST", path, { form: formOf({ strangers: [...strangers.files], feedback: "use" }) });
      await jobResult(job, (done) => (progress.value = done));
      fill(said);
      toast(words.done);
      await load();
    } catch (error) {
      fill(said, note(error.message, "bad"));
    }
    go.disabled = false;
    progress.hidden = true;
  }

  fill(
    place,
    h("h1", {}, texts.views.decisions),
    h("p", { class: "lead" }, words.lead),
    shown,
    h("div", { class: "even" }, h("section", { class: "panel" }, h("h2", {}, words.calibrate), h("p", { class: "quiet" }, words.calibrateWords), field(words.strangers, strangers, words.strangersHint), go, progress, said), recent()),
  );
  load();
}

function parts(calibration) {
  const { gallery, in_use: isUsed, not_in_use_because: why, curve, made_at: made } = calibration;
  return [
    h("p", { class: "quiet" }, words.madeAt(moment(made), gallery.subject_count, gallery.template_count)),
    isUsed ? null : note(words.notUsed[why] || why, "warn"),
    curve ? calibrationCurves(calibration) : note(words.old, "warn"),
  ];
}

function recent() {
  const faces = recentHere();
  const rows = faces.map((face) =>
    h(
      "li",
      { class: "face" },
      face.crop ? picture(face.crop, "") : h("div", { class: "thumb" }),
      h(
        "div",
        {},
        titleOf(face.answer),
        h("p", { class: "quiet small" }, face.answer.similarity === null ? "" : words.answered(face.answer.similarity)),
        verdictButtons(face),
      ),
    ));
  return h("section", { class: "panel", id: "recent" }, h("h2", {}, words.recent), h("p", { class: "quiet small" }, faces.length ? words.recentWords : words.recentNone), h("ul", { class: "plain faces" }, rows));
}
