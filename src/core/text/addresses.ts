import { domainToASCII } from 'node:url';
import { parseUrl } from '../urls.js';
import { withoutDirections } from './characters.js';

/** Letters and digits of any script, and the signs that RFC 5321 has without quotes; RFC 6531 adds the scripts. */
const ATOM = "[\\p{L}\\p{M}\\p{N}!#$%&'*+/=?^_`{|}~-]+";
const LOCAL_PART = new RegExp(`^${ATOM}(?:\\.${ATOM})*$`, 'u');
const LOCAL_PART_MAX_BYTES = 64;
const DOMAIN = /^[\p{L}\p{M}\p{N}.-]+$/u;
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
/** As DNS has it: names of at most 63 characters each, of which the last one begins with a letter. */
const DOMAIN_IN_ASCII = new RegExp(`^(?=.{1,253}$)(?:${LABEL}\\.)+(?=[a-z])(?=..)${LABEL}$`);
/** RFC 5321's longest path. */
export const EMAIL_MAX_CHARS = 254;

/** Whether this is an email address; its domain may be in any script, or in the ASCII form of one (`xn--…`). */
export function isEmail(text: string): boolean {
  const at = text.lastIndexOf('@');
  const [local, domain] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)];
  if (!LOCAL_PART.test(local) || Buffer.byteLength(local, 'utf8') > LOCAL_PART_MAX_BYTES) return false;
  const ascii = DOMAIN.test(domain) ? domainToASCII(domain) : '';
  return DOMAIN_IN_ASCII.test(ascii) && local.length + 1 + ascii.length <= EMAIL_MAX_CHARS;
}

/** What makes an email address unique: case counts for nothing, nor does whether its domain is written in ASCII. */
export function emailKeyOf(email: string): string {
  const at = email.lastIndexOf('@');
  const domain = email.slice(at + 1);
  const key = at < 0 ? email : `${email.slice(0, at)}@${domainToASCII(domain) || domain}`;
  return key.normalize('NFC').toLowerCase();
}

export const WEB_ADDRESS_MAX_CHARS = 2_000;

/**
 * An address of http or https as URLs are written (the WHATWG's standard): what is given with other letters, ports or
 * dots comes out alike. Undefined where it is none, holds somebody's name and password, or characters that are not seen.
 */
export function webAddressOf(text: string): string | undefined {
  if (/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u.test(text) || withoutDirections(text) !== text) return undefined;
  const url = parseUrl(text);
  if (!url) return undefined;
  const { protocol, username, password, href } = url;
  return /^https?:$/.test(protocol) && username === '' && password === '' ? href : undefined;
}
