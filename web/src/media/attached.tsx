import type { Row } from '@parley/client';
import { type CSSProperties, lazy, Suspense, useRef } from 'react';
import { noUploads, useFiles } from '../files.ts';
import { useReadable } from '../parley.ts';
import styles from './attached.module.css';
import type { Item } from './item.ts';

const Content = lazy(() => import('./content.tsx'));

/** The largest size of a picture in a message, in pixels. */
const WIDTH_MAX = 352;
const HEIGHT_MAX = 320;
const WIDTH_MIN = 128;
/** Narrower and wider pictures are shown in part. */
const RATIOS = [0.5, 2.5] as const;
/** The size of a picture that is not known yet. */
const UNKNOWN = { width: 288, height: 216 };

/** The files of a message. Their places have their final sizes before anything is loaded. */
export function Attached({ row: { message, pending } }: { row: Row }) {
  const files = useFiles();
  const uploads = useReadable(pending && files ? files.ofMessage(pending.clientMessageId) : noUploads);
  const items: readonly Item[] = message ? message.attachments : uploads;
  const isVisual = ({ kind }: Item) => kind === 'IMAGE' || kind === 'VIDEO';
  const visuals = items.filter(isVisual);
  const others = items.filter((item) => !isVisual(item));
  // The first known size remains: others see a picture before the server knows its size.
  const first = useRef<{ count: number; style: CSSProperties }>(undefined);
  if (first.current?.count !== visuals.length) first.current = { count: visuals.length, style: frameOf(visuals) };
  const show = (item: Item) => (
    <Suspense>
      <Content item={item} />
    </Suspense>
  );
  return (
    <div className={styles.attached}>
      {visuals.length > 0 && (
        <div
          className={styles.visuals}
          style={first.current.style}
          data-many={visuals.length > 1 ? '' : undefined}
          data-odd={visuals.length % 2 === 1 ? '' : undefined}
        >
          {visuals.map((item, index) => (
            // The same place when the message is confirmed.
            <div key={`${index}`} className={styles.visual}>
              {show(item)}
            </div>
          ))}
        </div>
      )}
      {others.map((item, index) => (
        <div key={`${index}`} className={styles.file}>
          {show(item)}
        </div>
      ))}
    </div>
  );
}

/** The size of the box of pictures: that of a single one, or two columns of squares under a wide one if their number is odd. */
function frameOf(visuals: readonly Item[]): CSSProperties {
  if (visuals.length > 1) return { inlineSize: WIDTH_MAX, aspectRatio: `${2 / Math.ceil(visuals.length / 2)}` };
  const width = visuals[0]?.width || UNKNOWN.width;
  const height = visuals[0]?.height || UNKNOWN.height;
  const ratio = Math.min(RATIOS[1], Math.max(RATIOS[0], width / height));
  return { inlineSize: Math.min(WIDTH_MAX, HEIGHT_MAX * ratio, Math.max(WIDTH_MIN, width)), aspectRatio: `${ratio}` };
}
