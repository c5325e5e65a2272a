import { Glyph } from '../shell/icon.tsx';

const paths = {
  again: 'M5 12a7 7 0 1 0 2.2-5.1L5 9M5 4.5V9h4.5',
  download: 'M12 4v11m0 0 4.5-4.5M12 15l-4.5-4.5M5 19.5h14',
  file: 'M6.5 3.5h7.5l4 4v13H6.5zM13.5 3.5V8H18',
  image: 'M4.5 5h15v14h-15zM5 16l4.5-4.5 4 4 2-2 3.5 3.5M15 9.2v.01',
  pause: 'M9 6v12M15 6v12',
  play: 'M8.5 5.5v13l10-6.5z',
  stop: 'M7 7h10v10H7z',
} as const;

export type MediaIconName = keyof typeof paths;

/** The icons of files, which the first view does not need. */
export function MediaIcon({ name, size = 20 }: { name: MediaIconName; size?: number }) {
  return <Glyph path={paths[name]} size={size} />;
}
