// Plots, drawn by uPlot. It is loaded when the first one is wanted.

import { h } from "../dom.js";
import { colour } from "../theme.js";

const FOLDER = new URL("../../vendor/", import.meta.url);
let loading = null;

/** uPlot itself, which is no module and calls itself by that name. */
function library() {
  loading ??= new Promise((done, failed) => {
    const script = h("script", { src: new URL("uPlot.iife.min.js", FOLDER).href, on: { load: () => done(globalThis.uPlot), error: failed } });
    document.head.append(h("link", { rel: "stylesheet", href: new URL("uPlot.min.css", FOLDER).href }), script);
  });
  return loading;
}

/** An axis in the page's own colours; more: uPlot's options. */
export function axis(label, more = {}) {
  // uPlot takes a filter that is undefined for one.
  const marks = { stroke: colour("line"), width: 1, ...(more.filter ? { filter: more.filter } : {}) };
  return { label, stroke: colour("quiet"), grid: marks, ticks: marks, font: "12px system-ui, sans-serif", labelFont: "13px system-ui, sans-serif", labelSize: 22, size: 34, ...more };
}

/**
 * A plot as wide as its place. options(uPlot): uPlot's, made anew when the colours change; data: uPlot's
 * columns; words: what it shows, for who cannot see it; drawn(plot): called each time it has been drawn.
 */
export function plot(words, options, data, drawn = () => {}) {
  const place = h("div", { class: "plot", role: "img", "aria-label": words });
  let made = null;
  const make = async () => {
    const uPlot = await library();
    if (!place.isConnected) return removeEventListener("theme", make);
    made?.destroy();
    const fixed = { width: Math.max(240, place.clientWidth), height: 280, legend: { show: false }, cursor: { show: false }, hooks: { draw: [drawn] } };
    made = new uPlot({ ...fixed, ...options(uPlot) }, data, place);
    return undefined;
  };
  addEventListener("theme", make);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", make);
  new ResizeObserver(() => {
    if (!made) make();
    else if (place.clientWidth && Math.abs(place.clientWidth - made.width) > 1) made.setSize({ width: place.clientWidth, height: 280 });
  }).observe(place);
  return place;
}
