// Questions that wait for an answer. <dialog> keeps the focus inside and gives it back.

import { button, h } from "../dom.js";
import { texts } from "../texts.js";

/**
 * Opens a dialog. `actions`: [{label, value, kind}], the first one has the focus. Resolves to the value
 * of the action that was taken, null where it was closed.
 */
export function dialog(title, content, actions) {
  return new Promise((done) => {
    const end = (value) => {
      element.close();
      element.remove();
      done(value);
    };
    const id = `dialog-${Math.random().toString(36).slice(2)}`;
    const element = h(
      "dialog",
      { "aria-labelledby": id, on: { cancel: (event) => (event.preventDefault(), end(null)) } },
      h("h2", { id }, title),
      content,
      h("div", { class: "row end" }, actions.map(({ label, value, kind = "" }) => button(label, () => end(typeof value === "function" ? value() : value), { class: kind }))),
    );
    document.body.append(element);
    element.showModal();
  });
}

/** Yes or no. */
export const sure = (title, words, label) =>
  dialog(title, h("p", {}, words), [
    { label: texts.common.cancel, value: false },
    { label, value: true, kind: "danger main" },
  ]);
