// Not a module: runs before anything is drawn, so that a chosen theme does not flash.
try {
  const theme = localStorage.getItem("oneglance.theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage is forbidden here: the system's theme it is.
}
