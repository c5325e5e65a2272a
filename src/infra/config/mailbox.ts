/** The sender of an email. */
export interface Mailbox {
  /** Empty if only the address is given. */
  name: string;
  address: string;
}

/**
 * Parses `address`, `Name <address>` or `"Name" <address>`. The name can contain any characters, such as commas, colons
 * and semicolons; it must be quoted when it is written to a header.
 * @returns undefined if the text has another form.
 */
export function parseMailbox(text: string): Mailbox | undefined {
  const [, named = '', inBrackets, bare] = /^(?:([^<>]*)<([^<>]+)>|([^<>]+))$/.exec(text.trim()) ?? [];
  const address = (inBrackets ?? bare ?? '').trim();
  // Rejects characters with a special meaning in headers.
  if (!/^[^\s<>@,;:"()[\]\\\p{Cc}]+@[^\s<>@,;:"()\\\p{Cc}]+$/u.test(address)) return undefined;
  const [, quoted] = /^"((?:[^"\\]|\\.)*)"$/.exec(named.trim()) ?? [];
  const name = quoted === undefined ? named.trim() : quoted.replace(/\\(.)/g, '$1');
  return /\p{Cc}/u.test(name) ? undefined : { name, address };
}
