// A similarity where it lies between 0 and 1, and the threshold that it was held against.

import { h } from "../dom.js";
import * as numbers from "../numbers.js";
import { texts } from "../texts.js";

const side = (value) => (value < 0.15 ? "start" : value > 0.8 ? "end" : "");

/** kind: "match", "unknown" or "open"; threshold: null where there is none. */
export function scale(similarity, threshold, kind) {
  return h(
    "div",
    { class: `scale ${kind}`, role: "img", "aria-label": texts.scale.words(similarity, threshold) },
    h("span", { class: `value ${side(similarity)}`, style: { left: `${100 * similarity}%` } }, numbers.similarity(similarity)),
    h("div", { class: "track" }, h("div", { class: "fill", style: { width: `${100 * similarity}%` } })),
    threshold === null ? null : h("div", { class: "line", style: { left: `${100 * threshold}%` } }),
    threshold === null ? null : h("span", { class: `limit ${side(threshold)}`, style: { left: `${100 * threshold}%` } }, texts.scale.threshold(threshold)),
  );
}
