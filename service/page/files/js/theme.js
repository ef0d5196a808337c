// Light or dark: the system's, until somebody chooses.

const CHOSEN = "oneglance.theme";

export function isDark() {
  const { theme } = document.documentElement.dataset;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

export function toggle() {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(CHOSEN, theme);
  } catch {
    // It holds until the page is left, then.
  }
  dispatchEvent(new Event("theme"));
}

/** The colour that the style sheet calls `--name` now, for what is drawn on a canvas. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
