export interface Part {
  text: string;
  kind: 'same' | 'removed' | 'added';
  /** Its index, as a key. */
  at: number;
}

/** Above this product of the numbers of words, the texts are shown one after the other. */
const WORK_MAX = 250_000;

/** The words that were removed from a text and added to it, and those that are the same, in order. */
export function differencesOf(before: string, after: string, language: string): Part[] {
  const segmenter = new Intl.Segmenter(language, { granularity: 'word' });
  const [old, current] = [before, after].map((text) => [...segmenter.segment(text)].map(({ segment }) => segment)) as [
    string[],
    string[],
  ];
  const parts: Part[] = [];
  const add = (text: string, kind: Part['kind']) => {
    const last = parts.at(-1);
    if (last?.kind === kind) last.text += text;
    else parts.push({ text, kind, at: parts.length });
  };
  if (old.length * current.length > WORK_MAX) {
    add(before, 'removed');
    add(after, 'added');
    return parts;
  }
  // The lengths of the longest common subsequences of what follows each pair of words.
  const width = current.length + 1;
  const lengths = new Uint32Array((old.length + 1) * width);
  const length = (i: number, j: number) => lengths[i * width + j] ?? 0;
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = current.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] =
        old[i] === current[j] ? length(i + 1, j + 1) + 1 : Math.max(length(i + 1, j), length(i, j + 1));
    }
  }
  for (let i = 0, j = 0; i < old.length || j < current.length; ) {
    if (i < old.length && old[i] === current[j]) {
      add(old[i] ?? '', 'same');
      i += 1;
      j += 1;
    } else if (j >= current.length || (i < old.length && length(i + 1, j) >= length(i, j + 1))) {
      add(old[i] ?? '', 'removed');
      i += 1;
    } else {
      add(current[j] ?? '', 'added');
      j += 1;
    }
  }
  return parts;
}
