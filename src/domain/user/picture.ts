import type { Deps } from '../../platform/deps.js';

// The pictures of users and groups are URLs. For an uploaded picture, the column contains a reference to the attachment
// instead, from which the URL is made whenever it is read, because the address of the server can change.

/** No client can store such a URL, because only `http:` and `https:` are accepted. */
const SCHEME = 'upload:';
const PURPOSE = 'picture';

/** Where uploaded pictures are opened. */
const PICTURES_PREFIX = '/media/pictures/';

type Needs = Pick<Deps, 'config' | 'secrets'>;

/** The value of a picture's column for an uploaded picture. */
export const storedPicture = (attachmentId: string): string => `${SCHEME}${attachmentId}`;

/** The attachment to which a column of pictures refers, or null. */
export const attachmentOfPicture = (stored: string | null): string | null =>
  stored?.startsWith(SCHEME) ? stored.slice(SCHEME.length) : null;

/**
 * The URL of a picture as clients see it. Uploaded pictures have one that opens without a token, like those of other
 * servers: it is signed, and the same for everybody. It is relative to this server unless `PUBLIC_URL` is set.
 */
export function pictureUrl({ config: { publicUrl }, secrets }: Needs, stored: string | null): string | null {
  const id = attachmentOfPicture(stored);
  if (id === null) return stored;
  const path = `${PICTURES_PREFIX}${id}/${secrets.mac(PURPOSE, id)}`;
  return publicUrl === undefined ? path : new URL(path, publicUrl).href;
}

/** Whether this is the signature in the URL of an uploaded picture. */
export const isPictureSignature = ({ secrets }: Pick<Deps, 'secrets'>, attachmentId: string, signature: string) =>
  secrets.isMac(PURPOSE, attachmentId, signature);

/**
 * The value of the column for a URL that `pictureUrl` has returned, so that clients can send back the URL that they
 * have loaded. Undefined for all other URLs.
 */
export function storedPictureOf(deps: Pick<Deps, 'secrets'>, url: string): string | undefined {
  const at = url.lastIndexOf(PICTURES_PREFIX);
  if (at < 0) return undefined;
  const [id = '', signature = ''] = url.slice(at + PICTURES_PREFIX.length).split('/');
  return isPictureSignature(deps, id, signature) ? storedPicture(id) : undefined;
}
