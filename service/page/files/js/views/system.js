// System: what is running, how it does, and who may ask it.

import { fill, h } from "../dom.js";
import { bundleCard } from "../parts/bundle_card.js";
import { collectionsPanel } from "../parts/collections_panel.js";
import { keysPanel } from "../parts/keys_panel.js";
import { statePanel } from "../parts/state_panel.js";
import { session } from "../session.js";
import { texts } from "../texts.js";

const words = texts.system;

export function view(place) {
  fill(
    place,
    h("h1", {}, texts.views.system),
    h("p", { class: "lead" }, words.lead),
    statePanel(),
    h("h2", {}, words.bundles),
    h("div", { class: "even" }, session.bundles.map(bundleCard)),
    h("div", { class: "even" }, collectionsPanel(), keysPanel()),
  );
}
