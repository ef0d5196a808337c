// Small pictures of people: the stored crop where there is one, else the first letter of the name.

import { ask } from "../api.js";
import { h } from "../dom.js";
import { showBlob } from "../pictures.js";
import { inCollection } from "../session.js";
import { nameOf } from "../subjects.js";
import { texts } from "../texts.js";

const KEPT = 400;
// Who scrolls past somebody does not wait for their picture, and need not ask for it.
const PATIENCE_MS = 150;
const crops = new Map();

/** Templates of a subject, without their embeddings. */
export const templatesOf = async (id) => (await ask("GET", `/v1/subjects/${encodeURIComponent(id)}/templates`, { query: inCollection() })).templates;

/** The stored crop of a template as a blob, or null. */
export function cropOfTemplate(id) {
  return kept(`t/${id}`, async () => (await ask("GET", `/v1/templates/${encodeURIComponent(id)}/crop`, { query: inCollection(), raw: true })).blob());
}

function cropOfSubject(id) {
  return kept(`s/${id}`, async () => {
    const stored = (await templatesOf(id)).find((template) => template.has_crop);
    return stored ? cropOfTemplate(stored.id) : null;
  });
}

function kept(name, get) {
  const where = `${inCollection().collection || ""}/${name}`;
  if (!crops.has(where)) {
    if (crops.size >= KEPT) crops.delete(crops.keys().next().value);
    crops.set(where, get().catch(() => (crops.delete(where), null)));
  }
  return crops.get(where);
}

/** Forgets the pictures of a subject, as after an enrolment. */
export function forget(id) {
  crops.delete(`${inCollection().collection || ""}/s/${id}`);
}

function letter(subject, size) {
  return h("div", { class: `thumb ${size}`, "aria-hidden": "true" }, [...nameOf(subject)][0].toUpperCase());
}

/** A picture of a subject; its letter until the crop is there, and where there is none. */
export function thumbOf(subject, size = "") {
  const place = letter(subject, size);
  setTimeout(async () => {
    const blob = place.isConnected && (await cropOfSubject(subject.id));
    if (blob) place.replaceWith(picture(blob, texts.thumbs.of(nameOf(subject)), size));
  }, PATIENCE_MS);
  return place;
}

/** A picture of one template; words where it was not stored. */
export function thumbOfTemplate(template, alt, size = "") {
  const place = h("div", { class: `thumb ${size}` }, h("span", { class: "small" }, template.has_crop ? "…" : texts.thumbs.none));
  if (template.has_crop) {
    cropOfTemplate(template.id).then((blob) => blob && place.replaceWith(picture(blob, alt, size)));
  }
  return place;
}

export const picture = (blob, alt, size = "") => showBlob(h("img", { class: `thumb ${size}`, alt }), blob);
