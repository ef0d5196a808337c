// A bundle with its model card.

import { fact, h } from "../dom.js";
import { texts } from "../texts.js";

const words = texts.system;

export function bundleCard(bundle) {
  return h(
    "article",
    { class: "panel" },
    h("h3", {}, bundle.name, " ", bundle.default ? h("span", { class: "tag match" }, words.isDefault) : null),
    h("p", {}, bundle.description),
    h(
      "dl",
      {},
      fact(words.version, bundle.version),
      fact(words.licence, bundle.license),
      fact(words.input, words.inputs[bundle.input] || bundle.input),
      fact(words.calibrated, words.sizes(bundle.calibrated_subjects)),
      fact(words.embedding, words.numbers(bundle.embedding_size)),
      fact(words.sha, h("code", {}, bundle.sha256)),
    ),
    h("h4", {}, words.limits),
    h("ul", {}, bundle.limits.map((limit) => h("li", {}, limit))),
    card(bundle),
  );
}

function card({ metrics, training_data: data }) {
  if (!metrics.length && !data.length) return null;
  const scrolled = (label, ...rows) => h("div", { class: "scroll-x", tabIndex: 0, role: "group", "aria-label": label }, h("table", {}, rows));
  return h(
    "details",
    {},
    h("summary", {}, words.card),
    metrics.length ? scrolled(words.figure, h("thead", {}, head(words.figure, words.value, words.data)), h("tbody", {}, metrics.map((metric) => h("tr", {}, h("td", {}, h("code", {}, metric.name)), h("td", { class: "number" }, String(Number(metric.value.toPrecision(4)))), h("td", { class: "small" }, metric.data, h("br"), metric.protocol))))) : null,
    data.length ? scrolled(words.data, h("thead", {}, head(words.data, words.terms)), h("tbody", {}, data.map((one) => h("tr", {}, h("td", {}, one.name, h("br"), h("span", { class: "quiet small" }, words.trainedOn(one.images, one.identities), one.remark ? `; ${one.remark}` : "")), h("td", {}, one.terms))))) : null,
  );
}

const head = (...titles) => h("tr", {}, titles.map((title) => h("th", { scope: "col" }, title)));
