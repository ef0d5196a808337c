// Collections: what there is, a new one, and the end of one.

import { ask } from "../api.js";
import { button, field, fill, h, note } from "../dom.js";
import { count } from "../numbers.js";
import { session } from "../session.js";
import { texts } from "../texts.js";
import { sure } from "./dialog.js";
import { table } from "./table.js";
import { toast } from "./toast.js";

const words = texts.system;

export function collectionsPanel() {
  const said = h("div", { "aria-live": "polite" });
  const name = h("input", { id: "new-collection", maxLength: 128, autocomplete: "off", spellcheck: false });
  const bundle = h("select", { "aria-label": words.bundle, id: "new-collection-bundle" }, session.bundles.map((one) => h("option", { value: one.id }, one.id)));
  // The page knows of all collections; so it is told that they have changed.
  const changed = () => dispatchEvent(new Event("collections"));

  async function make(event) {
    event.preventDefault();
    try {
      await ask("POST", "/v1/collections", { json: { id: name.value.trim(), bundle: bundle.value } });
      changed();
    } catch (error) {
      fill(said, note(error.message, "bad"));
    }
  }

  async function remove(one) {
    if (!(await sure(words.deleteCollectionTitle(one.id), words.deleteCollectionWords, words.deleteCollection(one.id)))) return;
    try {
      await ask("DELETE", `/v1/collections/${encodeURIComponent(one.id)}`);
      changed();
    } catch (error) {
      toast(error.message);
    }
  }

  const rows = session.collections.map((one) => ({
    cells: [
      [one.id, " ", one.default ? h("span", { class: "tag match" }, words.isDefault) : null],
      one.bundle?.id || words.noBundle,
      count(one.subject_count),
      count(one.template_count),
      one.default ? null : button(texts.common.remove, () => remove(one), { class: "slim", "aria-label": `${texts.common.remove}: ${words.deleteCollection(one.id)}` }),
    ],
  }));
  const columns = [words.collection, words.bundle, { title: words.people, kind: "number" }, { title: words.photos, kind: "number" }, null];
  return h(
    "section",
    { class: "panel", id: "collections" },
    h("h2", {}, words.collections),
    table(words.collections, columns, rows),
    h("p", {}),
    h("form", { on: { submit: make } }, field(words.newCollection, name), session.bundles.length > 1 ? field(words.bundle, bundle) : null, h("button", { type: "submit" }, words.make)),
    said,
  );
}
