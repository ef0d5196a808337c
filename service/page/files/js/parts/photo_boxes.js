// A photo with a box on each face.

import { fill, h } from "../dom.js";
import { showBlob } from "../pictures.js";

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
    fill(over, boxes.map(({ bbox, label, kind, words, onClick }) => {
      const inside = bbox.y + bbox.height > 0.9 * height;
      const rightmost = bbox.x > 0.6 * width;
      return h("button", {
        type: "button",
        class: ["box", kind, inside && "inside", rightmost && "rightmost"].filter(Boolean).join(" "),
        "aria-label": words,
        disabled: !onClick,
        style: {
          left: `${(100 * bbox.x) / width}%`, top: `${(100 * bbox.y) / height}%`,
          width: `${(100 * bbox.width) / width}%`, height: `${(100 * bbox.height) / height}%`,
        },
        on: { click: () => onClick?.() },
      }, label ? h("span", {}, label) : null);
    }));
  };
  image.addEventListener("load", place);
  return { element, draw: (given) => ((boxes = given), place()) };
}
