// A short word at the bottom, with something that can be done about it for some seconds.

import { button, h } from "../dom.js";

const SECONDS = 5;

/** Says `words`; `action` and `onAction` make a button of it. Returns a way to take it away. */
export function toast(words, { action, onAction, seconds = SECONDS } = {}) {
  const away = () => element.remove();
  const element = h("div", { class: "toast" }, h("span", {}, words), action ? button(action, () => (away(), onAction()), { class: "slim" }) : null);
  document.getElementById("toasts").append(element);
  setTimeout(away, seconds * 1000);
  return away;
}
