// What the decisions rest on, in words, and a threshold to drag. The service decides, not the page.

import { button, fill, h, note } from "../dom.js";
import * as numbers from "../numbers.js";
import { texts } from "../texts.js";

const words = texts.identify;
const WAIT_MS = 120;
const TARGETS = [0.1, 0.01, 0.003, 0.001];

function said(threshold) {
  const { value, source, target_fpir: target, fpir_upper95: bound, basis, evidence } = threshold;
  if (source === "request") return [note(words.byYou(value), "warn")];
  if (source === "default") return [note(words.fixed, "warn"), threshold.note ? h("p", { class: "quiet small" }, threshold.note) : null];
  if (value === null) return [note(threshold.note || words.none, "warn")];
  return [
    h("p", {}, h("strong", {}, words.rate(target)), " ", bound === null ? "" : words.bound(bound), " ", words.among(threshold.gallery_subjects)),
    h("p", { class: "quiet small" }, evidence ? words.evidence(evidence.strangers, evidence.gallery_subjects, evidence.calibration) : "", " ", basis ? words.basis[basis] : "", threshold.note ? ` ${threshold.note}` : ""),
  ];
}

/** `onWish` hears {threshold} or {target_fpir}, or {} for what the service would do. */
export function thresholdPanel(onWish) {
  let timer = null;
  const rest = h("div", { id: "threshold-words" });
  const output = h("output", { id: "threshold-value" });
  const range = h("input", { type: "range", id: "threshold", min: 0, max: 1, step: 0.005, value: 0.5, "aria-label": words.threshold, on: { input: moved } });
  const target = h(
    "select",
    { id: "target", "aria-label": words.target, on: { change: () => onWish(target.value ? { target_fpir: Number(target.value) } : {}) } },
    h("option", { value: "" }, words.targetDefault),
    TARGETS.map((share) => h("option", { value: share }, numbers.percent(share))),
  );
  const back = button(words.back, () => onWish(target.value ? { target_fpir: Number(target.value) } : {}), { id: "stated", hidden: true });

  function moved() {
    output.textContent = numbers.similarity(Number(range.value));
    clearTimeout(timer);
    timer = setTimeout(() => onWish({ threshold: Number(range.value) }), WAIT_MS);
  }

  return {
    element: h(
      "section",
      { class: "panel", "aria-labelledby": "threshold-title" },
      h("h2", { id: "threshold-title" }, words.threshold, " ", output),
      range,
      h("p", { class: "quiet small" }, words.thresholdHint),
      rest,
      h("div", { class: "row" }, h("label", { class: "row" }, h("span", {}, words.target), target), back),
    ),
    /** What the service has decided by. */
    show(threshold) {
      if (threshold.value !== null && threshold.source !== "request") range.value = threshold.value;
      if (threshold.value !== null) output.textContent = numbers.similarity(threshold.value);
      back.hidden = threshold.source !== "request";
      fill(rest, said(threshold));
    },
  };
}
