// A list of any length: only the rows that can be seen are on the page.

import { fill, h } from "../dom.js";

const ROW_PX = 64;
const MORE_ROWS = 6;
// Browsers draw nothing that is much taller than 16 million pixels.
const MOST_ROWS = 250_000;

/** `row(item)` gives the children of one row. Returns the element and show(rows). */
export function virtualList(label, row) {
  const all = h("div", { class: "all", role: "list", "aria-label": label });
  const element = h("div", { class: "list", tabIndex: 0, role: "group", "aria-label": label, on: { scroll: () => schedule() } }, all);
  const made = new Map();
  let rows = { length: 0, at: () => null };
  let waiting = false;

  const draw = () => {
    waiting = false;
    const first = Math.max(0, Math.floor(element.scrollTop / ROW_PX) - MORE_ROWS);
    const last = Math.min(rows.length, MOST_ROWS, Math.ceil((element.scrollTop + element.clientHeight) / ROW_PX) + MORE_ROWS);
    const items = Array.from({ length: Math.max(0, last - first) }, (_, below) => rows.at(first + below));
    const wanted = new Set(items);
    for (const [item, shown] of made) {
      if (wanted.has(item)) continue;
      shown.remove();
      made.delete(item);
    }
    // From below, so that each is put before the next: Tab goes through them as they are seen.
    let next = null;
    for (let place = last - 1; place >= first; place -= 1) {
      const item = items[place - first];
      if (!item) continue;
      if (!made.has(item)) made.set(item, h("div", { class: "item", role: "listitem" }, row(item)));
      const shown = made.get(item);
      if (!shown.isConnected || shown.nextSibling !== next) all.insertBefore(shown, next);
      next = shown;
      shown.style.transform = `translateY(${place * ROW_PX}px)`;
      shown.setAttribute("aria-setsize", rows.length);
      shown.setAttribute("aria-posinset", place + 1);
    }
  };
  const schedule = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(draw);
  };
  new ResizeObserver(schedule).observe(element);
  return {
    element,
    /**
     * rows: {length, at(place)}, null at a place where nothing is known yet. The same objects keep their
     * rows on the page; others are drawn anew.
     */
    show(given) {
      rows = given;
      all.style.height = `${Math.min(rows.length, MOST_ROWS) * ROW_PX}px`;
      schedule();
    },
    /** Draws all rows anew. */
    redraw() {
      made.clear();
      fill(all);
      schedule();
    },
  };
}
