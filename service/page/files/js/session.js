// What this visit knows: the collection, and what was identified. In memory alone, gone with the page.

const CHOSEN = "oneglance.collection";
const MOST_RECENT = 100;
const MOST_UNKNOWN = 200;
const changed = new Set();

export const session = {
  collections: [],
  collection: null,
  bundles: [],
  /** Answered faces, newest first: {at, photo, face, crop, collection, verdict}. */
  recent: [],
  /** Faces that were called unknown, newest first: {id, crop, collection}. */
  unknown: [],
};

let lastId = 0;

export const chosenBefore = () => sessionStorage.getItem(CHOSEN);

export function choose(collection) {
  session.collection = collection;
  sessionStorage.setItem(CHOSEN, collection.id);
}

/** Query or form field that says the collection; the service's own needs none. */
export const inCollection = () => ({ collection: session.collection && !session.collection.default ? session.collection.id : null });

/** Puts the answered faces of one photo before the others; those of `former` are replaced by them. */
export function remember(faces, former = []) {
  const gone = new Set(former);
  for (const face of faces) face.id = ++lastId;
  session.recent = [...faces, ...session.recent.filter((face) => !gone.has(face))].slice(0, MOST_RECENT);
  const unknown = faces.filter((face) => face.answer.decision === "unknown");
  session.unknown = [...unknown, ...session.unknown.filter((face) => !gone.has(face))].slice(0, MOST_UNKNOWN);
  for (const listener of changed) listener();
}

/** Takes faces out of the unknown ones. */
export function settle(faces) {
  const done = new Set(faces);
  session.unknown = session.unknown.filter((face) => !done.has(face));
  for (const listener of changed) listener();
}

/** Calls `listener` whenever there are other faces. */
export const onFaces = (listener) => changed.add(listener);

export const unknownHere = () => session.unknown.filter((face) => face.collection === session.collection?.id);
export const recentHere = () => session.recent.filter((face) => face.collection === session.collection?.id);
