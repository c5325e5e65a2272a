// The dialogues by which summaries are evaluated, from test/domain/summary/dialogues: see docs/SUMMARIES.md.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * @typedef {{ seq: number; senderId: string; text: string; at: number; replyTo?: number; reactions?: number }} Message
 * @typedef {{
 *   title: string;
 *   language: string;
 *   heldOut: boolean;
 *   reference: string;
 *   messages: Message[];
 *   keys: Set<number>;
 *   nameOf: (id: string) => string | undefined;
 * }} Dialogue
 */

const folder = fileURLToPath(new URL('../../test/domain/summary/dialogues', import.meta.url));
const minutes = { m: 1, h: 60, d: 1_440 };
const LINE = /^(?<key>\*?)(?<name>[^:^+]+?)(?: \^(?<replyTo>\d+))?(?: \+(?<reactions>\d+))?: (?<text>.+)$/;

/**
 * Reads all dialogues. In a file, a dialogue begins with `== title | tuned` (or `held`), followed by its reference
 * summary and one message per line: `Name: text`, with a `*` in front if it is a key message, ` ^3` if it replies to
 * the third message, and ` +2` if it has two reactions. `~ 3h` is a pause.
 * @returns {Dialogue[]}
 */
export function readDialogues() {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.txt'))
    .sort()
    .flatMap((file) =>
      readFileSync(join(folder, file), 'utf8')
        .split(/^== /m)
        .slice(1)
        .map((text) => parse(text, file.slice(0, 2))),
    );
}

/** @returns {Dialogue} */
function parse(text, language) {
  const [head = '', reference = '', rule, ...lines] = text.trim().split('\n');
  const [title = '', part] = head.split(' | ');
  if (!['tuned', 'held'].includes(part) || !reference.startsWith('ref: ') || rule !== '--') {
    throw new Error(`the dialogue "${head}" is not written as it should be`);
  }
  const names = new Map();
  const keys = new Set();
  const messages = [];
  let at = Date.UTC(2026, 9, 5, 9);
  for (const line of lines) {
    const pause = /^~ (\d+)([mhd])$/.exec(line);
    if (pause) {
      at += Number(pause[1]) * minutes[pause[2]] * 60_000;
      continue;
    }
    const found = LINE.exec(line)?.groups;
    if (!found) throw new Error(`"${title}": what is this: ${line}`);
    if (!names.has(found.name)) names.set(found.name, idOf(names.size));
    const seq = messages.length + 1;
    const replyTo = found.replyTo === undefined ? undefined : Number(found.replyTo);
    if (replyTo !== undefined && !(replyTo >= 1 && replyTo < seq))
      throw new Error(`"${title}": ${seq} replies to what?`);
    if (found.key) keys.add(seq);
    at += 60_000;
    messages.push({
      seq,
      senderId: names.get(found.name),
      text: found.text,
      at,
      replyTo,
      reactions: Number(found.reactions ?? 0),
    });
  }
  const nameById = new Map([...names].map(([name, id]) => [id, name]));
  return {
    title,
    language,
    heldOut: part === 'held',
    reference: reference.slice(5),
    messages,
    keys,
    nameOf: (id) => nameById.get(id),
  };
}

const idOf = (number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
