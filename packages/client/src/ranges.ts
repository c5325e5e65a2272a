/** A range of `seq`, both ends inclusive, in which every message that exists is known. */
export type Range = readonly [from: number, to: number];

/**
 * Adds a range to ranges that are sorted and neither overlap nor touch. Ranges that become adjacent are joined.
 * @returns the same array if it contains the range already.
 */
export function cover(ranges: readonly Range[], from: number, to: number): readonly Range[] {
  if (to < from || ranges.some((range) => range[0] <= from && to <= range[1])) return ranges;
  let joined: Range = [from, to];
  const others = ranges.filter((range) => {
    const apart = range[1] < joined[0] - 1 || range[0] > joined[1] + 1;
    if (!apart) joined = [Math.min(range[0], joined[0]), Math.max(range[1], joined[1])];
    return apart;
  });
  return [...others, joined].sort((one, other) => one[0] - other[0]);
}

/** The range that contains a number. */
export function rangeAt(ranges: readonly Range[], seq: number): Range | undefined {
  return ranges.find(([from, to]) => from <= seq && seq <= to);
}
