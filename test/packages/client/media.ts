import type { Parley } from '../../../packages/client/src/index.js';
import { mediaOf } from '../../../packages/client/src/media.js';

/** The parts of a page that show files. */
export interface FilesView {
  showDraft(lines: string[]): void;
  showImages(images: { src: string; alt: string }[]): void;
}

/** Shows the files that are being uploaded, and the images of the messages. */
export function followFiles(parley: Parley, conversationId: string, view: FilesView): void {
  const media = mediaOf(parley);
  const conversation = parley.conversation(conversationId);
  media.draft(conversationId).subscribe((uploads) => {
    const percent = ({ sentBytes, byteSize }: (typeof uploads)[number]) => Math.floor((100 * sentBytes) / byteSize);
    view.showDraft(uploads.map((each) => `${each.filename}: ${each.error?.message ?? `${percent(each)} %`}`));
  });
  const showImages = () => {
    const images = conversation.value.rows.flatMap(({ message }) => message?.attachments ?? []);
    view.showImages(
      images.flatMap((image) => {
        const src = media.attachmentUrl(image, 'preview');
        return src === undefined ? [] : [{ src, alt: image.altText ?? image.filename }];
      }),
    );
  };
  conversation.subscribe(showImages);
  media.token.subscribe(showImages);
}

/** Sends the files that a user has chosen. They are uploaded even if the page is closed and opened later. */
export async function sendFiles(parley: Parley, conversationId: string, chosen: Iterable<Blob>): Promise<void> {
  const media = mediaOf(parley);
  for (const file of chosen) await media.add(conversationId, file);
  await media.send(conversationId, 'Look at this');
}
