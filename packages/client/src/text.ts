/** A piece of formatted text. */
export type Inline =
  | { type: 'text'; text: string }
  | { type: 'bold' | 'italic' | 'strike'; children: Inline[] }
  | { type: 'code'; text: string }
  /** `href` is an `http`, `https` or `mailto` address. */
  | { type: 'link'; href: string; children: Inline[] }
  /** `username` is that of a mentioned user, or `everyone`. */
  | { type: 'mention'; username: string; text: string };

/** A paragraph, a block of code, a quote or a list. */
export type Block =
  | { type: 'paragraph'; children: Inline[] }
  | { type: 'code'; language: string | undefined; text: string }
  | { type: 'quote'; children: Block[] }
  | { type: 'list'; start: number | undefined; items: Block[][] };

export interface TextOptions {
  /** The usernames that are displayed as mentions: those of `Message.mentions`. */
  mentions?: readonly string[];
  /** Whether `@everyone` is displayed as a mention: `Message.mentionsEveryone`. */
  mentionsEveryone?: boolean;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([^\n`]*)$/;
const QUOTE = /^ {0,3}>[ \t]?/;
const ITEM = /^ {0,3}(?:[-*+•]|(\d{1,9})[.)])[ \t]+/;
const URL_START = /^(?:https?:\/\/|www\.)/i;
/** A run without spaces, quotes, angle brackets, or Chinese or Japanese punctuation. */
const LINK_RUN = /[^\s<>"“”„«»‹›|，。！？；：、「」『』（）【】《》]+/y;
const WORD = /[\p{L}\p{N}\p{M}]/u;
/** How deeply quotes, lists and formats can contain each other. Deeper ones are displayed as they are written. */
const DEPTH_MAX = 8;

/**
 * Parses the source of a message: **bold**, *italic* or _italic_, ~~strike~~, `code`, blocks of code between lines of
 * three backticks, quotes, lists, links and mentions. The result consists of nodes and never of HTML: put each `text`
 * into a text node. Every character that is not a mark is in the result.
 */
export function parseText(source: string, options: TextOptions = {}): Block[] {
  return parseBlocks(source.split(/\r\n?|\n/), options, 0);
}

function parseBlocks(lines: readonly string[], options: TextOptions, depth: number): Block[] {
  const blocks: Block[] = [];
  let paragraph: string[] = [];
  const endParagraph = () => {
    if (paragraph.length > 0) blocks.push({ type: 'paragraph', children: parseInline(paragraph.join('\n'), options) });
    paragraph = [];
  };
  for (let index = 0; index < lines.length; ) {
    const line = lines[index] as string;
    const [, fence, language = ''] = FENCE.exec(line) ?? [];
    if (fence) {
      endParagraph();
      const isEnd = (each: string) => new RegExp(`^ {0,3}\\${fence[0]}{${fence.length},}[ \\t]*$`).test(each);
      let end = index + 1;
      while (end < lines.length && !isEnd(lines[end] as string)) end += 1;
      blocks.push({
        type: 'code',
        language: language.trim() || undefined,
        text: lines.slice(index + 1, end).join('\n'),
      });
      index = end + 1;
    } else if (depth < DEPTH_MAX && QUOTE.test(line)) {
      endParagraph();
      let end = index;
      while (end < lines.length && QUOTE.test(lines[end] as string)) end += 1;
      const quoted = lines.slice(index, end).map((each) => each.replace(QUOTE, ''));
      blocks.push({ type: 'quote', children: parseBlocks(quoted, options, depth + 1) });
      index = end;
    } else if (depth < DEPTH_MAX && ITEM.test(line)) {
      endParagraph();
      index = parseList(lines, index, options, depth, blocks);
    } else {
      if (line.trim() === '') endParagraph();
      else paragraph.push(line);
      index += 1;
    }
  }
  endParagraph();
  return blocks;
}

/** Parses a list that begins at a line. Returns the line after it. */
function parseList(
  lines: readonly string[],
  from: number,
  options: TextOptions,
  depth: number,
  blocks: Block[],
): number {
  const number = (line: string) => ITEM.exec(line)?.[1];
  const first = number(lines[from] as string);
  const items: Block[][] = [];
  let index = from;
  while (index < lines.length) {
    const line = lines[index] as string;
    const mark = ITEM.exec(line)?.[0];
    // A numbered item does not continue a list with bullets.
    if (mark === undefined || (number(line) === undefined) !== (first === undefined)) break;
    const item = [line.slice(mark.length)];
    index += 1;
    // Indented lines belong to the item.
    while (index < lines.length && /^(?: {2,}|\t)\S/.test(lines[index] as string)) {
      item.push((lines[index] as string).replace(/^(?:\t| {2,4})/, ''));
      index += 1;
    }
    items.push(parseBlocks(item, options, depth + 1));
  }
  blocks.push({ type: 'list', start: first === undefined ? undefined : Number(first), items });
  return index;
}

/** The marks of formats, longer ones first. */
const MARKS = [
  ['**', 'bold'],
  ['~~', 'strike'],
  ['*', 'italic'],
  ['_', 'italic'],
] as const;

function parseInline(source: string, options: TextOptions, depth = 0): Inline[] {
  const nodes: Inline[] = [];
  let plain = '';
  const add = (node: Inline) => {
    if (plain) nodes.push({ type: 'text', text: plain });
    plain = '';
    nodes.push(node);
  };
  /** Marks of which no further one closes a format, so that they are not searched again. */
  const unclosed = new Set<string>();
  for (let at = 0; at < source.length; ) {
    const char = source[at] as string;
    if (char === '\\' && /[\\`*_~[\]()>@#-]/.test(source[at + 1] ?? '')) {
      plain += source[at + 1];
      at += 2;
      continue;
    }
    const found =
      (char === '`' && codeAt(source, at, unclosed)) ||
      (char === '@' && mentionAt(source, at, options)) ||
      (char === '[' && depth < DEPTH_MAX && titledLinkAt(source, at, options, depth, unclosed)) ||
      (/[hw]/i.test(char) && linkAt(source, at)) ||
      (/[*_~]/.test(char) && depth < DEPTH_MAX && formatAt(source, at, options, depth, unclosed));
    if (found) {
      add(found.node);
      at = found.end;
    } else if (/[*_~`]/.test(char)) {
      // The rest of a run of marks is text as well.
      const [run = char] = new RegExp(`\\${char}+`, 'y').exec(source.slice(at)) ?? [];
      plain += run;
      at += run.length;
    } else {
      plain += char;
      at += 1;
    }
  }
  if (plain) nodes.push({ type: 'text', text: plain });
  return nodes;
}

interface Found {
  node: Inline;
  /** The position after it. */
  end: number;
}

function codeAt(source: string, at: number, unclosed: Set<string>): Found | undefined {
  const [ticks = ''] = /`+/y.exec(source.slice(at)) ?? [];
  if (unclosed.has(ticks)) return undefined;
  for (let end = source.indexOf(ticks, at + ticks.length); end >= 0; ) {
    let length = 0;
    while (source[end + length] === '`') length += 1;
    if (length === ticks.length) {
      const text = source.slice(at + ticks.length, end);
      // Spaces separate backticks in the code from the marks.
      const isPadded = /^ .* $/s.test(text) && text.trim() !== '';
      return { node: { type: 'code', text: isPadded ? text.slice(1, -1) : text }, end: end + length };
    }
    end = source.indexOf(ticks, end + length);
  }
  unclosed.add(ticks);
  return undefined;
}

function mentionAt(source: string, at: number, { mentions = [], mentionsEveryone }: TextOptions): Found | undefined {
  if (WORD.test(charBefore(source, at))) return undefined;
  const names = mentionsEveryone ? [...mentions, 'everyone'] : mentions;
  const rest = source.slice(at + 1, at + 1 + 64).toLowerCase();
  const [name] = names
    .filter((each) => {
      const next = rest.slice(each.length);
      return rest.startsWith(each.toLowerCase()) && !/^[\p{L}\p{N}\p{M}]/u.test(next) && !/^@/.test(next);
    })
    .sort((one, other) => other.length - one.length);
  if (name === undefined) return undefined;
  const end = at + 1 + name.length;
  return { node: { type: 'mention', username: name, text: source.slice(at, end) }, end };
}

function linkAt(source: string, at: number): Found | undefined {
  if (WORD.test(charBefore(source, at)) || !URL_START.test(source.slice(at, at + 8))) return undefined;
  LINK_RUN.lastIndex = at;
  let [text = ''] = LINK_RUN.exec(source) ?? [];
  let open = 0;
  for (let index = 0; index < text.length; index += 1) {
    if (/[([]/.test(text[index] as string)) open += 1;
    if (/[)\]]/.test(text[index] as string)) open -= 1;
    // The bracket was opened before the link.
    if (open < 0) text = text.slice(0, index);
  }
  // Punctuation at the end belongs to the sentence, and marks to the format around the link.
  text = text.replace(/[.,;:!?'*_~]+$/, '');
  const href = addressOf(text);
  return href === undefined
    ? undefined
    : { node: { type: 'link', href, children: [{ type: 'text', text }] }, end: at + text.length };
}

function titledLinkAt(
  source: string,
  at: number,
  options: TextOptions,
  depth: number,
  unclosed: Set<string>,
): Found | undefined {
  if (unclosed.has('[')) return undefined;
  const middle = source.indexOf('](', at);
  if (middle < 0) {
    unclosed.add('[');
    return undefined;
  }
  const [all, address = ''] =
    /^\]\(\s*<?([^\s<>()]+(?:\([^\s<>()]*\)[^\s<>()]*)*)>?\s*\)/.exec(source.slice(middle, middle + 2_048)) ?? [];
  const title = source.slice(at + 1, middle);
  const href = addressOf(address);
  if (all === undefined || href === undefined || title.trim() === '' || title.includes('[')) return undefined;
  // A link inside of a link cannot be displayed.
  const children = parseInline(title, options, depth + 1).map((node) =>
    node.type === 'link' ? ({ type: 'text', text: title } as const) : node,
  );
  return { node: { type: 'link', href, children }, end: middle + all.length };
}

/** The address of a link if it is safe to open: no scripts, and no data. */
function addressOf(text: string): string | undefined {
  const address = /^www\./i.test(text) ? `https://${text}` : text;
  if (!URL.canParse(address)) return undefined;
  const { protocol, href, hostname } = new URL(address);
  return protocol === 'mailto:' || (/^https?:$/.test(protocol) && hostname !== '') ? href : undefined;
}

function formatAt(
  source: string,
  at: number,
  options: TextOptions,
  depth: number,
  unclosed: Set<string>,
): Found | undefined {
  const [mark, type] = MARKS.find(([each]) => source.startsWith(each, at)) ?? [];
  if (mark === undefined || type === undefined || unclosed.has(mark)) return undefined;
  const from = at + mark.length;
  if (/\s|^$/.test(source[from] ?? '')) return undefined;
  // An underscore inside of a word, as in `some_name`, is not a mark.
  if (mark === '_' && WORD.test(charBefore(source, at))) return undefined;
  for (let end = source.indexOf(mark, from + 1); end >= 0; end = source.indexOf(mark, end + 1)) {
    const isInsideWord = mark === '_' && WORD.test(charAfter(source, end + 1));
    const isOther =
      mark === '*' ? source[end + 1] === '*' || source[end - 1] === '*' : mark === '**' && source[end + 2] === '*';
    if (/[\s\\]/.test(source[end - 1] as string) || isInsideWord || isOther) continue;
    // A format does not go beyond a paragraph, and does not begin or end in code.
    const inside = source.slice(from, end);
    if ((inside.match(/`/g) ?? []).length % 2 === 1) continue;
    return { node: { type, children: parseInline(inside, options, depth + 1) }, end: end + mark.length };
  }
  unclosed.add(mark);
  return undefined;
}

const charBefore = (text: string, at: number) => [...text.slice(Math.max(0, at - 2), at)].at(-1) ?? '';
const charAfter = (text: string, at: number) => String.fromCodePoint(text.codePointAt(at) ?? 32);

/** A part of a search result. */
export interface SnippetPart {
  text: string;
  /** Whether it matches the query. */
  isMatch: boolean;
}

/** Splits the `snippet` of a search result at « and ». */
export function parseSnippet(snippet: string): SnippetPart[] {
  return snippet
    .split(/(«[^»]*»)/)
    .filter((text) => text !== '')
    .map((text) => {
      const isMatch = text.startsWith('«') && text.endsWith('»');
      return { text: isMatch ? text.slice(1, -1) : text, isMatch };
    });
}
