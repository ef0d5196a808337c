// Unknowns: faces of this visit that nobody knew, grouped; a group is named once, and enrolled.

import { ApiProblem, ask, formOf } from "../api.js";
import { button, field, fill, h, note, tick } from "../dom.js";
import { grouped } from "../embeddings.js";
import { enrolPhoto } from "../enrolling.js";
import { askDuplicate } from "../parts/duplicate_dialog.js";
import { picture } from "../parts/thumbs.js";
import { toast } from "../parts/toast.js";
import { link } from "../router.js";
import { inCollection, settle, unknownHere } from "../session.js";
import { nameOf } from "../subjects.js";
import { texts } from "../texts.js";

const words = texts.unknowns;

export function view(place) {
  const said = h("div", { "aria-live": "polite", id: "said" });
  const groups = h("div", { class: "cards", id: "groups" });
  fill(place, h("h1", {}, texts.views.unknowns), h("p", { class: "lead" }, words.lead), said, groups);

  async function show() {
    const faces = unknownHere().filter((face) => face.crop);
    if (!faces.length) return fill(groups, note(words.none), h("p", {}, h("a", { class: "button", href: link("identify") }, words.goIdentify)));
    fill(groups, h("p", {}, texts.common.loading));
    const contract = await embedAll(faces, said);
    // A face is grouped by the threshold that it was held against.
    const least = Math.max(...faces.map((face) => face.threshold.value ?? 1));
    return fill(groups, grouped(faces, contract?.d_max ?? 1, least).map((group, number) => card(group, number + 1, show)));
  }
  show();
}

/** Embeds each face that is not yet; the contract of their embeddings, null where none could be made. */
async function embedAll(faces, said) {
  let contract = null;
  try {
    for (const face of faces) {
      if (!face.embedded) face.embedded = await ask("POST", "/v1/embed", { form: formOf({ image: face.crop, max_faces: 1, ...inCollection() }) });
      contract = face.embedded.contract;
      face.embedding = face.embedded.faces[0]?.embedding ?? null;
    }
  } catch (error) {
    if (!(error instanceof ApiProblem)) throw error;
    fill(said, note(words.noGroups(error.message), "warn"));
    for (const face of faces) face.embedding = null;
    return null;
  }
  // Of another bundle by now, as after a switch: those cannot be compared with these.
  for (const face of faces) if (face.embedded.contract.id !== contract.id) face.embedding = null;
  return contract;
}

function card(group, number, again) {
  const name = h("input", { maxLength: 200, autocomplete: "off", class: "group-name" });
  const keepCrop = h("input", { type: "checkbox", checked: true });
  const refused = h("div", { "aria-live": "polite" });
  const go = button(words.enrol, enrol, { class: "main" });

  async function enrol() {
    if (!name.value.trim()) return fill(refused, note(words.needName, "bad"));
    go.disabled = true;
    let subject = { name: name.value.trim() };
    const done = [];
    const reasons = [];
    try {
      for (const face of group) {
        const options = { storeCrop: keepCrop.checked, largest: true };
        let answer = await enrolPhoto(face.crop, subject, { ...options, check: "reject" });
        if (answer.duplicates) {
          const wish = await askDuplicate(face.crop, answer.duplicates[0]);
          if (wish !== null) answer = await enrolPhoto(face.crop, wish === "new" ? subject : wish, { ...options, check: "off" });
          else answer = { refusal: texts.enrol.leftOut };
        }
        if (answer.refusal) reasons.push(answer.refusal);
        else {
          subject = answer.subject;
          done.push(face);
        }
      }
    } catch (error) {
      reasons.push(error.message);
    }
    go.disabled = false;
    if (done.length) {
      // What was not taken of them is the same person all the same.
      settle(group);
      toast(words.enrolled(nameOf(subject), done.length));
      return again();
    }
    return fill(refused, note(`${words.notEnrolled}: ${reasons.join(" ")}`, "bad"));
  }

  return h(
    "article",
    { class: "panel group", "aria-label": words.group(number, group.length) },
    h("h2", {}, words.group(number, group.length)),
    h("div", { class: "group-faces" }, group.map((face, place) => picture(face.crop, words.face(place + 1)))),
    h("form", { on: { submit: (event) => (event.preventDefault(), enrol()) } }, field(words.name, name), tick(texts.enrol.keepCrop, keepCrop), h("div", { class: "row" }, go, button(words.forget, () => (settle(group), again())))),
    refused,
  );
}
