import { MIMEType } from 'node:util';
import { LRUCache } from 'lru-cache';
import Negotiator from 'negotiator';

export const EVENT_STREAM = 'text/event-stream';
/** The media types of JSON responses. The first one is the default. */
const JSON_TYPES = ['application/json', 'application/graphql-response+json'];
/** The media types that the body of a POST can have. */
const BODY_TYPES = ['application/json', 'application/graphql+json'];

/**
 * The maximum length of a header that is parsed, in characters: parsing longer ones is slow, and clients do not send
 * them.
 */
const HEADER_MAX_CHARS = 500;
/** A cache: clients send few different headers, with every request. */
const known = new LRUCache<string, readonly string[]>({ max: 200 });

/**
 * The media types that a request accepts: its preferred kind of JSON, and the event stream. Names are case-insensitive,
 * and parameters except `q` are ignored. It is empty if the request accepts none of them.
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

/**
 * Whether a body of this type is JSON in UTF-8. Browsers can send other types across origins without a CORS preflight.
 */
export function isJsonBody(contentType = ''): boolean {
  if (contentType === 'application/json') return true;
  if (contentType.length > HEADER_MAX_CHARS) return false;
  try {
    const { essence, params } = new MIMEType(contentType);
    return BODY_TYPES.includes(essence) && /^utf-?8$/i.test(params.get('charset') ?? 'utf-8');
  } catch {
    // The header is not a valid media type.
    return false;
  }
}
