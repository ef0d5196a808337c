// Whether the service is ready, and its figures at a glance.

import { ask } from "../api.js";
import { fact, fill, h, note } from "../dom.js";
import { count, milliseconds } from "../numbers.js";
import { samples, sum } from "../prometheus.js";
import { texts } from "../texts.js";

const words = texts.system;

export function statePanel() {
  const state = h("div", {}, texts.common.loading);
  const figures = h("div", {}, texts.common.loading);
  ask("GET", "/readyz").then(
    (ready) => fill(state, h("p", {}, h("span", { class: "tag match" }, words.ready)), h("dl", {}, fact(words.detector, ready.detector), fact(words.runtime, ready.embedder_runtime), fact(words.device, ready.device), fact(words.precision, ready.precision), ready.subject_count === null ? null : [fact(words.people, count(ready.subject_count)), fact(words.photos, count(ready.template_count))])),
    (error) => fill(state, note(`${words.notReady}: ${error.message}`, "bad")),
  );
  ask("GET", "/metrics", { raw: true })
    .then((answer) => answer.text())
    .then((text) => fill(figures, h("dl", { id: "metrics" }, glance(samples(text)))), (error) => fill(figures, note(words.noMetrics(error.message))));
  return h("div", { class: "even" }, h("section", { class: "panel" }, h("h2", {}, words.state), state), h("section", { class: "panel" }, h("h2", {}, words.metrics), figures));
}

function glance(all) {
  const identified = (labels) => labels.path === "/v1/identify";
  const times = sum(all, "oneglance_request_seconds_count", identified);
  const decided = { match: texts.identify.match, unknown: texts.identify.unknown, not_evaluated: texts.identify.undecided };
  const decisions = Object.entries(decided).map(([one, said]) => `${count(sum(all, "oneglance_decisions_total", ({ decision }) => decision === one))} ${said}`);
  return [
    fact(words.requests, count(sum(all, "oneglance_requests_total"))),
    fact(words.failed, count(sum(all, "oneglance_requests_total", ({ status }) => status >= "500"))),
    fact(words.mean, times ? milliseconds((1000 * sum(all, "oneglance_request_seconds_sum", identified)) / times) : "–"),
    fact(words.faces, decisions.join(", ")),
    fact(words.queue, count(sum(all, "oneglance_workers_waiting"))),
  ];
}
