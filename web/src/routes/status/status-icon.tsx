import { Glyph } from '../../shell/icon.tsx';

const paths = {
  sound: 'M4.5 9.5v5h3.500l4.500 4v-13l-4.500 4zM15.500 9a4.200 4.200 0 0 1 0 6M18 6.500a7.800 7.800 0 0 1 0 11',
  silent: 'M4.500 9.500v5h3.500l4.500 4v-13l-4.500 4zM16 9.500l5 5m0-5-5 5',
} as const;

/** The icons that only the screens of statuses need. */
export function StatusIcon({ name, size = 20 }: { name: keyof typeof paths; size?: number }) {
  return <Glyph path={paths[name]} size={size} />;
}
