import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '../infra/config/config-error.js';
import type { Language } from './people.js';
import type { Script, Topic } from './script.js';

const folder = new URL('../../deploy/demo/', import.meta.url);

/**
 * Reads the demo's scripts from `deploy/demo/<language>.txt`. One file looks like this:
 *
 *     === work
 *     times: 3
 *     A: Is {thing} ready?
 *     ~ 2h
 *     B: Yes.
 *     ---
 *     thing: the report
 *     ---
 *     thing: the budget
 *
 * `===` begins a script and names its topic. The options `times` and `cast` come before the lines (see Script.lines).
 * Each `---` begins a variant. Empty lines are ignored, and so is a line that begins with `# `.
 *
 * @throws {ConfigError} when the files are missing, as they are in the production image.
 * @throws {Error} when a file is malformed.
 */
export function readScripts(language: Language): Script[] {
  const file = new URL(`${language}.txt`, folder);
  if (!existsSync(file)) {
    throw new ConfigError(
      `The demo dialogues are missing: ${fileURLToPath(file)} does not exist. ` +
        'The production image does not contain them: run `npm run seed` in a clone of the repository.',
    );
  }
  return parseScripts(readFileSync(file, 'utf8'));
}

/** @throws {Error} with the number of the first malformed line. */
export function parseScripts(text: string): Script[] {
  const scripts: {
    about: Topic;
    lines: string;
    variants?: Record<string, string>[];
    cast?: string[];
    times?: number;
  }[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('# ')) continue;
    const topic = /^=== (\w+)$/.exec(line)?.[1];
    if (topic !== undefined) {
      scripts.push({ about: topic as Topic, lines: '' });
      continue;
    }
    const script = scripts.at(-1);
    if (!script) throw malformed(index, line);
    if (line === '---') {
      script.variants = [...(script.variants ?? []), {}];
      continue;
    }
    const [, name = '', value = ''] = /^([^:]+): (.+)$/.exec(line) ?? [];
    const variant = script.variants?.at(-1);
    if (variant) {
      if (!name) throw malformed(index, line);
      variant[name] = value;
    } else if (name === 'times') script.times = Number(value);
    else if (name === 'cast') script.cast = value.split(', ');
    else script.lines += `${line}\n`;
  }
  return scripts;
}

const malformed = (index: number, line: string) => new Error(`Line ${index + 1} is not part of a script: ${line}`);
