// "This is she", "this is not": what people say of an answer, by its receipt.

import { ask } from "./api.js";
import { inCollection } from "./session.js";

/** Says `verdict` of a remembered face; the same again takes it back. face.told is what holds then. */
export async function say(face, verdict) {
  if (face.told?.verdict === verdict) {
    await ask("DELETE", `/v1/feedback/${face.told.id}`, { query: inCollection() });
    face.told = null;
    return;
  }
  // The receipt knows its collection.
  const { id } = await ask("POST", "/v1/feedback", { json: { receipt: face.answer.receipt, verdict } });
  face.told = { id, verdict };
}
