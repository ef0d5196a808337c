// What a calibration's curve says at a threshold, and what a growing gallery does to it.

/** The point of `curve` that is nearest to `threshold`. */
export const pointAt = (curve, threshold) => curve.points[Math.round(threshold * (curve.points.length - 1))];

/**
 * The share of strangers let through among `subjects`, if it is `share` among `measured`: an error rate
 * per enrolled subject, as contract/calibration/thresholds.py has it (docs/adr/0011).
 */
export const among = (share, measured, subjects) => (share >= 1 ? 1 : -Math.expm1(Math.log1p(-share) * (subjects / measured)));

/** Shares of `counts` in so many wider parts, of all `total` searches. */
export function parts(counts, many, total) {
  const wide = counts.length / many;
  return Array.from({ length: many }, (_, part) => counts.slice(part * wide, (part + 1) * wide).reduce((sum, one) => sum + one, 0) / total);
}
