// Numbers in words, the same everywhere on the page.

/** A similarity: three places, as thresholds are told. */
export const similarity = (value) => value.toFixed(3);

// A number and its unit stay on one line.
const SPACE = "\u00a0";

/** A share as per cent, with two digits that say something. */
export function percent(share) {
  const value = share * 100;
  if (value === 0 || value >= 10) return `${Math.round(value * 10) / 10}${SPACE}%`;
  return `${Number(value.toPrecision(2))}${SPACE}%`;
}

export const count = (value) => value.toLocaleString("en");

export const milliseconds = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)}${SPACE}ms`;

export const moment = (rfc3339) => new Date(rfc3339).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
