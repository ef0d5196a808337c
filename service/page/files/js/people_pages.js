// Everybody of a collection, page by page. However many they are, what is kept of them is bounded.

import { ask } from "./api.js";
import { inCollection } from "./session.js";
import { isLeaving } from "./subjects.js";

// People of a page, and pages that are kept: 20,000 people in about 10 MB.
const SIZES = { size: 1000, most: 20 };
// The next page is asked for so many rows before its first one can be seen.
const ROWS_AHEAD = 300;

const entryOf = (subject) => ({ subject, text: [subject.name, subject.external_id, subject.id].filter(Boolean).join("\n").toLocaleLowerCase() });

/** Entries {subject, text to search in} by their place. `changed` is called when there are others. */
export class PeoplePages {
  constructor({ signal, changed = () => {}, failed = () => {}, sizes = SIZES }) {
    Object.assign(this, { signal, changed, failed, sizes, query: inCollection() });
    /** Where each page that is known begins: a cursor of the service. */
    this.starts = [null];
    /** How many of each are shown. */
    this.lengths = [];
    this.isWhole = false;
    this.kept = new Map();
    this.loading = new Map();
  }

  /** Rows that are known of. */
  get length() {
    return this.lengths.reduce((sum, many) => sum + many, 0);
  }

  /** Whether none is kept by the service alone. */
  get isKept() {
    return this.isWhole && this.kept.size === this.lengths.length;
  }

  /** The entry of a row; null where it is still asked for. */
  at(place) {
    if (!this.isWhole && place >= this.length - ROWS_AHEAD) this.want(this.lengths.length);
    let rest = place;
    const number = this.lengths.findIndex((many) => rest < many || ((rest -= many), false));
    const page = this.kept.get(number);
    if (number >= 0 && !page) this.want(number);
    return page?.shown[rest] ?? null;
  }

  want(number) {
    if (!this.loading.has(number)) this.page(number, true).then(() => this.changed(), this.failed);
  }

  /** As many as are kept, one page after the other. Raises what asking raises. */
  async begin() {
    while (!this.isWhole && this.kept.size < this.sizes.most) {
      await this.page(this.lengths.length, true);
      this.changed();
    }
  }

  /** Page after page to `look(entries)`, until it answers false. */
  async each(look) {
    for (let number = 0; number < this.lengths.length || !this.isWhole; number += 1) {
      if (!look((await this.page(number, false)).shown)) return;
    }
  }

  /** Those of exactly this name or own id, as the service finds them. */
  async exactly(words) {
    const found = await Promise.all(["name", "external_id"].map((fact) => ask("GET", "/v1/subjects", { query: { ...this.query, [fact]: words }, signal: this.signal })));
    return found.flatMap(({ subjects }) => subjects.map(entryOf)).filter(({ subject }) => !isLeaving(subject.id));
  }

  /** Somebody was deleted, or kept after all. */
  recount() {
    for (const [number, page] of this.kept) this.count(number, page);
  }

  count(number, page) {
    page.shown = page.entries.filter(({ subject }) => !isLeaving(subject.id));
    this.lengths[number] = page.shown.length;
  }

  /** keep: in the place of the page that is farthest from it, if need be. */
  page(number, keep) {
    if (this.kept.has(number)) return Promise.resolve(this.kept.get(number));
    if (!this.loading.has(number)) this.loading.set(number, this.load(number, keep).finally(() => this.loading.delete(number)));
    return this.loading.get(number);
  }

  async load(number, keep) {
    const { subjects, next_cursor: next } = await ask("GET", "/v1/subjects", { query: { ...this.query, limit: this.sizes.size, cursor: this.starts[number] }, signal: this.signal });
    // Who was removed lets others move up: the pages behind begin elsewhere, then.
    if (this.starts[number + 1] !== undefined && this.starts[number + 1] !== next) this.forgetFrom(number + 1);
    if (next) this.starts[number + 1] = next;
    else this.isWhole = true;
    const page = { entries: subjects.map(entryOf) };
    this.count(number, page);
    if (keep || this.kept.size < this.sizes.most) this.kept.set(number, page);
    if (this.kept.size > this.sizes.most) this.kept.delete([...this.kept.keys()].reduce((far, one) => (Math.abs(one - number) > Math.abs(far - number) ? one : far)));
    return page;
  }

  forgetFrom(number) {
    this.starts.length = number;
    this.lengths.length = Math.min(this.lengths.length, number);
    this.isWhole = false;
    for (const one of [...this.kept.keys()]) if (one >= number) this.kept.delete(one);
  }
}
