// Two buttons beside an answer: confirm it, or say that it is somebody else.

import { button, h } from "../dom.js";
import { say } from "../feedback.js";
import { texts } from "../texts.js";
import { toast } from "./toast.js";

const words = texts.identify;

/** Buttons for a remembered face; nothing where there is nobody whom it could be. */
export function verdictButtons(face) {
  const best = face.answer.candidates[0]?.subject;
  if (!best || !face.answer.receipt) return null;
  const name = best.name || best.id;
  // Of somebody who was not named there is nothing to confirm, so it says whom it is about.
  const isMatch = face.answer.decision === "match";
  const made = [
    ["confirmed", isMatch ? words.confirm : words.isWho(name), words.confirmWho(name), words.confirmed, ""],
    ["rejected", isMatch ? words.reject : words.isNotWho(name), words.rejectWho(name), words.rejected, "no"],
  ].map(([verdict, label, spoken, said, kind]) => ({
    verdict,
    kind,
    element: button(label, async () => {
      try {
        await say(face, verdict);
        toast(face.told ? said : words.takenBack);
      } catch (error) {
        toast(error.message);
      }
      show();
    }, { "aria-label": `${label}: ${spoken}`, data: { verdict } }),
  }));
  const show = () => {
    for (const { verdict, kind, element } of made) {
      const is = face.told?.verdict === verdict;
      element.className = `slim ${is ? `on ${kind}` : ""}`.trim();
      element.setAttribute("aria-pressed", String(is));
    }
  };
  show();
  return h("div", { class: "row" }, made.map(({ element }) => element));
}
