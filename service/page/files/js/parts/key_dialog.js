// Asks for an API key. It stays in this tab's session storage, and goes to this service alone.

import { key } from "../api.js";
import { field, h, note } from "../dom.js";
import { texts } from "../texts.js";
import { dialog } from "./dialog.js";

let open = false;

/** Asks once at a time; `after` is called when another key is there. `refusal`: why the last one was not taken. */
export async function askForKey(refusal, after) {
  if (open) return;
  open = true;
  const input = h("input", { type: "password", id: "api-key", autocomplete: "off", spellcheck: false, value: key.get() });
  const content = h(
    "form",
    { on: { submit: (event) => (event.preventDefault(), content.closest("dialog").querySelector("button.main").click()) } },
    refusal ? note(refusal, "bad") : null,
    h("p", {}, texts.key.words),
    field(texts.key.label, input),
  );
  const answer = await dialog(texts.key.title, content, [
    { label: texts.common.cancel, value: null },
    key.get() ? { label: texts.key.forget, value: "" } : null,
    { label: texts.key.use, value: () => input.value.trim(), kind: "main" },
  ].filter(Boolean));
  open = false;
  if (answer === null || answer === key.get()) return;
  key.set(answer);
  after();
}
