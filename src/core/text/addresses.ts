import { domainToASCII } from 'node:url';
import { parseUrl } from '../urls.js';
import { withoutDirections } from './characters.js';

/** Letters and digits of any script (RFC 6531), and the characters that RFC 5321 allows without quotes. */
const ATOM = "[\\p{L}\\p{M}\\p{N}!#$%&'*+/=?^_`{|}~-]+";
const LOCAL_PART = new RegExp(`^${ATOM}(?:\\.${ATOM})*$`, 'u');
const LOCAL_PART_MAX_BYTES = 64;
const DOMAIN = /^[\p{L}\p{M}\p{N}.-]+$/u;
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
/** A domain name as defined by DNS: labels of at most 63 characters each, the last of which begins with a letter. */
const DOMAIN_IN_ASCII = new RegExp(`^(?=.{1,253}$)(?:${LABEL}\\.)+(?=[a-z])(?=..)${LABEL}$`);
/** The longest address that RFC 5321 allows. */
export const EMAIL_MAX_CHARS = 254;

/** Whether this is an email address. Its domain can be written in any script, or in its ASCII form (`xn--…`). */
export function isEmail(text: string): boolean {
  const at = text.lastIndexOf('@');
  const [local, domain] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)];
  if (!LOCAL_PART.test(local) || Buffer.byteLength(local, 'utf8') > LOCAL_PART_MAX_BYTES) return false;
  const ascii = DOMAIN.test(domain) ? domainToASCII(domain) : '';
  return DOMAIN_IN_ASCII.test(ascii) && local.length + 1 + ascii.length <= EMAIL_MAX_CHARS;
}

/** The key under which an email address is unique: case is ignored, and the domain is converted to ASCII. */
export function emailKeyOf(email: string): string {
  const at = email.lastIndexOf('@');
  const domain = email.slice(at + 1);
  const key = at < 0 ? email : `${email.slice(0, at)}@${domainToASCII(domain) || domain}`;
  return key.normalize('NFC').toLowerCase();
}

export const WEB_ADDRESS_MAX_CHARS = 2_000;

/**
 * Normalizes an http or https URL according to the WHATWG URL standard, so that equivalent spellings are equal.
 * @returns undefined if the text is not such a URL, or if it contains credentials or invisible characters.
 */
export function webAddressOf(text: string): string | undefined {
  if (/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u.test(text) || withoutDirections(text) !== text) return undefined;
  const url = parseUrl(text);
  if (!url) return undefined;
  const { protocol, username, password, href } = url;
  return /^https?:$/.test(protocol) && username === '' && password === '' ? href : undefined;
}
