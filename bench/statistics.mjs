/** The value below which the given share of the numbers lies. */
export function percentile(numbers, share) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

export const median = (numbers) => percentile(numbers, 0.5);

/**
 * The ratio of two measures: the median of the ratios of the individual runs, because disturbances of a run affect both
 * measures. Undefined if one of them was not measured.
 */
export function ratioOf(ours, theirs) {
  const ratios = ours.map((value, run) => value / theirs[run]).filter(Number.isFinite);
  return ratios.length === 0 ? {} : { ratio: median(ratios), ratios };
}
