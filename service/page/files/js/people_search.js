// Who is called like some words, in part: looked for among everybody, page by page.

/**
 * `tell(entries, looked)` hears who was found among how many, page by page, `most` of them at most. Ends
 * early once `stopped()` says so. Raises what asking raises.
 */
export async function search(pages, words, { most, tell, stopped = () => false }) {
  const wanted = words.trim().toLocaleLowerCase();
  const found = new Map();
  const take = (entries) => {
    for (const entry of entries) if (found.size < most && !found.has(entry.subject.id)) found.set(entry.subject.id, entry);
  };
  // The service has an index of whole names, so that one is there at once.
  if (words.trim() && !pages.isKept) take(await pages.exactly(words.trim()));
  let looked = 0;
  await pages.each((entries) => {
    if (stopped()) return false;
    looked += entries.length;
    take(entries.filter(({ text }) => text.includes(wanted)));
    tell([...found.values()], looked);
    return found.size < most;
  });
}
