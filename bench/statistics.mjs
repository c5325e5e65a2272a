/** The value below which the given share of the numbers lies. */
export function percentile(numbers, share) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

export const median = (numbers) => percentile(numbers, 0.5);

/**
 * A table that compares this build with an earlier one (`--before`). Each line has a name, the measures of the runs of the
 * earlier build, those of this one, and the number of digits to show.
 */
export const comparison = (title, lines) => ({
  title,
  head: ['', 'before', 'now', 'ratio', 'of each run'],
  lines: lines.map(([what, before, now, digits]) => {
    const { ratio, ratios = [] } = ratioOf(now, before);
    return [
      what,
      ...[before, now].map((values) => median(values)?.toFixed(digits) ?? '–'),
      ratio?.toFixed(2) ?? '–',
      ratios.map((each) => each.toFixed(2)).join(', '),
    ];
  }),
});

/**
 * The ratio of two measures: the median of the ratios of the individual runs, because disturbances of a run affect both
 * measures. Undefined if one of them was not measured.
 */
export function ratioOf(ours, theirs) {
  const ratios = ours.map((value, run) => value / theirs[run]).filter(Number.isFinite);
  return ratios.length === 0 ? {} : { ratio: median(ratios), ratios };
}
