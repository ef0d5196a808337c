// Elements from code. Nothing here takes HTML, so no name of a person can become markup.

/**
 * An element. `props`: `class`, `on` ({event: listener}), `data`, `style` (by the object model, which
 * the policy allows), properties of the element, and attributes for all else. Children may be
 * lists; null and false are left out.
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (name === "class") element.className = value;
    else if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "style") Object.assign(element.style, value);
    else if (name in element && !name.startsWith("aria")) element[name] = value;
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...shown(children));
  return element;
}

/** Puts `children` in the place of what is in `parent`. */
export function fill(parent, ...children) {
  parent.replaceChildren(...shown(children));
  return parent;
}

const shown = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);

/** A button; `more` are props of `h`. */
export function button(label, onClick, more = {}) {
  return h("button", { type: "button", ...more, on: { click: onClick, ...more.on } }, label);
}

/** A labelled field: `control` with its words, and a hint below. */
export function field(label, control, hint) {
  return h("label", { class: "field" }, h("span", {}, label), control, hint ? h("small", {}, hint) : null);
}

/** A labelled box to tick. */
export function tick(label, control) {
  return h("label", { class: "tick" }, control, h("span", {}, label));
}

/** A term and what it says, for a `dl`. */
export function fact(term, ...said) {
  return [h("dt", {}, term), h("dd", {}, ...said)];
}

/** A note; kind: "bad", "warn", "good" or none. */
export function note(words, kind = "") {
  return h("p", { class: `note ${kind}`.trim(), role: kind === "bad" ? "alert" : undefined }, words);
}
