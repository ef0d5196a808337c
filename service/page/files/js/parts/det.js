// FNIR against FPIR over all thresholds, both logarithmic, with a mark at the present one.

import { h } from "../dom.js";
import { percent } from "../numbers.js";
import { pointAt } from "../rates.js";
import { texts } from "../texts.js";
import { colour } from "../theme.js";
import { axis, plot } from "./plot.js";

const words = texts.decisions;

/** Returns the element and at(threshold). A rate of 0 lies on the edge, where half an error would. */
export function det({ curve, mated_searches: mated, nonmated_searches: nonmated }) {
  const least = { fpir: 0.5 / nonmated, fnir: 0.5 / Math.max(1, mated) };
  const xy = ({ fpir, fnir }) => [Math.max(fpir, least.fpir), Math.max(fnir.value, least.fnir)];
  const curveXy = new Map();
  for (const point of curve.points) {
    const [x, y] = xy(point);
    curveXy.set(x, Math.min(y, curveXy.get(x) ?? 1));
  }
  const rows = [...curveXy].sort((a, b) => a[0] - b[0]);
  const mark = h("div", { class: "plot-mark", "aria-hidden": "true" });
  let shown = null;
  let threshold = 0.5;

  function place() {
    if (!shown) return;
    const [x, y] = xy(pointAt(curve, threshold));
    mark.style.left = `${shown.valToPos(x, "x")}px`;
    mark.style.top = `${shown.valToPos(y, "y")}px`;
  }

  const logarithmic = (low) => ({ distr: 3, time: false, range: [10 ** Math.floor(Math.log10(low)), 1] });
  // Lines at 100 %, 10 %, 1 % and so on, and none between.
  const decades = { filter: (_, marks) => marks.map((one) => (Number.isInteger(Math.round(Math.log10(one) * 1e6) / 1e6) ? one : null)), values: (_, marks) => marks.map((one) => (one === null ? "" : percent(one))) };
  const options = () => ({
    scales: { x: logarithmic(least.fpir), y: logarithmic(least.fnir) },
    axes: [axis(words.fpirAxis, decades), axis(words.fnirAxis, { size: 64, ...decades })],
    series: [{}, { stroke: colour("accent"), width: 2, points: { show: false } }],
  });
  const drawn = plot(words.detWords, options, [rows.map(([x]) => x), rows.map(([, y]) => y)], (made) => {
    shown = made;
    made.over.append(mark);
    place();
  });
  const element = h("div", {}, drawn, h("p", { class: "quiet small" }, words.detLeast(least.fnir, least.fpir)));
  return { element, at: (value) => ((threshold = value), place()) };
}
