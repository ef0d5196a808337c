// The answers to the faces of a photo, one card each.

import { fill, h } from "../dom.js";
import * as numbers from "../numbers.js";
import { link } from "../router.js";
import { texts } from "../texts.js";
import { scale } from "./scale.js";
import { picture } from "./thumbs.js";
import { verdictButtons } from "./verdict_buttons.js";

const words = texts.identify;

/** What a face is called on the page, by its answer. */
export function whoOf(answer) {
  if (answer.decision === "match") return answer.subject.name || answer.subject.id;
  return answer.decision === "unknown" ? words.unknown : words.undecided;
}

export const kindOf = (answer) => (answer.decision === "not_evaluated" ? "open" : answer.decision);

/** The title of an answer: who it is and that it is a match, or that it is none. */
export function titleOf(answer) {
  const said = (text) => h("span", { class: `tag ${kindOf(answer)}` }, text);
  if (answer.decision !== "match") return h("h3", {}, said(whoOf(answer)));
  return h("h3", {}, h("a", { class: "alone", href: link("people", answer.subject.id) }, whoOf(answer)), " ", said(words.match));
}

function candidates(answer) {
  if (!answer.candidates.length) return h("p", { class: "quiet small wide" }, words.noneNear, " ", h("a", { href: link("enrol") }, words.enrolFirst));
  const isMatch = answer.decision === "match";
  const others = isMatch ? answer.candidates.slice(1) : answer.candidates;
  if (!others.length) return null;
  return h("p", { class: "quiet small wide" }, others.flatMap(({ subject, similarity }, place) => [
    place ? ", " : isMatch ? words.next : words.nearest,
    h("a", { href: link("people", subject.id) }, subject.name || subject.id),
    ` ${numbers.similarity(similarity)}`,
  ]));
}

function card(face, place, faces) {
  const { answer, threshold, crop } = face;
  return h(
    "article",
    { class: "face", tabIndex: -1, data: { decision: answer.decision }, "aria-label": words.face(place + 1, whoOf(answer)) },
    h("div", { class: "of-photo" }, crop ? picture(crop, "") : h("div", { class: "thumb" }), faces.length > 1 ? h("span", { class: "place", "aria-hidden": "true" }, String(place + 1)) : null),
    h(
      "div",
      {},
      titleOf(answer),
      answer.similarity === null ? null : scale(answer.similarity, threshold.value, kindOf(answer)),
    ),
    candidates(answer),
    h("div", { class: "row wide" }, verdictButtons(face), answer.decision === "unknown" ? h("a", { class: "button slim", href: link("unknowns") }, words.nameIt) : null),
  );
}

/** An element with a card for each face, and focus(place). */
export function faceCards(faces) {
  const element = h("div", { class: "faces" });
  fill(element, faces.map(card));
  return { element, focus: (place) => element.children[place].focus() };
}
