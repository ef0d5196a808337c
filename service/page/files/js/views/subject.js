// One person: what is known, their photos, and what can be done.

import { ask } from "../api.js";
import { button, fact, field, fill, h, note } from "../dom.js";
import { moment } from "../numbers.js";
import { sure } from "../parts/dialog.js";
import { mergeWish } from "../parts/merge_dialog.js";
import { forget, templatesOf, thumbOfTemplate } from "../parts/thumbs.js";
import { toast } from "../parts/toast.js";
import { go, link } from "../router.js";
import { inCollection } from "../session.js";
import { nameOf, removeLater, subjectOf } from "../subjects.js";
import { texts } from "../texts.js";

const words = texts.subject;

export function subjectView(place, id) {
  const body = h("div", {}, h("p", {}, texts.common.loading));
  fill(place, h("p", {}, h("a", { class: "alone", href: link("people") }, words.back)), body);
  const load = async () => {
    try {
      const subject = await subjectOf(id);
      if (subject) fill(body, parts(subject, await templatesOf(id), load));
      else fill(body, note(words.gone, "warn"));
    } catch (error) {
      fill(body, note(error.message, "bad"));
    }
  };
  load();
}

function parts(subject, templates, load) {
  return [
    h("div", { class: "row apart" }, h("h1", { id: "name" }, nameOf(subject)), actions(subject)),
    h("div", { class: "even below" }, facts(subject, load), photos(subject, templates, load)),
  ];
}

function facts(subject, load) {
  const name = h("input", { id: "new-name", value: subject.name || "", maxLength: 200, autocomplete: "off" });
  const save = async (event) => {
    event.preventDefault();
    try {
      await ask("PATCH", `/v1/subjects/${encodeURIComponent(subject.id)}`, { query: inCollection(), json: { name: name.value.trim() || null } });
      toast(words.renamed);
      load();
    } catch (error) {
      toast(error.message);
    }
  };
  const metadata = Object.entries(subject.metadata);
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, words.facts),
    h("form", { class: "beside", on: { submit: save } }, field(words.rename, name), h("button", { type: "submit", id: "rename" }, texts.common.save)),
    h(
      "dl",
      {},
      fact(words.id, h("code", {}, subject.id)),
      subject.external_id ? fact(words.externalId, subject.external_id) : null,
      fact(words.enrolled, moment(subject.created_at)),
      subject.expires_at ? fact(words.expires, moment(subject.expires_at)) : null,
      subject.consent_ref ? fact(words.consent, subject.consent_ref) : null,
      metadata.length ? fact(words.metadata, h("code", {}, JSON.stringify(subject.metadata))) : null,
    ),
  );
}

function actions(subject) {
  const merge = async () => {
    const other = await mergeWish(subject);
    if (!other) return;
    try {
      await ask("POST", `/v1/subjects/${encodeURIComponent(subject.id)}/merge`, { query: inCollection(), json: { into: other.id } });
      forget(other.id);
      toast(words.merged(nameOf(other)));
      go("people", other.id);
    } catch (error) {
      toast(error.message);
    }
  };
  const remove = () => {
    removeLater(subject);
    go("people");
  };
  return h("div", { class: "row" }, h("a", { class: "button", href: `${link("enrol")}?subject=${encodeURIComponent(subject.id)}` }, words.more), button(words.merge, merge, { id: "merge" }), button(words.delete, remove, { class: "danger", id: "delete" }));
}

function photos(subject, templates, load) {
  const remove = async (template) => {
    if (!(await sure(words.deletePhotoTitle, words.deletePhotoWords, words.deletePhotoLabel))) return;
    try {
      await ask("DELETE", `/v1/templates/${encodeURIComponent(template.id)}`, { query: inCollection() });
      forget(subject.id);
      toast(words.photoDeleted);
      load();
    } catch (error) {
      toast(error.message);
    }
  };
  const shown = templates.map((template, place) =>
    h(
      "li",
      { class: "template" },
      thumbOfTemplate(template, words.photoOf(place + 1, nameOf(subject)), "large"),
      h("span", { class: "quiet" }, moment(template.created_at)),
      button(texts.common.remove, () => remove(template), { class: "slim", "aria-label": `${texts.common.remove}: ${words.deletePhoto(place + 1)}` }),
    ));
  return h("section", { class: "panel" }, h("h2", {}, words.photos), templates.length ? h("ul", { class: "plain templates" }, shown) : note(words.noPhotos, "warn"));
}
