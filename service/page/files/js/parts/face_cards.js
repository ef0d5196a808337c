// The answers to the faces of a photo, one card each.

import { fill, h } from "../dom.js";
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

const called = (subject) => subject.name || subject.id;

function candidates(answer) {
  if (!answer.candidates.length) return h("p", { class: "quiet small wide" }, words.noneNear);
  const others = answer.decision === "match" ? answer.candidates.slice(1) : answer.candidates;
  return h("p", { class: "quiet small wide" }, others.flatMap(({ subject, similarity }, place) => [
    place ? ", " : `${words.nearest("")}`,
    h("a", { href: link("people", subject.id) }, called(subject)),
    ` ${similarity.toFixed(3)}`,
  ]));
}

function card(face, place) {
  const { answer, threshold, crop } = face;
  const kind = kindOf(answer);
  const who = whoOf(answer);
  return h(
    "article",
    { class: "face", tabIndex: -1, data: { decision: answer.decision }, "aria-label": words.face(place + 1, who) },
    crop ? picture(crop, "") : h("div", { class: "thumb" }),
    h(
      "div",
      {},
      h("h3", {}, answer.subject ? h("a", { class: "alone", href: link("people", answer.subject.id) }, who) : who, " ", h("span", { class: `tag ${kind}` }, answer.decision.replace("_", " "))),
      answer.similarity === null ? null : scale(answer.similarity, threshold.value, kind),
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
