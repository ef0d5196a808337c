// One photo to be enrolled: looked at as soon as it is here, with a pick of the face where it has several.

import { ask, formOf } from "../api.js";
import { button, fill, h } from "../dom.js";
import { bitmapOf, cropOf, showBlob } from "../pictures.js";
import { inCollection } from "../session.js";
import { texts } from "../texts.js";
import { photoWithBoxes } from "./photo_boxes.js";

const words = texts.enrol;

export class PhotoItem {
  /** changed() is called when it is ready, is not any more, or is to be taken away (`gone`). */
  constructor(file, changed) {
    this.file = file;
    this.changed = changed;
    /** looking, pick, ready, picked, noFace, refused, sending, done, stopped */
    this.state = "looking";
    this.gone = false;
    this.words = h("div", { "aria-live": "polite", class: "state" });
    this.pick = h("div", { class: "wide" });
    this.away = button(texts.common.remove, () => ((this.gone = true), changed()), { class: "slim", "aria-label": words.removePhoto(file.name) });
    this.image = showBlob(h("img", { alt: "" }), file);
    this.element = h("li", { class: "photo-item", data: { file: file.name } }, this.image, h("h3", {}, file.name), this.away, this.words, this.pick);
    this.say("looking");
    this.look();
  }

  get isReady() {
    return this.state === "ready" || this.state === "picked";
  }

  /** What is sent of it: the whole photo, or the face that was picked with what is around it. */
  photo() {
    return this.picked ? new File([this.picked], this.file.name, { type: this.picked.type }) : this.file;
  }

  say(state, text) {
    this.state = state;
    this.element.dataset.state = state;
    fill(this.words, h("p", { class: state === "refused" || state === "noFace" ? "note bad" : "quiet" }, text || words.state[state]));
    this.away.disabled = state === "sending";
    this.changed();
  }

  async look() {
    try {
      const { faces } = await ask("POST", "/v1/detect", { form: formOf({ image: this.file, ...inCollection() }) });
      if (!faces.length) this.say("noFace");
      else if (faces.length === 1) this.say("ready");
      else this.offer(faces);
    } catch (error) {
      this.say("refused", error.message);
    }
  }

  offer(faces) {
    this.say("pick", words.state.pick(faces.length));
    const shown = photoWithBoxes(this.file, words.pickIn(this.file.name));
    shown.element.classList.add("low");
    const draw = (chosen) => shown.draw(faces.map((face, place) => ({
      bbox: face.bbox,
      kind: place === chosen ? "chosen" : "",
      label: String(place + 1),
      words: words.faceOf(place + 1, faces.length),
      onClick: () => choose(place),
    })));
    const choose = async (place) => {
      const bitmap = await bitmapOf(this.file);
      this.picked = await cropOf(bitmap, faces[place].bbox);
      showBlob(this.image, this.picked);
      draw(place);
      this.say("picked");
    };
    draw(null);
    fill(this.pick, shown.element);
  }

  /** Nothing is left to do with it. */
  end(state, text) {
    this.say(state, text);
    fill(this.pick);
    if (state === "done") this.away.hidden = true;
  }
}
