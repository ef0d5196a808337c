// Grouping of faces by their embeddings. What a similarity is, contract/similarity.py says; this is its twin.

/** similarity = 1 - distance / d_max, 0 beyond it (docs/api.md, POST /v1/embed). */
export function similarity(a, b, dMax) {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += (a[i] - b[i]) ** 2;
  return Math.max(0, 1 - Math.sqrt(sum) / dMax);
}

/**
 * Groups of items, largest first: two are in one group if a chain of similarities of at least `least`
 * connects them. items: [{embedding}], all of one contract; null embeddings stay alone.
 */
export function grouped(items, dMax, least) {
  const groups = [];
  for (const item of items) {
    const near = groups.filter((group) => group.some((other) => item.embedding && other.embedding && similarity(item.embedding, other.embedding, dMax) >= least));
    const joined = [item, ...near.flat()];
    for (const group of near) groups.splice(groups.indexOf(group), 1);
    groups.push(joined);
  }
  return groups.sort((a, b) => b.length - a.length);
}
