import { useState } from 'react';
import styles from './avatar.module.css';

/** The picture of a user or a group, or its initials. Pictures are URLs of anybody, so they learn as little as possible. */
export function Avatar({
  name,
  id,
  url,
  size = 40,
}: {
  name: string;
  /** The color of the initials depends on it. */
  id: string;
  url?: string | null | undefined;
  size?: number;
}) {
  const [failed, setFailed] = useState<string>();
  const box = { inlineSize: size, blockSize: size, fontSize: size * 0.4 };
  if (url && failed !== url) {
    return (
      <img
        className={styles.avatar}
        style={box}
        src={url}
        alt=""
        width={size}
        height={size}
        loading="lazy"
        decoding="async"
        referrerPolicy="no-referrer"
        onError={() => setFailed(url)}
      />
    );
  }
  return (
    <span
      className={styles.avatar}
      style={{ ...box, '--hue': hueOf(id) } as React.CSSProperties}
      // Not as a text, because it is not a part of any name.
      data-initials={initials(name)}
      aria-hidden="true"
    />
  );
}

/** The first characters of the first and the last word. */
function initials(name: string): string {
  const words = name.split(/\s+/u).filter((word) => /[\p{L}\p{N}]/u.test(word));
  const ends = words.length > 1 ? [words[0], words.at(-1)] : words;
  return ends.map((word = '') => /[\p{L}\p{N}]\p{M}*/u.exec(word)?.[0].toLocaleUpperCase() ?? '').join('');
}

/** The hue of a user or a group, which makes their initials and names easy to distinguish. */
export function hueOf(id: string): number {
  let hash = 0;
  for (const character of id) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 36_000;
  return hash % 360;
}
