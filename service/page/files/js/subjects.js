// People as the service knows them: names by id, and deletions that can still be taken back.

import { ask } from "./api.js";
import { inCollection } from "./session.js";
import { texts } from "./texts.js";
import { toast } from "./parts/toast.js";

export const UNDO_S = 6;
const waiting = new Map();
const removed = new Set();
const listeners = new Set();

export const nameOf = (subject) => subject.name || subject.external_id || texts.people.noName(subject.id);

/** A subject by its id, or null where it is gone. */
export async function subjectOf(id, query = inCollection()) {
  try {
    return await ask("GET", `/v1/subjects/${encodeURIComponent(id)}`, { query });
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

/** Whether somebody has said to delete it, be that done already or not. */
export const isLeaving = (id) => waiting.has(id) || removed.has(id);
export const onLeaving = (listener) => (listeners.add(listener), () => listeners.delete(listener));

/** Deletes a subject after UNDO_S seconds, unless somebody says undo; on leaving the page at once. */
export function removeLater(subject) {
  const query = inCollection();
  const send = async (keepalive) => {
    waiting.delete(subject.id);
    try {
      await ask("DELETE", `/v1/subjects/${encodeURIComponent(subject.id)}`, { query, keepalive });
      removed.add(subject.id);
    } catch (error) {
      if (error.status !== 404) toast(texts.people.notDeleted(nameOf(subject), error.message));
    }
    tellAll();
  };
  const timer = setTimeout(() => send(false), UNDO_S * 1000);
  waiting.set(subject.id, () => (clearTimeout(timer), send(true)));
  toast(texts.people.deleted(nameOf(subject)), {
    action: texts.common.undo,
    seconds: UNDO_S,
    onAction() {
      clearTimeout(timer);
      waiting.delete(subject.id);
      tellAll();
      toast(texts.people.kept(nameOf(subject)));
    },
  });
  tellAll();
}

function tellAll() {
  for (const listener of listeners) listener();
}

// What was said to be deleted is deleted, also if nobody waits for it here.
addEventListener("pagehide", () => {
  for (const send of [...waiting.values()]) send();
});
