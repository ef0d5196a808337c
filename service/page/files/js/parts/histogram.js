// Mated and non-mated searches by their similarity, with the threshold as a line to drag.

import { h } from "../dom.js";
import { parts } from "../rates.js";
import { texts } from "../texts.js";
import { colour } from "../theme.js";
import { axis, plot } from "./plot.js";

const words = texts.decisions;
const PARTS = 50;

/** calibration: the service's answer. `onDrag(threshold)` hears of the line. Returns the element and at(threshold). */
export function histogram({ curve, mated_searches: mated, nonmated_searches: nonmated }, onDrag) {
  const edges = Array.from({ length: PARTS + 1 }, (_, part) => part / PARTS);
  const bars = (counts, total) => (total ? [...parts(counts, PARTS, total), 0] : edges.map(() => 0));
  const line = h("div", { class: "plot-line", id: "plot-line", "aria-hidden": "true", on: { pointerdown: grab } });
  let shown = null;
  let threshold = 0.5;

  function grab(down) {
    down.preventDefault();
    line.setPointerCapture(down.pointerId);
    const move = (event) => {
      const left = shown.over.getBoundingClientRect().left;
      onDrag(Math.min(1, Math.max(0, shown.posToVal(event.clientX - left, "x"))));
    };
    line.addEventListener("pointermove", move);
    line.addEventListener("lostpointercapture", () => line.removeEventListener("pointermove", move), { once: true });
  }

  function place() {
    if (!shown) return;
    line.style.left = `${shown.valToPos(threshold, "x")}px`;
    line.style.top = "0";
    line.style.bottom = "0";
  }

  const options = (uPlot) => {
    const stepped = uPlot.paths.stepped({ align: 1 });
    const series = (label, name) => ({ label, stroke: colour(name), fill: `${colour(name)}55`, width: 2, paths: stepped, points: { show: false } });
    return {
      scales: { x: { time: false, range: [0, 1] }, y: { range: (_, low, high) => [0, (high || 1) * 1.1] } },
      axes: [axis(words.similarityAxis), axis(words.shareAxis, { size: 56, values: (_, marks) => marks.map((mark) => `${Math.round(mark * 1000) / 10} %`) })],
      series: [{}, series("nonmated", "nonmated"), series("mated", "mated")],
    };
  };
  const drawn = plot(words.histogramWords, options, [edges, bars(curve.nonmated, nonmated), bars(curve.mated, mated)], (made) => {
    shown = made;
    made.over.append(line);
    place();
  });
  const key = h("p", { class: "key" }, h("span", { class: "nonmated" }, words.nonmated(nonmated)), h("span", { class: "mated" }, words.mated(mated)));
  return {
    element: h("div", {}, drawn, key, curve.mated_not_first ? h("p", { class: "quiet small" }, words.notFirst(curve.mated_not_first)) : null),
    at(value) {
      threshold = value;
      place();
    },
  };
}
