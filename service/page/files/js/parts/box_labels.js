// Names at the boxes on a photo, so that each can be read.

import { h } from "../dom.js";

/** The name; `number` stands in its place where there is no room for it. */
export const boxLabel = (words, number) => h("span", { data: { number } }, words);

/** Names that would leave `photo` turn inwards; those that would lie over each other keep to their box. */
export function fitLabels(photo) {
  const labels = [...photo.querySelectorAll(".box span")];
  const placeOf = (label) => label.getBoundingClientRect();
  for (const label of labels) label.classList.remove("inwards", "tight");
  const { right } = placeOf(photo);
  for (const label of labels) label.classList.toggle("inwards", placeOf(label).right > right);
  const places = labels.map(placeOf);
  const isCovered = places.map((one) => places.some((other) => other !== one && overlap(one, other)));
  labels.forEach((label, number) => label.classList.toggle("tight", isCovered[number]));
}

const overlap = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
