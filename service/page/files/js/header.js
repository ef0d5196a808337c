// The header: where to go, which collection, light or dark, and the key.

import { key } from "./api.js";
import { button, fill, h } from "./dom.js";
import { link } from "./router.js";
import { choose, onFaces, session, unknownHere } from "./session.js";
import { texts } from "./texts.js";
import { isDark, toggle } from "./theme.js";

const links = new Map(
  Object.entries(texts.views).map(([name, words]) => [name, h("a", { href: link(name) }, words)]),
);
const tools = h("div", { class: "tools" });
let listeners = { onCollection() {}, onKey() {} };

function picker() {
  const select = h(
    "select",
    {
      id: "collection",
      "aria-label": texts.header.collection,
      on: {
        change() {
          choose(session.collections.find((one) => one.id === select.value));
          showUnknown();
          listeners.onCollection();
        },
      },
    },
    session.collections.map((one) => h("option", { value: one.id, selected: one.id === session.collection?.id }, one.id)),
  );
  return select;
}

function showUnknown() {
  const many = unknownHere().length;
  fill(links.get("unknowns"), texts.views.unknowns, many ? ` (${many})` : "");
}

function themeButton() {
  const words = () => (isDark() ? texts.header.toLight : texts.header.toDark);
  const made = button(isDark() ? "☀" : "☾", () => {
    toggle();
    made.textContent = isDark() ? "☀" : "☾";
    made.setAttribute("aria-label", words());
    made.title = words();
  }, { class: "slim", id: "theme", "aria-label": words(), title: words() });
  return made;
}

export const header = {
  start(given) {
    listeners = given;
    fill(
      document.getElementById("header"),
      h("div", { class: "bar" }, h("a", { class: "brand", href: link("identify") }, h("img", { src: "page/icon.svg", alt: "", width: 28, height: 28 }), texts.brand), h("nav", { "aria-label": texts.header.views }, [...links.values()]), tools),
    );
    onFaces(showUnknown);
    this.draw();
  },
  /** Anew, as after a change of key or collections. */
  draw() {
    fill(tools, session.collections.length > 1 ? picker() : null, button(key.get() ? texts.header.keyGiven : texts.header.key, () => listeners.onKey(), { class: "slim", id: "key" }), themeButton());
    showUnknown();
  },
  current(name) {
    for (const [other, element] of links) {
      if (other === name) element.setAttribute("aria-current", "page");
      else element.removeAttribute("aria-current");
    }
    links.get(name).scrollIntoView({ block: "nearest", inline: "nearest" });
  },
};
