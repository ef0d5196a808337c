// A zip of files as they are, not compressed: photos are that already. The browser reads each file twice,
// for its checksum and when it is sent, and holds one at a time.

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});
const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const VERSION = 20;
const NAMES_ARE_UTF8 = 0x0800;
const FIRST_OF_1980 = 0x21;

// What a zip holds without its extension for large ones.
export const FILES_MOST = 65_535;
export const BYTES_MOST = 4 * 1024 ** 3 - 1;

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Bytes of [size in bytes, value] pairs, little-endian. */
function packed(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return view.buffer;
}

/**
 * A Blob of files: [{path, file}]. note: its comment, in ASCII. `tell(done)` hears how many are read. Raises what
 * reading a file raises, and what `signal` was aborted by. At most FILES_MOST and BYTES_MOST.
 */
export async function zipOf(files, { note = "", tell = () => {}, signal } = {}) {
  const parts = [];
  const directory = [];
  let at = 0;
  for (const [place, { path, file }] of files.entries()) {
    signal?.throwIfAborted();
    const name = new TextEncoder().encode(path);
    const crc = crc32(new Uint8Array(await file.arrayBuffer()));
    const common = [[2, VERSION], [2, NAMES_ARE_UTF8], [2, 0], [2, 0], [2, FIRST_OF_1980], [4, crc], [4, file.size], [4, file.size], [2, name.length], [2, 0]];
    const head = packed([4, LOCAL], ...common);
    parts.push(head, name, file);
    directory.push(packed([4, CENTRAL], [2, VERSION], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]), name);
    at += head.byteLength + name.length + file.size;
    tell(place + 1);
  }
  const size = directory.reduce((sum, part) => sum + part.byteLength, 0);
  const end = packed([4, END], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, size], [4, at], [2, note.length]);
  return new Blob([...parts, ...directory, end, note], { type: "application/zip" });
}
