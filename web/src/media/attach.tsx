import type { Media } from '@parley/client/media';
import { useEffect, useState } from 'react';
import { useFiles } from '../files.ts';
import { useLanguage } from '../locales/locale.tsx';
import { useScreenText } from '../locales/screens.ts';
import { useServerInfo } from '../parley.ts';
import { useToast } from '../shell/toast.tsx';
import { addFiles } from './add.ts';
import DropTarget from './drop-target.tsx';
import Tray from './tray.tsx';

/** Attaches the files that were chosen, pasted or dropped, and shows those of the draft. */
export default function Attach({
  conversationId,
  chosen,
  onAdded,
  onEmpty,
}: {
  conversationId: string;
  /** Files to add: `onAdded` is called when they are being added. */
  chosen: readonly File[] | undefined;
  onAdded(): void;
  /** Called when the last file was removed. */
  onEmpty(): void;
}) {
  const text = useScreenText();
  const { tag } = useLanguage();
  const limits = useServerInfo()?.limits;
  const toast = useToast();
  const [dropped, setDropped] = useState<readonly File[]>();
  const waiting = chosen ?? dropped;
  const files = useFiles(waiting ? 'now' : 'later');
  const [isBusy, setBusy] = useState(false);
  const add = async (files: Media, added: readonly File[]) => {
    setBusy(true);
    await addFiles(files, conversationId, added, { limits, text, tag, report: toast });
    setBusy(false);
  };
  useEffect(() => {
    // Until then, they wait.
    if (!waiting || !files) return;
    if (waiting === chosen) onAdded();
    else setDropped(undefined);
    void add(files, waiting);
  }, [waiting, files]);
  return (
    <>
      <Tray conversationId={conversationId} onEmpty={onEmpty} />
      <DropTarget onDrop={(more) => setDropped((before = []) => [...before, ...more])} />
      {isBusy && (
        <p role="status" className="visually-hidden">
          {text.app.loading}
        </p>
      )}
    </>
  );
}
