// Enrol: photos of one person, or a folder of many people.

import { button, field, fill, h, note, tick } from "../dom.js";
import { enrolPhoto } from "../enrolling.js";
import { dropZone } from "../parts/drop_zone.js";
import { askDuplicate } from "../parts/duplicate_dialog.js";
import { folderPanel } from "../parts/folder_panel.js";
import { PhotoItem } from "../parts/photo_item.js";
import { link } from "../router.js";
import { nameOf, subjectOf } from "../subjects.js";
import { texts } from "../texts.js";

const words = texts.enrol;

export function view(place, _rest, query) {
  const known = query.get("subject");
  const form = new EnrolForm();
  const folder = folderPanel();
  fill(place, h("h1", {}, texts.views.enrol), h("p", { class: "lead" }, words.lead), form.element, folder.element);
  if (known) subjectOf(known).then((subject) => subject && form.addTo(subject));
  return () => folder.stop();
}

class EnrolForm {
  constructor() {
    this.items = [];
    this.subject = null;
    const text = (id) => h("input", { id, maxLength: 200, autocomplete: "off" });
    this.name = text("name");
    this.externalId = text("external-id");
    this.consent = text("consent");
    this.keepCrop = h("input", { type: "checkbox", id: "keep-crop", checked: true });
    this.who = h("div", {}, field(texts.common.name, this.name, words.nameHint), field(words.externalId, this.externalId, words.externalIdHint), field(words.consent, this.consent, words.consentHint));
    this.list = h("ul", { class: "plain photo-items", "aria-label": words.photosTitle });
    this.go = button(words.go(0), () => this.enrol(), { class: "main", id: "enrol", disabled: true });
    this.progress = h("progress", { "aria-label": words.progress, hidden: true, max: 1, value: 0 });
    this.result = h("div", { "aria-live": "polite", id: "result" });
    this.element = h(
      "div",
      { class: "two" },
      h("section", { class: "panel" }, h("h2", {}, words.photosTitle), dropZone((files) => this.add(files), { many: true, words: texts.drop.several }), this.list),
      h("section", { class: "panel" }, h("h2", { id: "who" }, words.who), this.who, tick(words.keepCrop, this.keepCrop), this.go, this.progress, this.result),
    );
  }

  addTo(subject) {
    this.subject = subject;
    fill(this.who, h("p", {}, h("strong", {}, words.adding(nameOf(subject)))), h("p", {}, h("a", { class: "alone", href: link("enrol") }, words.newInstead)));
  }

  add(files) {
    // Who is enrolled makes room for the next.
    for (const item of this.items) item.gone = item.state === "done";
    for (const file of files) {
      const item = new PhotoItem(file, () => this.show());
      this.items.push(item);
      this.list.append(item.element);
    }
    this.show();
  }

  show() {
    for (const item of this.items.filter(({ gone }) => gone)) item.element.remove();
    this.items = this.items.filter(({ gone }) => !gone);
    const ready = this.items.filter((item) => item.isReady).length;
    this.go.textContent = words.go(ready);
    this.go.disabled = !ready || this.busy || this.items.some(({ state }) => state === "looking");
  }

  async enrol() {
    this.busy = true;
    const items = this.items.filter((item) => item.isReady);
    let subject = this.subject || { name: this.name.value.trim(), external_id: this.externalId.value.trim(), consent_ref: this.consent.value.trim() };
    let done = 0;
    let taken = 0;
    fill(this.result);
    this.progress.hidden = false;
    this.progress.max = items.length;
    try {
      for (const item of items) {
        item.say("sending");
        const enrolled = await this.one(item, subject);
        if (enrolled) {
          subject = enrolled;
          taken += 1;
        }
        this.progress.value = ++done;
      }
    } catch (error) {
      for (const item of items.filter(({ state }) => state === "sending")) item.say("ready", words.state.stopped);
      fill(this.result, note(error.message, "bad"));
      return this.rest(subject.id ? subject : null);
    }
    fill(this.result, taken
      ? [note(words.result(taken, items.length - taken, nameOf(subject)), "good"), h("p", {}, h("a", { class: "alone", href: link("people", subject.id) }, words.seePerson(nameOf(subject))))]
      : note(words.noneTaken, "bad"));
    return this.rest(null, taken);
  }

  /** Ready for the next person; `subject`, where the same one is to go on. */
  rest(subject, taken = 0) {
    this.busy = false;
    this.progress.hidden = true;
    if (subject) this.addTo(subject);
    else if (taken && !this.subject) for (const input of [this.name, this.externalId, this.consent]) input.value = "";
    this.show();
  }

  /** The subject that the photo was enrolled for, null where it was not. */
  async one(item, subject) {
    const options = { storeCrop: this.keepCrop.checked, largest: Boolean(item.picked) };
    let answer = await enrolPhoto(item.photo(), subject, { ...options, check: "reject" });
    if (answer.duplicates) {
      const wish = await askDuplicate(item.photo(), answer.duplicates[0]);
      if (wish === null) answer = { refusal: words.leftOut };
      else answer = await enrolPhoto(item.photo(), wish === "new" ? subject : wish, { ...options, check: "off" });
    }
    if (answer.refusal) item.end("refused", answer.refusal);
    else item.end("done");
    return answer.subject || null;
  }
}
