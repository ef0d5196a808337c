// Photos come in: dropped, pasted, picked or from the webcam.

import { button, h } from "../dom.js";
import { texts } from "../texts.js";
import { photographed } from "./webcam.js";

/**
 * A place for photos. `onFiles(files)` hears of them. many: several at once. Returns the element; what
 * is pasted anywhere comes here as long as it is on the page.
 */
export function dropZone(onFiles, { many = false, words = texts.drop.one } = {}) {
  const take = (files) => {
    const photos = [...files].filter((file) => file.type.startsWith("image/") || !file.type);
    if (photos.length) onFiles(many ? photos : photos.slice(0, 1));
  };
  const input = h("input", {
    type: "file", accept: "image/jpeg,image/png,image/webp", multiple: many, hidden: true, class: "pick", tabIndex: -1, "aria-label": texts.drop.pick(many),
    on: { change: () => (take(input.files), (input.value = "")) },
  });
  const zone = h(
    "div",
    {
      class: "drop",
      on: {
        dragover: (event) => (event.preventDefault(), zone.classList.add("over")),
        dragleave: () => zone.classList.remove("over"),
        drop(event) {
          event.preventDefault();
          zone.classList.remove("over");
          take(event.dataTransfer.files);
        },
      },
    },
    h("p", { class: "for-mouse" }, words),
    h(
      "div",
      { class: "row" },
      button(texts.drop.pick(many), () => input.click(), { class: "main" }),
      navigator.mediaDevices ? button(texts.drop.webcam, async () => take(await photographed())) : null,
    ),
    h("p", { class: "quiet small" }, texts.drop.hint),
    input,
  );
  const paste = (event) => {
    if (!zone.isConnected) return removeEventListener("paste", paste);
    if (event.clipboardData.files.length) take(event.clipboardData.files);
    return undefined;
  };
  addEventListener("paste", paste);
  return zone;
}
