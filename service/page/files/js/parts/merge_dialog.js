// Into whom somebody is merged: the others are searched as the name is typed.

import { field, fill, h } from "../dom.js";
import { everybody, nameOf } from "../subjects.js";
import { texts } from "../texts.js";
import { dialog } from "./dialog.js";
import { thumbOf } from "./thumbs.js";

const words = texts.subject;
const MOST = 20_000;
const SHOWN = 8;

/** Resolves to the subject to merge into, or null. */
export async function mergeWish(subject) {
  const others = [];
  const stop = new AbortController();
  let chosen = null;
  const search = h("input", { type: "search", id: "merge-search", autocomplete: "off", on: { input: show } });
  const list = h("div", { role: "radiogroup", "aria-label": words.mergeTitle(nameOf(subject)) });

  function show() {
    const wish = search.value.trim().toLocaleLowerCase();
    const found = others.filter((other) => [nameOf(other), other.external_id, other.id].some((text) => text?.toLocaleLowerCase().includes(wish))).slice(0, SHOWN);
    fill(list, found.length ? found.map(choice) : h("p", { class: "quiet" }, words.mergeNone));
  }

  const choice = (other) =>
    h(
      "label",
      { class: "row" },
      h("input", { type: "radio", name: "merge-into", value: other.id, checked: chosen === other, on: { change: () => (chosen = other) } }),
      thumbOf(other, "little"),
      h("span", {}, nameOf(other)),
    );

  everybody((page) => {
    others.push(...page.filter((other) => other.id !== subject.id));
    show();
  }, { most: MOST, signal: stop.signal }).catch(() => {});
  const isMerging = await dialog(words.mergeTitle(nameOf(subject)), h("div", {}, h("p", {}, words.mergeWords), field(texts.people.search, search), list), [
    { label: texts.common.cancel, value: false },
    { label: words.merge, value: true, kind: "danger main" },
  ]);
  stop.abort();
  return isMerging ? chosen : null;
}
