// Which view the address names: #/people/ID is the view "people" with the rest ["ID"].

/** Calls `show(name, rest, query)` now and at each change of the address. */
export function start(show, first) {
  const now = () => {
    const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
    const [name, ...rest] = path.split("/").map(decodeURIComponent);
    show(name || first, rest, new URLSearchParams(query));
  };
  addEventListener("hashchange", now);
  now();
  return now;
}

export const link = (...parts) => `#/${parts.map(encodeURIComponent).join("/")}`;

export function go(...parts) {
  location.hash = link(...parts);
}
