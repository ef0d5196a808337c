// A request of the page as somebody would type it.

import { address, key } from "./api.js";
import { texts } from "./texts.js";

const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** A form sent to `path` as a curl command; a key is named, not shown. */
export function curlOf(path, fields) {
  const parts = Object.entries(fields)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => `-F ${quoted(`${name}=${value}`)}`);
  const header = key.get() ? [`-H 'Authorization: Bearer ${texts.identify.key}'`] : [];
  return ["curl", ...header, ...parts, quoted(address(path))].join(" ");
}
