// People: everybody in a list, one of them, or what is wrong with them.

import { ask } from "../api.js";
import { button, field, fill, h, note } from "../dom.js";
import { thumbOf } from "../parts/thumbs.js";
import { virtualList } from "../parts/virtual_list.js";
import { link } from "../router.js";
import { inCollection } from "../session.js";
import { everybody, isLeaving, nameOf, onLeaving } from "../subjects.js";
import { texts } from "../texts.js";
import { healthView } from "./health.js";
import { subjectView } from "./subject.js";

const words = texts.people;
// More are found by their exact name, by the service.
const MOST = 20_000;

export function view(place, [id]) {
  if (id === "-health") return healthView(place);
  if (id) return subjectView(place, id);
  return listView(place);
}

function row(subject) {
  const { id, external_id: externalId, template_count: templates } = subject;
  return [
    thumbOf(subject, "little"),
    h("div", { class: "who" }, h("a", { href: link("people", id) }, nameOf(subject)), h("small", {}, [words.templates(templates), externalId].filter(Boolean).join(" · "))),
  ];
}

const textOf = (subject) => [subject.name, subject.external_id, subject.id].filter(Boolean).join("\n").toLocaleLowerCase();

function listView(place) {
  const stop = new AbortController();
  let subjects = [];
  let more = false;
  const search = h("input", { type: "search", id: "search", autocomplete: "off", on: { input: show } });
  const said = h("p", { class: "quiet", role: "status", id: "said" }, texts.common.loading);
  const rest = h("div", {});
  const list = virtualList(words.list, row);

  function show() {
    const wish = search.value.trim().toLocaleLowerCase();
    const there = subjects.filter(({ subject }) => !isLeaving(subject.id));
    const shown = wish ? there.filter(({ text }) => text.includes(wish)) : there;
    fill(said, words.showing(shown.length, there.length, more));
    list.element.hidden = !shown.length;
    list.show(shown.map(({ subject }) => subject));
    fill(rest, emptyWords(there.length, shown.length), more && wish ? button(words.exact, exact) : null);
  }

  async function exact() {
    const found = await ask("GET", "/v1/subjects", { query: { ...inCollection(), name: search.value.trim() } });
    const known = new Set(subjects.map(({ subject }) => subject.id));
    subjects.push(...found.subjects.filter(({ id }) => !known.has(id)).map((subject) => ({ subject, text: textOf(subject) })));
    show();
  }

  fill(
    place,
    h("div", { class: "row apart" }, h("h1", {}, texts.views.people), h("div", { class: "row" }, h("a", { class: "button", href: link("people", "-health") }, words.health), h("a", { class: "button", href: link("enrol") }, words.enrolFirst))),
    h("p", { class: "lead" }, words.lead),
    field(words.search, search, words.searchHint),
    said,
    list.element,
    rest,
  );
  everybody((page, isMore) => {
    subjects = subjects.concat(page.map((subject) => ({ subject, text: textOf(subject) })));
    more = isMore;
    show();
  }, { most: MOST, signal: stop.signal }).catch((error) => error.name === "AbortError" || fill(said, note(error.message, "bad")));
  const forget = onLeaving(show);
  return () => (stop.abort(), forget());
}

function emptyWords(all, shown) {
  if (shown) return null;
  return all ? note(words.noMatch) : note(words.none);
}
