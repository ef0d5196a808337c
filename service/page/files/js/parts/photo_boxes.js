// A photo with a box on each face.

import { fill, h } from "../dom.js";
import { showBlob } from "../pictures.js";
import { boxLabel, fitLabels } from "./box_labels.js";

/**
 * An element that shows `blob`, and a function draw(boxes) for what lies over it. boxes: [{bbox, label,
 * kind, words, onClick}], pixels of the upright photo; `words` is what a reader hears.
 */
export function photoWithBoxes(blob, alt) {
  const image = showBlob(h("img", { alt }), blob);
  const over = h("div", {});
  const element = h("div", { class: "photo" }, image, over);
  let boxes = [];
  const place = () => {
    const { naturalWidth: width, naturalHeight: height } = image;
    if (!width) return;
    element.style.setProperty("--ratio", width / height);
    fill(over, boxes.map(({ bbox, label, kind, words, onClick }, number) => {
      const inside = bbox.y + bbox.height > 0.9 * height;
      return h("button", {
        type: "button",
        class: ["box", kind, inside && "inside"].filter(Boolean).join(" "),
        "aria-label": words,
        disabled: !onClick,
        style: {
          left: `${(100 * bbox.x) / width}%`, top: `${(100 * bbox.y) / height}%`,
          width: `${(100 * bbox.width) / width}%`, height: `${(100 * bbox.height) / height}%`,
        },
        on: { click: () => onClick?.() },
      }, label ? boxLabel(label, number + 1) : null);
    }));
    fitLabels(element);
  };
  image.addEventListener("load", place);
  new ResizeObserver(() => fitLabels(element)).observe(element);
  return { element, draw: (given) => ((boxes = given), place()) };
}
