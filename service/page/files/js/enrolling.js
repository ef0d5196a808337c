// One photo after the other is enrolled, so that each has its own answer.

import { ApiProblem, ask, formOf } from "./api.js";
import { forget } from "./parts/thumbs.js";
import { inCollection } from "./session.js";

/**
 * Enrols one photo. subject: {id} to add to, else what is known of a new one. Answers {subject, warnings}
 * or {refusal}, words of the service, or {duplicates: [{subject_id, similarity}]} where somebody
 * enrolled looks like it and `check` is "reject". Raises ApiProblem for what is not the photo's fault.
 */
export async function enrolPhoto(photo, subject, { check = "warn", storeCrop, largest = false }) {
  const fields = subject.id ? { subject_id: subject.id } : { name: subject.name, external_id: subject.external_id, consent_ref: subject.consent_ref };
  const form = formOf({
    images: photo, ...fields, ...inCollection(),
    duplicate_check: check, store_image: storeCrop ? "crop" : "none", face_policy: largest ? "largest" : "single",
  });
  try {
    // A new key each: a request that is sent again by the browser enrols nobody twice.
    const answer = await ask("POST", "/v1/enroll", { form, headers: { "Idempotency-Key": keyOfOwn() } });
    forget(answer.subject.id);
    return { subject: answer.subject, warnings: answer.warnings };
  } catch (error) {
    if (!(error instanceof ApiProblem)) throw error;
    if (error.code === "possible_duplicate") return { duplicates: error.errors };
    if ([413, 415, 422].includes(error.status)) return { refusal: error.message };
    throw error;
  }
}

// crypto.randomUUID is not there where the page came over plain HTTP from another machine.
const keyOfOwn = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
