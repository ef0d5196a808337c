// People: everybody in a list, one of them, or what is wrong with them.

import { field, fill, h, note } from "../dom.js";
import { thumbOf } from "../parts/thumbs.js";
import { virtualList } from "../parts/virtual_list.js";
import { PeoplePages } from "../people_pages.js";
import { search } from "../people_search.js";
import { link } from "../router.js";
import { isLeaving, nameOf, onLeaving } from "../subjects.js";
import { texts } from "../texts.js";
import { healthView } from "./health.js";
import { subjectView } from "./subject.js";

const words = texts.people;
const FOUND_MOST = 1000;

export function view(place, [id]) {
  if (id === "-health") return healthView(place);
  if (id) return subjectView(place, id);
  return listView(place);
}

function row({ subject }) {
  const { id, external_id: externalId, template_count: templates } = subject;
  return [
    thumbOf(subject, "little"),
    h("div", { class: "who" }, h("a", { href: link("people", id) }, nameOf(subject)), h("small", {}, [words.templates(templates), externalId].filter(Boolean).join(" · "))),
  ];
}

function listView(place) {
  const stop = new AbortController();
  let found = null;
  let turn = 0;
  const input = h("input", { type: "search", id: "search", autocomplete: "off", on: { input: look } });
  const said = h("p", { class: "quiet", role: "status", id: "said" }, texts.common.loading);
  const rest = h("div", {});
  const list = virtualList(words.list, row);
  const failed = (error) => error.name === "AbortError" || fill(said, note(error.message, "bad"));
  const pages = new PeoplePages({ signal: stop.signal, changed: showAll, failed });

  function show(rows, sentence, empty) {
    fill(said, sentence);
    list.element.hidden = !rows.length;
    list.show(rows);
    fill(rest, rows.length ? null : note(empty));
  }

  function showAll() {
    if (!found) show(pages, pages.length ? words.showing(pages.length, pages.isWhole) : "", words.none);
  }

  function showFound() {
    const there = found.entries.filter(({ subject }) => !isLeaving(subject.id));
    show({ length: there.length, at: (row) => there[row] }, words.found(there.length, found.looked, found.entries.length >= FOUND_MOST), words.noMatch);
  }

  async function look() {
    const mine = ++turn;
    found = null;
    if (!input.value.trim()) return showAll();
    const tell = (entries, looked) => (found = { entries, looked }, showFound());
    return search(pages, input.value, { most: FOUND_MOST, tell, stopped: () => mine !== turn }).catch(failed);
  }

  fill(
    place,
    h("div", { class: "row apart" }, h("h1", {}, texts.views.people), h("div", { class: "row" }, h("a", { class: "button", href: link("people", "-health") }, words.health), h("a", { class: "button", href: link("enrol") }, words.enrolFirst))),
    h("p", { class: "lead" }, words.lead),
    field(words.search, input, words.searchHint),
    said,
    list.element,
    rest,
  );
  pages.begin().catch(failed);
  const forget = onLeaving(() => (pages.recount(), found ? showFound() : showAll()));
  return () => (stop.abort(), forget());
}
