// A calibration to look at: histograms, DET, and what a threshold does, now and in a larger gallery.

import { button, fill, h } from "../dom.js";
import { count, percent, similarity } from "../numbers.js";
import { among, pointAt } from "../rates.js";
import { texts } from "../texts.js";
import { det } from "./det.js";
import { histogram } from "./histogram.js";

const words = texts.decisions;
const GROWTH = [1, 2, 10, 100];

/** The element for a calibration that has a curve, at the threshold of its first stated rate. */
export function calibrationCurves(calibration) {
  const { curve, points } = calibration;
  const hasFnir = curve.points[0].fnir !== null;
  const output = h("output", { id: "line-value" });
  const range = h("input", { type: "range", id: "line", min: 0, max: 1, step: 1 / (curve.points.length - 1), "aria-label": words.line, on: { input: () => show(Number(range.value)) } });
  const rates = h("div", { class: "rates", id: "rates", "aria-live": "polite" });
  const growth = h("tbody", {});
  const bars = histogram(calibration, show);
  const missed = hasFnir ? det(calibration) : null;

  function show(value) {
    const point = pointAt(curve, value);
    range.value = point.threshold;
    range.setAttribute("aria-valuetext", similarity(point.threshold));
    output.textContent = similarity(point.threshold);
    bars.at(point.threshold);
    missed?.at(point.threshold);
    fill(rates, rate(words.fpir, "fpir", point.fpir, words.bound(point.fpir_upper95)), point.fnir
      ? rate(words.fnir, "fnir", point.fnir.value, words.interval(point.fnir.low95, point.fnir.high95))
      : h("div", { class: "rate" }, words.fnir, h("p", { class: "quiet small" }, words.fnirNone)));
    fill(growth, grown(point, calibration.gallery.subject_count));
  }

  const element = h(
    "div",
    {},
    h(
      "div",
      { class: "even" },
      h("section", { class: "panel" }, h("h2", {}, words.histogram), bars.element),
      missed ? h("section", { class: "panel" }, h("h2", {}, words.det), missed.element) : null,
    ),
    h("section", { class: "panel" }, h("h2", {}, words.line, " ", output), range, h("p", { class: "quiet small" }, words.lineHint), rates),
    h("div", { class: "even" }, stated(calibration, show), size(growth)),
  );
  show(points[0]?.threshold ?? 0.5);
  return element;
}

function rate(label, id, share, sentence) {
  return h("div", { class: "rate" }, label, h("b", { id }, percent(share)), h("span", { class: "quiet small" }, sentence));
}

function grown(point, subjects) {
  return GROWTH.map((times) => {
    const [share, bound] = [point.fpir, point.fpir_upper95].map((one) => among(one, subjects, subjects * times));
    return h("tr", {}, h("td", { class: "number" }, count(subjects * times)), h("td", { class: "number" }, percent(share)), h("td", { class: "number" }, percent(bound)));
  });
}

function size(body) {
  const head = h("tr", {}, [words.sizeSubjects, words.sizeFpir, words.sizeBound].map((title) => h("th", { scope: "col", class: "number" }, title)));
  return h("section", { class: "panel", id: "growth" }, h("h2", {}, words.size), h("p", { class: "quiet small" }, words.sizeWords), h("div", { class: "scroll-x" }, h("table", {}, h("thead", {}, head), body)));
}

function stated({ points, unsupported }, show) {
  const row = (target, ...cells) => h("tr", {}, h("th", { scope: "row" }, percent(target)), cells);
  return h(
    "section",
    { class: "panel", id: "points" },
    h("h2", {}, words.points),
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, words.target), h("th", { scope: "col" }, words.threshold))),
      h(
        "tbody",
        {},
        points.map((point) => row(point.target_fpir, h("td", {}, button(similarity(point.threshold), () => show(point.threshold), { class: "slim", "aria-label": `${similarity(point.threshold)}: ${words.use(percent(point.target_fpir))}` })))),
        unsupported.map(({ target_fpir: target, reason }) => row(target, h("td", { class: "quiet small" }, `${words.unsupported}: ${reason}`))),
      ),
    ),
  );
}
