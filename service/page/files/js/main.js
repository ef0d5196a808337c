// The page: a header, and the view that the address names. Views are loaded when they are asked for.

import { ask, key } from "./api.js";
import { fill, h, note } from "./dom.js";
import { header } from "./header.js";
import { askForKey } from "./parts/key_dialog.js";
import { start } from "./router.js";
import { choose, chosenBefore, session } from "./session.js";
import { texts } from "./texts.js";

const VIEWS = {
  identify: () => import("./views/identify.js"),
  enrol: () => import("./views/enrol.js"),
  people: () => import("./views/people.js"),
  decisions: () => import("./views/decisions.js"),
  unknowns: () => import("./views/unknowns.js"),
  system: () => import("./views/system.js"),
};
const FIRST = "identify";

const main = document.getElementById("main");
let leave = () => {};
let turn = 0;
let again = () => {};
let refusal = "";

async function show(name, rest, query) {
  const known = Object.hasOwn(VIEWS, name) ? name : FIRST;
  const mine = ++turn;
  leave();
  leave = () => {};
  header.current(known);
  document.title = texts.title(texts.views[known]);
  const { view } = await VIEWS[known]();
  if (mine !== turn) return;
  main.dataset.view = known;
  const place = h("div", {});
  fill(main, place);
  // A place that was left while it was loading is not drawn into any more: it is on no page.
  if (session.collection) leave = view(place, rest, query) || leave;
  else fill(place, h("h1", {}, texts.views[known]), note(refusal || texts.api.noCollection, "bad"));
  // What is measured as the time until the page can be used.
  if (turn === 1) performance.mark("ready");
}

async function load() {
  refusal = "";
  session.collection = null;
  try {
    const [{ collections }, { bundles }] = await Promise.all([ask("GET", "/v1/collections"), ask("GET", "/v1/bundles")]);
    session.collections = collections;
    session.bundles = bundles;
    const before = chosenBefore();
    const found = session.collections.find((one) => one.id === before) || session.collections.find((one) => one.default) || session.collections[0];
    if (found) choose(found);
  } catch (error) {
    refusal = error.message;
  }
  header.draw();
}

async function begin() {
  await load();
  again();
}

key.onNeeded((problem) => askForKey(problem.code === "key_unknown" ? problem.message : "", begin));
addEventListener("collections", begin);
document.getElementById("skip").textContent = texts.skip;
header.start({ onCollection: () => again(), onKey: () => askForKey("", begin) });
load().then(() => {
  again = start(show, FIRST);
});
