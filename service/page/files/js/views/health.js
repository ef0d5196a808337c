// Gallery health: what is probably wrong among the people, and what to do about each finding.

import { ask, jobResult } from "../api.js";
import { button, fill, h, note } from "../dom.js";
import { sure } from "../parts/dialog.js";
import { forget, templatesOf, thumbOfTemplate } from "../parts/thumbs.js";
import { toast } from "../parts/toast.js";
import { link } from "../router.js";
import { inCollection, session } from "../session.js";
import { nameOf, subjectOf } from "../subjects.js";
import { texts } from "../texts.js";

const words = texts.health;

export function healthView(place) {
  const progress = h("progress", { "aria-label": words.busy, max: 1, value: 0, hidden: true });
  const report = h("div", { "aria-live": "polite", id: "health" });
  const look = button(words.go, async () => {
    look.disabled = true;
    progress.hidden = false;
    fill(report);
    try {
      const { job } = await ask("POST", `/v1/collections/${encodeURIComponent(session.collection.id)}/health-reports`);
      fill(report, await findings(await jobResult(job, (done) => (progress.value = done))));
    } catch (error) {
      fill(report, note(error.message, "bad"));
    }
    look.disabled = false;
    progress.hidden = true;
  }, { class: "main", id: "look" });
  fill(place, h("p", {}, h("a", { class: "alone", href: link("people") }, words.back)), h("h1", {}, words.title), h("p", { class: "lead" }, words.lead), look, progress, report);
}

async function findings(report) {
  const ids = new Set([
    ...report.duplicates.flatMap(({ first, second }) => [first.subject_id, second.subject_id]),
    ...report.mislabelled.flatMap((found) => [found.subject_id, found.looks_like]),
    ...report.outlying.map((found) => found.subject_id),
  ]);
  const subjects = new Map(await Promise.all([...ids].map(async (id) => [id, await subjectOf(id)])));
  const there = (...wanted) => wanted.every((id) => subjects.get(id));
  const parts = [
    section(words.duplicates, report.duplicates.filter((found) => there(found.first.subject_id, found.second.subject_id)).map((found) => duplicate(found, subjects))),
    section(words.mislabelled, report.mislabelled.filter((found) => there(found.subject_id, found.looks_like)).map((found) => mislabelled(found, subjects))),
    section(words.outlying, report.outlying.filter((found) => there(found.subject_id)).flatMap((found) => outlying(found, subjects))),
  ];
  return [
    h("p", { class: "quiet" }, words.seen(report.subject_count, report.template_count)),
    report.too_little ? note(report.too_little, "warn") : null,
    !report.too_little && parts.every((part) => part === null) ? note(words.fine, "good") : null,
    ...parts,
  ];
}

function section(title, found) {
  return found.length ? h("section", {}, h("h2", {}, title), h("div", { class: "cards" }, found)) : null;
}

function face(subject, templateId) {
  const place = h("figure", {}, h("div", { class: "thumb large" }));
  templatesOf(subject.id).then((templates) => {
    const shown = templates.find((template) => (templateId ? template.id === templateId : template.has_crop)) || { has_crop: false };
    place.firstChild.replaceWith(thumbOfTemplate(shown, nameOf(subject), "large"));
  }).catch(() => {});
  place.append(h("figcaption", {}, h("a", { class: "alone", href: link("people", subject.id) }, nameOf(subject))));
  return place;
}

/** A button that does `work` once somebody is sure, and takes its card away. */
function deed(label, title, sentence, work) {
  const made = button(label, async () => {
    if (!(await sure(title, sentence, label))) return;
    try {
      await work();
      made.closest(".panel").remove();
    } catch (error) {
      toast(error.message);
    }
  }, { class: "danger" });
  return made;
}

function duplicate({ first, second, similarity }, subjects) {
  const [into, from] = [subjects.get(first.subject_id), subjects.get(second.subject_id)];
  return h(
    "article",
    { class: "panel" },
    h("p", {}, words.duplicate(similarity)),
    h("div", { class: "pair" }, face(into), face(from)),
    deed(words.mergeBoth(nameOf(from), nameOf(into)), texts.subject.mergeTitle(nameOf(from)), texts.subject.mergeWords, async () => {
      await ask("POST", `/v1/subjects/${encodeURIComponent(from.id)}/merge`, { query: inCollection(), json: { into: into.id } });
      forget(into.id);
    }),
  );
}

function mislabelled({ template_id: templateId, subject_id: id, looks_like: other, similarity }, subjects) {
  return h(
    "article",
    { class: "panel" },
    h("p", {}, words.mislabelledAs(nameOf(subjects.get(id)), nameOf(subjects.get(other))), " ", words.duplicate(similarity)),
    h("div", { class: "pair" }, face(subjects.get(id), templateId), face(subjects.get(other))),
    removal(templateId, id),
  );
}

function outlying({ template_ids: templates, subject_id: id }, subjects) {
  return templates.map((templateId) =>
    h("article", { class: "panel" }, h("p", {}, words.outlier(nameOf(subjects.get(id)))), face(subjects.get(id), templateId), removal(templateId, id)));
}

function removal(templateId, subjectId) {
  return deed(words.deletePhoto, texts.subject.deletePhotoTitle, texts.subject.deletePhotoWords, async () => {
    await ask("DELETE", `/v1/templates/${encodeURIComponent(templateId)}`, { query: inCollection() });
    forget(subjectId);
  });
}
