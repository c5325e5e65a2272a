import { MIMEType } from 'node:util';
import { LRUCache } from 'lru-cache';
import Negotiator from 'negotiator';

export const EVENT_STREAM = 'text/event-stream';
/** What answers are written as, the one first that a client gets who takes anything. */
const JSON_TYPES = ['application/json', 'application/graphql-response+json'];
/** What the body of a POST may be. */
const BODY_TYPES = ['application/json', 'application/graphql+json'];

/** Longest header that is read, in characters: the parsers take long for long ones, and no client sends such. */
const HEADER_MAX_CHARS = 500;
/** Clients send few different headers, each of them with every request. */
const known = new LRUCache<string, readonly string[]>({ max: 200 });

/**
 * The media types that a request takes of those that there are: the kind of JSON that it prefers, and the event stream.
 * Names are compared without regard to case, and parameters other than `q` do not matter. Empty: it takes none of them.
 */
export function acceptedTypes(accept = '*/*'): readonly string[] {
  if (accept.length > HEADER_MAX_CHARS) return [];
  let types = known.get(accept);
  if (!types) {
    types = negotiate(accept);
    known.set(accept, types);
  }
  return types;
}

function negotiate(accept: string): string[] {
  const withoutParameters = accept.replace(/;(?!\s*q\s*=)[^;,]*/gi, '').trim();
  const taken = new Negotiator({ headers: { accept: withoutParameters || '*/*' } }).mediaTypes([
    ...JSON_TYPES,
    EVENT_STREAM,
  ]);
  const json = taken.find((type) => JSON_TYPES.includes(type));
  return [...(json === undefined ? [] : [json]), ...(taken.includes(EVENT_STREAM) ? [EVENT_STREAM] : [])];
}

/** Whether a body of this type is JSON in UTF-8: other types could be sent by any page, without asking first (CORS). */
export function isJsonBody(contentType = ''): boolean {
  if (contentType === 'application/json') return true;
  if (contentType.length > HEADER_MAX_CHARS) return false;
  try {
    const { essence, params } = new MIMEType(contentType);
    return BODY_TYPES.includes(essence) && /^utf-?8$/i.test(params.get('charset') ?? 'utf-8');
  } catch {
    // It is no media type.
    return false;
  }
}
