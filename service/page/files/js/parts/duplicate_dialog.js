// Somebody enrolled looks like the photo: both faces side by side, and what to do.

import { h } from "../dom.js";
import { nameOf, subjectOf } from "../subjects.js";
import { texts } from "../texts.js";
import { dialog } from "./dialog.js";
import { picture, thumbOf } from "./thumbs.js";

const words = texts.enrol;

/** Resolves to "new", to {id} of the subject to add to, or to null: leave the photo out. */
export async function askDuplicate(photo, { subject_id: id, similarity }) {
  const other = await subjectOf(id);
  if (!other) return "new";
  const name = nameOf(other);
  const content = h(
    "div",
    {},
    h("p", {}, words.duplicate(name, similarity)),
    h(
      "div",
      { class: "pair", id: "duplicate" },
      h("figure", {}, picture(photo, words.yourPhoto, "large"), h("figcaption", {}, words.yourPhoto)),
      h("figure", {}, thumbOf(other, "large"), h("figcaption", {}, name)),
    ),
  );
  return dialog(words.duplicateTitle, content, [
    { label: words.duplicateSkip, value: null },
    { label: words.duplicateNew, value: "new" },
    { label: words.duplicateAdd(name), value: { id }, kind: "main" },
  ]);
}
