import type { Attachment, Parley } from '@parley/client';
import type { ParleyEncryption } from '@parley/client/encryption';
import { useEffect, useState } from 'react';
import { sealedOf } from '../encryption/messages.ts';
import { useFiles } from '../files.ts';
import { useParley, useReadable } from '../parley.ts';
import { useObjectUrl } from './object-url.ts';

/** How many bytes of decrypted files are kept in memory. */
const KEPT_BYTES = 64 * 1_024 * 1_024;

interface Opened {
  blob: Blob;
}

/** The decrypted files by the ids of their attachments, for each sign-in. */
const kept = new WeakMap<ParleyEncryption, Map<string, Opened>>();
const opening = new WeakMap<ParleyEncryption, Map<string, Promise<Blob>>>();

function keep(encryption: ParleyEncryption, id: string, blob: Blob): void {
  const files = kept.get(encryption) ?? new Map<string, Opened>();
  kept.set(encryption, files);
  files.set(id, { blob });
  let bytes = [...files.values()].reduce((sum, each) => sum + each.blob.size, 0);
  for (const [oldest, { blob: old }] of files) {
    if (bytes <= KEPT_BYTES || oldest === id) break;
    files.delete(oldest);
    bytes -= old.size;
  }
}

/** What is known of the file of an encrypted attachment. */
export interface OpenedFile {
  /** The URL of the decrypted file, as long as the component is displayed. */
  url: string | undefined;
  /** How much of it has been received, from 0 to 1. */
  progress: number;
  /** Whether it could not be downloaded, or is not the file that was sent. */
  failure: 'network' | 'tampered' | undefined;
  /** Downloads it again. */
  retry(): void;
}

/** Decrypts the file of an attachment as soon as it is wanted. */
export function useOpenedFile(attachment: Attachment | undefined, isWanted: boolean): OpenedFile {
  const parley: Parley = useParley();
  const encryption = useReadable(sealedOf(parley));
  const files = useFiles();
  const [blob, setBlob] = useState<Blob>();
  const [progress, setProgress] = useState(0);
  const [failure, setFailure] = useState<OpenedFile['failure']>();
  const [attempt, setAttempt] = useState(0);
  const { id, secret, state } = attachment ?? {};
  const isReady = secret !== undefined && state === 'READY' && files !== undefined;
  useEffect(() => {
    setFailure(undefined);
    if (!attachment || id === undefined || !encryption || !isReady) return;
    const known = kept.get(encryption)?.get(id)?.blob;
    setBlob(known);
    if (known || !isWanted) return;
    let isCurrent = true;
    const all = opening.get(encryption) ?? new Map<string, Promise<Blob>>();
    opening.set(encryption, all);
    const onProgress = (received: number) => {
      if (isCurrent) setProgress(Math.min(1, received / attachment.byteSize));
    };
    // Several places can show the same file.
    const reading = all.get(id) ?? encryption.file(attachment, { onProgress }).finally(() => all.delete(id));
    all.set(id, reading);
    reading.then(
      (found) => {
        keep(encryption, id, found);
        if (isCurrent) setBlob(found);
      },
      (error) => {
        if (isCurrent) setFailure((error as { code?: string }).code === 'TAMPERED' ? 'tampered' : 'network');
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [encryption, id, isReady, isWanted, attempt]);
  return { url: useObjectUrl(blob), progress, failure, retry: () => setAttempt((count) => count + 1) };
}
