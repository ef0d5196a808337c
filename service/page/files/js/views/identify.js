// Identify: a photo comes, every face in it is answered.

import { ask, formOf } from "../api.js";
import { curlOf } from "../curl.js";
import { button, fill, h, note } from "../dom.js";
import { milliseconds } from "../numbers.js";
import { dropZone } from "../parts/drop_zone.js";
import { faceCards, kindOf, whoOf } from "../parts/face_cards.js";
import { photoWithBoxes } from "../parts/photo_boxes.js";
import { thresholdPanel } from "../parts/threshold_panel.js";
import { bitmapOf, cropOf } from "../pictures.js";
import { inCollection, remember, session } from "../session.js";
import { texts } from "../texts.js";

const words = texts.identify;

export function view(place) {
  const result = h("div", { id: "result", class: "below" });
  const heard = h("p", { class: "hidden-words", "aria-live": "polite", id: "heard" });
  const zone = dropZone(([photo]) => open(photo));
  fill(place, h("h1", {}, texts.views.identify), h("p", { class: "lead" }, words.lead), zone, heard, result);

  function open(photo) {
    place.dataset.photo = photo.name;
    const search = new Search(photo, heard);
    fill(result, search.element);
    search.ask().then(() => bringUp(result));
  }
}

/** Scrolls to an answer that is below what can be seen, as on a phone. */
function bringUp(result) {
  if (result.getBoundingClientRect().top > innerHeight / 2) result.scrollIntoView();
}

/** One photo, asked about as often as somebody moves the threshold. The last word counts. */
class Search {
  constructor(photo, heard) {
    this.photo = photo;
    this.heard = heard;
    this.wish = {};
    this.remembered = [];
    this.shown = photoWithBoxes(photo, words.photo);
    this.side = h("div", { id: "faces" }, h("p", {}, words.looking));
    this.panel = thresholdPanel((wish) => ((this.wish = wish), this.ask()));
    this.below = h("div", { class: "even" });
    this.element = h("div", { class: "two answer" }, h("div", {}, h("div", { class: "panel" }, this.shown.element), this.panel.element), this.side, this.below);
    this.panel.element.hidden = true;
  }

  async ask() {
    this.asking?.abort();
    this.asking = new AbortController();
    const fields = { top_k: 3, ...inCollection(), ...this.wish };
    try {
      const form = formOf({ image: this.photo, ...fields });
      const answer = await ask("POST", "/v1/identify", { form, signal: this.asking.signal });
      await this.answered(answer, fields);
    } catch (error) {
      if (error.name !== "AbortError") {
        fill(this.side, note(error.message, "bad"));
        this.shown.draw([]);
      }
    }
  }

  async answered(answer, fields) {
    const asked = this.asking;
    this.bitmap ??= await bitmapOf(this.photo).catch(() => null);
    const faces = await Promise.all(answer.faces.map(async (face) => ({
      answer: face,
      threshold: answer.threshold,
      at: Date.now(),
      collection: session.collection.id,
      crop: this.bitmap && (await cropOf(this.bitmap, face.bbox)),
    })));
    // Another question was asked meanwhile: its answer is to be seen, not this one.
    if (asked !== this.asking) return;
    faces.forEach((face, place) => { face.told = this.remembered[place]?.told; });
    remember(faces, this.remembered);
    this.remembered = faces;
    const known = faces.filter((face) => face.answer.decision === "match").length;
    this.heard.textContent = words.found(faces.length, known);
    const cards = faceCards(faces);
    fill(this.side, h("h2", {}, words.found(faces.length, known)), faces.length ? cards.element : note(words.noFace, "warn"));
    this.shown.draw(faces.map((face, place) => ({
      bbox: face.answer.bbox,
      kind: kindOf(face.answer),
      label: whoOf(face.answer),
      words: words.face(place + 1, whoOf(face.answer)),
      onClick: () => cards.focus(place),
    })));
    this.panel.element.hidden = false;
    this.panel.show(answer.threshold);
    fill(this.below, timing(answer.timing_ms), request(fields, this.photo.name));
    this.element.dataset.asked = String(Number(this.element.dataset.asked || 0) + 1);
  }
}

function timing(stages) {
  const rows = Object.entries(stages).map(([stage, ms]) => h("tr", {}, h("td", {}, words.stages[stage] || stage), h("td", { class: "number" }, milliseconds(ms))));
  return h("section", { class: "panel", id: "timing" }, h("h2", {}, words.timing), h("table", {}, h("tbody", {}, rows)));
}

function request(fields, filename) {
  const text = curlOf("/v1/identify", { image: `@${filename}`, ...fields });
  const copy = button(texts.common.copy, async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = texts.common.copied;
  });
  return h("section", { class: "panel" }, h("h2", {}, words.request), h("pre", { class: "request", id: "curl", tabIndex: 0 }, h("code", {}, text)), navigator.clipboard ? copy : null);
}
