// Figures out of Prometheus' text format, as far as the page needs it.

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** [{name, labels, value}] */
export function samples(text) {
  return text.split("\n").flatMap((line) => {
    const found = LINE.exec(line);
    if (!found) return [];
    const labels = Object.fromEntries([...(found[2] || "").matchAll(LABEL)].map(([, name, value]) => [name, value]));
    return [{ name: found[1], labels, value: Number(found[3]) }];
  });
}

/** Sum of the samples of a name whose labels are as wanted. */
export function sum(all, name, fits = () => true) {
  return all.filter((sample) => sample.name === name && fits(sample.labels)).reduce((total, sample) => total + sample.value, 0);
}
