import type { FileDetails, Media } from '@parley/client/media';
import { kindOf, withoutLocation } from '@parley/client/media';
import type { FullText } from '../locales/en-screens.ts';
import { sizeText } from './sizes.ts';

/** How long the size of a picture may take to be found, in milliseconds. */
const MEASURE_MS = 3_000;

interface Limits {
  attachmentMaxBytes: number;
  attachmentsMax: number;
}

/**
 * Adds files to the draft of a conversation, as far as the limits allow.
 * @param report called with what has not been added.
 */
export async function addFiles(
  files: Media,
  conversationId: string,
  chosen: readonly File[],
  {
    limits,
    text,
    tag,
    report,
  }: { limits: Limits | undefined; text: FullText; tag: string; report(text: string): void },
): Promise<void> {
  const { media } = text;
  const space = (limits?.attachmentsMax ?? chosen.length) - files.draft(conversationId).value.length;
  if (chosen.length > space) report(media.tooMany(limits?.attachmentsMax ?? 0));
  for (const file of chosen.slice(0, Math.max(0, space))) {
    if (file.size === 0) report(media.empty(file.name));
    else if (limits && file.size > limits.attachmentMaxBytes) {
      report(media.tooLarge(file.name, sizeText(tag, limits.attachmentMaxBytes)));
    } else {
      const details = await detailsOf(file);
      if (details.kind === 'FILE')
        await addDocument(files, conversationId, file, { filename: file.name, text, report });
      else await files.add(conversationId, file, details);
    }
  }
}

/** Adds a file that the server does not change: the place at which a photo was taken is removed here. */
export async function addDocument(
  files: Media,
  conversationId: string,
  document: Blob,
  { filename, text, report }: { filename: string; text: FullText; report(text: string): void },
): Promise<void> {
  const { file, location } = await withoutLocation(document);
  if (location !== 'none') report(text.media.locations[location]);
  await files.add(conversationId, file, { kind: 'FILE', filename: filename || 'file', location });
}

/** The properties of a file that this browser can determine. One that it cannot show is sent like any other. */
export async function detailsOf(file: File): Promise<FileDetails> {
  const kind = kindOf(file);
  // Pictures from the clipboard have no names of their own.
  const filename = file.name || 'file';
  if (kind !== 'IMAGE' && kind !== 'VIDEO') return { kind, filename };
  const url = URL.createObjectURL(file);
  try {
    const timeout = new Promise<undefined>((resolve) => setTimeout(resolve, MEASURE_MS, undefined));
    const details = await Promise.race([kind === 'IMAGE' ? measureImage(url) : measureVideo(url), timeout]);
    return { kind, filename, ...details };
  } catch {
    return { kind, filename };
  } finally {
    URL.revokeObjectURL(url);
  }
}

async function measureImage(url: string): Promise<FileDetails> {
  const image = new Image();
  image.src = url;
  await image.decode();
  return { width: image.naturalWidth, height: image.naturalHeight };
}

async function measureVideo(url: string): Promise<FileDetails> {
  const video = document.createElement('video');
  video.preload = 'metadata';
  video.muted = true;
  await new Promise((resolve, reject) => {
    video.onloadedmetadata = resolve;
    video.onerror = reject;
    video.src = url;
  });
  const { videoWidth: width, videoHeight: height, duration } = video;
  video.removeAttribute('src');
  return { width, height, ...(Number.isFinite(duration) && { durationMs: Math.round(duration * 1_000) }) };
}
