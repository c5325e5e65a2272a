import type { Attachment } from '@parley/client';
import type { PendingUpload } from '@parley/client/media';

/** A file to display: of a message of the server, or on its way. */
export type Item = Attachment | PendingUpload;
