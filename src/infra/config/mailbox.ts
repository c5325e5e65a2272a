/** Whom a mail comes from. */
export interface Mailbox {
  /** Empty where there is only an address. */
  name: string;
  address: string;
}

/**
 * Reads `address`, `Name <address>` or `"Name" <address>`. The name may hold whatever a person writes, like commas,
 * colons and semicolons: whoever puts it into a header has to quote it.
 * @returns undefined for anything else.
 */
export function parseMailbox(text: string): Mailbox | undefined {
  const [, named = '', inBrackets, bare] = /^(?:([^<>]*)<([^<>]+)>|([^<>]+))$/.exec(text.trim()) ?? [];
  const address = (inBrackets ?? bare ?? '').trim();
  // What a header or another header's part could begin with is in no address.
  if (!/^[^\s<>@,;:"()[\]\\\p{Cc}]+@[^\s<>@,;:"()\\\p{Cc}]+$/u.test(address)) return undefined;
  const [, quoted] = /^"((?:[^"\\]|\\.)*)"$/.exec(named.trim()) ?? [];
  const name = quoted === undefined ? named.trim() : quoted.replace(/\\(.)/g, '$1');
  return /\p{Cc}/u.test(name) ? undefined : { name, address };
}
