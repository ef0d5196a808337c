// What the page asks of its service. The address is the page's own: no other host is ever asked.

import { texts } from "./texts.js";

const KEY = "oneglance.api-key";
const base = new URL("./", document.baseURI);
const keyListeners = new Set();

/** What the service refused, in its own words (RFC 9457). */
export class ApiProblem extends Error {
  constructor(status, problem) {
    super(problem.detail || texts.api.status(status));
    this.status = status;
    this.code = problem.code || "";
    this.errors = problem.errors || [];
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY) || "",
  set(text) {
    if (text) sessionStorage.setItem(KEY, text);
    else sessionStorage.removeItem(KEY);
  },
  /** Calls `listener` with the problem whenever a request lacked a good key. */
  onNeeded: (listener) => keyListeners.add(listener),
};

export const address = (path) => new URL(path.replace(/^\//, ""), base).href;

/**
 * One request; the answer is parsed JSON, null for 204, a Response if `raw`. Raises ApiProblem, or
 * AbortError where `signal` says so.
 */
export async function ask(method, path, { query, form, json, headers = {}, signal, raw, keepalive } = {}) {
  const url = new URL(address(path));
  for (const [name, value] of Object.entries(query || {})) if (value !== null && value !== undefined) url.searchParams.set(name, value);
  const sent = { ...headers };
  if (key.get()) sent.Authorization = `Bearer ${key.get()}`;
  if (json) sent["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(url, { method, headers: sent, body: json ? JSON.stringify(json) : form, signal, keepalive, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiProblem(0, { detail: texts.api.unreachable });
  }
  if (answer.ok) {
    if (raw) return answer;
    return answer.status === 204 ? null : answer.json();
  }
  const problem = new ApiProblem(answer.status, await answer.json().catch(() => ({})));
  if (answer.status === 401) for (const listener of keyListeners) listener(problem);
  throw problem;
}

/** A form of what is not null; a list becomes a field for each of its files. */
export function formOf(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value === null || value === undefined || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) form.append(name, one, ...(one instanceof File ? [one.name] : one instanceof Blob ? ["photo.jpg"] : []));
  }
  return form;
}

/**
 * The job's result, asked for until it has ended; `tell` hears the share done. Raises ApiProblem, or AbortError
 * where `signal` says so.
 */
export async function jobResult(job, tell = () => {}, signal = undefined) {
  let now = job;
  while (now.status === "queued" || now.status === "running") {
    tell(now.progress);
    await new Promise((wake) => setTimeout(wake, 300));
    now = await ask("GET", `/v1/jobs/${now.id}`, { signal });
  }
  if (now.status === "failed") throw new ApiProblem(now.error.status, now.error);
  return now.result;
}
