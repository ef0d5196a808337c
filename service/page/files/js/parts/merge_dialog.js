// Into whom somebody is merged: the others are searched as the name is typed.

import { field, fill, h, note } from "../dom.js";
import { PeoplePages } from "../people_pages.js";
import { search as searchIn } from "../people_search.js";
import { nameOf } from "../subjects.js";
import { texts } from "../texts.js";
import { dialog } from "./dialog.js";
import { thumbOf } from "./thumbs.js";

const words = texts.subject;
const SHOWN = 8;

/** Resolves to the subject to merge into, or null. */
export async function mergeWish(subject) {
  const stop = new AbortController();
  let chosen = null;
  let turn = 0;
  const search = h("input", { type: "search", id: "merge-search", autocomplete: "off", on: { input: look } });
  const list = h("div", { role: "radiogroup", "aria-label": words.mergeTitle(nameOf(subject)) });
  const pages = new PeoplePages({ signal: stop.signal });

  async function look() {
    const mine = ++turn;
    const show = (found) => {
      // One more was looked for than is shown: the subject itself may be among them.
      const others = found.map((entry) => entry.subject).filter((other) => other.id !== subject.id).slice(0, SHOWN);
      fill(list, others.length ? others.map(choice) : h("p", { class: "quiet" }, words.mergeNone));
    };
    try {
      await searchIn(pages, search.value, { most: SHOWN + 1, tell: show, stopped: () => mine !== turn });
    } catch (error) {
      if (error.name !== "AbortError") fill(list, note(error.message, "bad"));
    }
  }

  const choice = (other) =>
    h(
      "label",
      { class: "row" },
      h("input", { type: "radio", name: "merge-into", value: other.id, checked: chosen === other, on: { change: () => (chosen = other) } }),
      thumbOf(other, "little"),
      h("span", {}, nameOf(other)),
    );

  look();
  const isMerging = await dialog(words.mergeTitle(nameOf(subject)), h("div", {}, h("p", {}, words.mergeWords), field(texts.people.search, search), list), [
    { label: texts.common.cancel, value: false },
    { label: words.mergeGo, value: true, kind: "danger main" },
  ]);
  stop.abort();
  return isMerging ? chosen : null;
}
