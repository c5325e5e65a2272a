import { Glyph } from './icon.tsx';

const handset =
  'M6.2 4.5h2.6l1.4 3.8-1.9 1.4a11 11 0 0 0 5.9 5.9l1.4-1.9 3.8 1.4v2.6a1.7 1.7 0 0 1-1.8 1.8A15.2 15.2 0 0 1 4.4 6.3a1.7 1.7 0 0 1 1.8-1.8z';
const paths = {
  phone: handset,
  incoming: `${handset}M20 4l-5.5 5.5m0-4.5v4.5H19`,
  outgoing: `${handset}M14.5 9.5 20 4m-4.5 0H20v4.5`,
  missed: `${handset}M15 4l5 5m0-5-5 5`,
  hangUp:
    'M12 9.5c-3.6 0-6.700 1-8.600 2.700a1.600 1.600 0 0 0-.1 2.300l1.500 1.600 3.500-1.400v-2.300a13 13 0 0 1 7.400 0v2.300l3.500 1.400 1.500-1.600a1.600 1.600 0 0 0-.1-2.300C18.700 10.500 15.600 9.500 12 9.500z',
  video: 'M4 7h10.5v10H4zM14.500 11l5.500-3.500v9L14.500 13',
  videoOff: 'M4 4l16 16M7.500 7h7v7m0 3H4V7.500M14.500 11l5.500-3.500v9',
  microphone:
    'M12 3.500a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0v-5a3 3 0 0 0-3-3zM5.500 11.500a6.500 6.500 0 0 0 13 0M12 18v2.500',
  microphoneOff:
    'M4 4l16 16M15 10.500v-4a3 3 0 0 0-5.800-1M9 9v2.500a3 3 0 0 0 4.600 2.500M5.500 11.500a6.500 6.500 0 0 0 10.500 5M18.500 11.500a6.500 6.500 0 0 1-.5 2.500M12 18v2.500',
  screen: 'M3.500 5h17v11h-17zM9 20h6M12 16v4M12 13.500V8m-2.500 2.500L12 8l2.500 2.500',
  picture: 'M3.500 5h17v14h-17zM12 12h6v4.500h-6z',
  minimize: 'M4.500 19.500 11 13m0 5v-5H6M19.500 4.500 13 11m0-5v5h5',
  expand: 'M13 11l6.500-6.500m-5 0h5v5M11 13l-6.500 6.500m5 0h-5v-5',
  devices: 'M4.500 7h8m4 0h3M4.500 12h2m4 0h9M4.500 17h9m4 0h2M14.500 5v4M8.500 10v4M15.500 15v4',
  signal0: 'M5 19v-2M10 19v-.01M15 19v-.01M20 19v-.01',
  signal1: 'M5 19v-3M10 19v-6M15 19v-.01M20 19v-.01',
  signal2: 'M5 19v-3M10 19v-6M15 19v-10M20 19v-13',
} as const;

export type CallIconName = keyof typeof paths;

/** An icon of the screens of calls, which are loaded when they are needed. */
export function CallIcon({ name, size = 20 }: { name: CallIconName; size?: number }) {
  return <Glyph path={paths[name]} size={size} />;
}
