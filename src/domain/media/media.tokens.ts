import { validate } from 'uuid';
import { unauthenticated } from '../../core/errors.js';
import type { Deps } from '../../platform/deps.js';
import { sessionLookup } from '../session/session.authentication.js';

// Browsers load images and videos without headers, so that a token in the URL has to identify the user. These tokens
// open files only, and end with their session.

const OPEN = 'media token';
const UPLOAD = 'media upload';
const DAY_MS = 86_400_000;

const today = () => Math.floor(Date.now() / DAY_MS);

/**
 * The token with which a session opens files, for the query parameter `t`. It is the same for a day, so that browsers can
 * cache what they have loaded, and is accepted until the end of the next day.
 */
export function mediaTokenOf({ secrets }: Pick<Deps, 'secrets'>, sessionId: string): string {
  const text = `${sessionId}.${today()}`;
  return `${text}.${secrets.mac(OPEN, text)}`;
}

/** The token with which a session sends the parts of one upload. */
export const uploadTokenOf = ({ secrets }: Pick<Deps, 'secrets'>, sessionId: string, attachmentId: string): string =>
  `${sessionId}.${secrets.mac(UPLOAD, `${sessionId} ${attachmentId}`)}`;

/**
 * The user of a media token.
 * @throws {ChatError} UNAUTHENTICATED: it is invalid or too old, or its session has ended.
 */
export async function userOfMediaToken(deps: Deps, token: string): Promise<{ userId: string; sessionId: string }> {
  const [sessionId = '', day = '', mac = ''] = token.split('.');
  // Nodes can have slightly different clocks.
  const isCurrent = /^\d{1,6}$/.test(day) && Math.abs(today() - Number(day)) <= 1;
  if (!validate(sessionId) || !isCurrent || !deps.secrets.isMac(OPEN, `${sessionId}.${day}`, mac)) {
    throw unauthenticated('The media token is not valid or too old. Load `viewer.mediaToken` again.');
  }
  return { sessionId, userId: await userOf(deps, sessionId) };
}

/**
 * The user whose upload this token is for.
 * @throws {ChatError} UNAUTHENTICATED: it is not a token of this upload, or its session has ended.
 */
export async function userOfUploadToken(deps: Deps, token: string, attachmentId: string): Promise<string> {
  const [sessionId = '', mac = ''] = token.split('.');
  if (!validate(sessionId) || !deps.secrets.isMac(UPLOAD, `${sessionId} ${attachmentId}`, mac)) {
    throw unauthenticated('This URL is not valid. Call `createUpload` again.');
  }
  return userOf(deps, sessionId);
}

async function userOf(deps: Deps, sessionId: string): Promise<string> {
  const userId = await sessionLookup.of(deps)(sessionId);
  if (userId === null) throw unauthenticated('This session has ended.');
  return userId;
}
