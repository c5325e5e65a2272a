import { Writable } from 'node:stream';

const levels: Record<number, { name: string; color: number }> = {
  10: { name: 'TRACE', color: 90 },
  20: { name: 'DEBUG', color: 90 },
  30: { name: 'INFO', color: 32 },
  40: { name: 'WARN', color: 33 },
  50: { name: 'ERROR', color: 31 },
  60: { name: 'FATAL', color: 31 },
};

/**
 * Converts the JSON log to lines for humans: the local time, the level, the message and the other properties, followed
 * by the stack of an error. Lines that are not JSON are written unchanged.
 */
export function logLines(output: NodeJS.WritableStream, { colors }: { colors: boolean }): Writable {
  return new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      output.write(
        chunk.replace(/.+/g, (line) => lineOf(line, colors)),
        () => done(),
      );
    },
  });
}

function lineOf(json: string, colors: boolean): string {
  let facts: Record<string, unknown>;
  try {
    facts = JSON.parse(json);
  } catch {
    return json;
  }
  const { time, level, msg, err, ...others } = facts as { err?: { stack?: string } } & typeof facts;
  const { name, color } = levels[Number(level)] ?? { name: String(level), color: 0 };
  const inColor = (code: number, text: string) => (colors && text !== '' ? `\x1b[${code}m${text}\x1b[0m` : text);
  const rest = Object.entries(others).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const parts = [
    inColor(90, new Date(String(time)).toTimeString().slice(0, 8)),
    inColor(color, name.padEnd(5)),
    plain(String(msg ?? '')),
    inColor(90, plain(rest.join(' '))),
  ];
  const stack = err === undefined ? [] : String(err.stack ?? JSON.stringify(err)).split('\n');
  return [parts.filter((part) => part !== '').join(' '), ...stack.map((line) => `    ${plain(line)}`)].join('\n');
}

/** Escapes control characters, so that logged input cannot move the cursor, change colors or begin a new line. */
const plain = (text: string): string => text.replace(/\p{Cc}/gu, (sign) => JSON.stringify(sign).slice(1, -1));
