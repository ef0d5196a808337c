// API keys: who may ask for what. A new one is shown once.

import { ask, key } from "../api.js";
import { button, field, fill, h, note, tick } from "../dom.js";
import { moment } from "../numbers.js";
import { texts } from "../texts.js";
import { sure } from "./dialog.js";
import { table } from "./table.js";
import { toast } from "./toast.js";

const words = texts.system;

export function keysPanel() {
  const list = h("div", {}, texts.common.loading);
  const told = h("div", { "aria-live": "polite", id: "told" });
  const name = h("input", { id: "key-name", maxLength: 100, autocomplete: "off" });
  const collections = h("input", { id: "key-collections", autocomplete: "off", spellcheck: false });
  const scopes = Object.entries(words.scope).map(([scope, what]) => ({ scope, box: h("input", { type: "checkbox", value: scope }), what }));

  async function show() {
    try {
      const { keys } = await ask("GET", "/v1/keys");
      fill(list, keys.length ? listed(keys, remove) : [note(words.noKeys, "warn"), h("p", { class: "quiet small" }, words.firstKey)]);
    } catch (error) {
      fill(list, note(words.keysDenied(error.message)));
    }
  }

  async function make(event) {
    event.preventDefault();
    const only = collections.value.split(",").map((one) => one.trim()).filter(Boolean);
    try {
      const made = await ask("POST", "/v1/keys", {
        json: { name: name.value.trim(), scopes: scopes.filter(({ box }) => box.checked).map(({ scope }) => scope), collections: only.length ? only : null },
      });
      // From the first key on each request needs one, those of this page, too.
      if (!key.get()) key.set(made.key);
      fill(told, note(words.keyTold, "good"), h("code", { class: "secret", id: "secret" }, made.key));
      name.value = "";
      show();
    } catch (error) {
      fill(told, note(error.message, "bad"));
    }
  }

  async function remove(one) {
    if (!(await sure(words.deleteKeyTitle(one.name), words.deleteKeyWords, words.deleteKey(one.name)))) return;
    try {
      await ask("DELETE", `/v1/keys/${encodeURIComponent(one.id)}`);
      show();
    } catch (error) {
      toast(error.message);
    }
  }

  show();
  return h(
    "section",
    { class: "panel", id: "keys" },
    h("h2", {}, words.keys),
    list,
    told,
    h("h3", {}, words.newKey),
    h(
      "form",
      { on: { submit: make } },
      field(words.keyName, name),
      h("fieldset", {}, h("legend", {}, words.scopes), scopes.map(({ scope, box, what }) => tick(`${scope}: ${what}`, box))),
      field(words.keyCollections, collections, words.keyCollectionsHint),
      h("button", { type: "submit" }, words.make),
    ),
  );
}

function listed(keys, remove) {
  const rows = keys.map((one) => ({
    cells: [
      one.name,
      one.scopes.join(", "),
      one.collections ? one.collections.join(", ") : words.allCollections,
      one.expires_at ? moment(one.expires_at) : words.never,
      button(texts.common.remove, () => remove(one), { class: "slim", "aria-label": `${texts.common.remove}: ${words.deleteKey(one.name)}` }),
    ],
  }));
  return table(words.keys, [texts.common.name, words.scopes, words.keyCollections, words.ends, null], rows);
}
