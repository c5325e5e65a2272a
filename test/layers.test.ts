import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SCRIPT = join(import.meta.dirname, '../deploy/layers.mjs');
const SOURCE = join(import.meta.dirname, '../src');

describe('deploy/layers.mjs', () => {
  let copy: string;

  beforeEach(() => {
    copy = mkdtempSync(join(tmpdir(), 'layers-'));
    const isOwn = (path: string) => !path.startsWith(join(SOURCE, 'generated'));
    cpSync(SOURCE, join(copy, 'src'), { recursive: true, filter: isOwn });
  });
  afterEach(() => rmSync(copy, { recursive: true, force: true }));

  const write = (file: string, text: string) => writeFileSync(join(copy, file), text);

  function check(script = SCRIPT) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, copy], { encoding: 'utf8' });
    return { status, stdout, lines: stderr.split('\n').filter((line) => line !== '') };
  }

  it('accepts the sources as they are', () => {
    const { status, stdout, lines } = check();
    expect(lines).toEqual([]);
    expect(status).toBe(0);
    const [, count] = /^(\d+) imports/.exec(stdout) ?? [];
    expect(Number(count), 'the imports are found').toBeGreaterThan(1_000);
  });

  it.each([
    ["import { sendMessage } from '../domain/message/message.service.js';"],
    ["import {\n  type SendInput,\n  sendMessage,\n} from '../domain/message/message.service.js';"],
    ["import type { SendInput } from '../domain/message/message.service.js';"],
    ["import '../domain/message/message.service.js';"],
    ["export * from '../domain/message/message.service.js';"],
    ["export type { SendInput } from '../domain/message/message.service.js';"],
    ["export const load = () => import('../domain/message/message.service.js');"],
    ["export type Service = typeof import('../domain/message/message.service.js');"],
    ["export const url = new URL('../domain/message/message.service.js', import.meta.url);"],
  ])('reports an import of a higher layer: %s', (statement) => {
    write('src/core/planted.ts', `// Planted.\n${statement}\n`);
    const { status, lines } = check();
    expect(status).toBe(1);
    expect(lines[0]).toBe(
      `src/core/planted.ts:${statement.split('\n').length + 1} imports src/domain/message/message.service.ts: ` +
        'core is below domain (core < infra < realtime < platform < graphql < domain < app < server < entry points).',
    );
  });

  it.each([
    ['src/server/planted.ts', '../main.js', 'server is below entry points'],
    ['src/domain/pin/planted.ts', '../../app/node.js', 'domain is below app'],
    ['src/domain/pin/planted.ts', '../../graphql/builder.js', 'only *.schema.ts files may import the layer graphql'],
    ['src/domain/pin/planted.ts', './pin.schema.js', 'may import *.schema.ts files'],
    ['src/domain/pin/planted.ts', '@pothos/core', 'may depend on GraphQL packages'],
    ['src/infra/planted.ts', 'graphql/language', 'may depend on GraphQL packages'],
    ['src/unknown/planted.ts', '../core/errors.js', 'src/unknown is none of the layers'],
  ])('reports that %s imports %s', (file, specifier, reason) => {
    cpSync(join(copy, 'src/core/slices.ts'), join(copy, file));
    write(file, `import type { Planted } from '${specifier}';\n`);
    const { status, lines } = check();
    expect(status).toBe(1);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`${file}:1 imports `);
    expect(lines[0]).toContain(reason);
  });

  it('ignores imports in comments', () => {
    write(
      'src/core/planted.ts',
      "/*\nimport '../domain/pin/pin.service.js';\n*/\n// import '../domain/pin/pin.service.js';\n",
    );
    expect(check()).toMatchObject({ status: 0, lines: [] });
  });

  it('reports a circle of folders that consists of type imports only', () => {
    write('src/infra/auth/planted.ts', "import type { Planted } from '../telemetry/planted.js';\n");
    write('src/infra/telemetry/planted.ts', "\nimport type { Planted } from '../auth/planted.js';\n");
    expect(check()).toMatchObject({
      status: 1,
      lines: [
        'Folders form a circle: src/infra/auth -> src/infra/telemetry -> src/infra/auth',
        '  src/infra/auth/planted.ts:1 imports src/infra/telemetry/planted.ts',
        '  src/infra/telemetry/planted.ts:2 imports src/infra/auth/planted.ts',
      ],
    });
  });

  it('reports a circle of features between which no two files import each other', () => {
    write('src/domain/profile/planted.ts', "import { a } from '../typing/planted-a.js';\n");
    write('src/domain/typing/planted-a.ts', 'export const a = 1;\n');
    write('src/domain/typing/planted-b.ts', "export { c } from '../sync/planted.js';\n");
    write('src/domain/sync/planted.ts', "export { d as c } from '../profile/planted-d.js';\n");
    write('src/domain/profile/planted-d.ts', 'export const d = 1;\n');
    expect(check()).toMatchObject({
      status: 1,
      lines: [
        'Folders form a circle: src/domain/profile -> src/domain/typing -> src/domain/sync -> src/domain/profile',
        '  src/domain/profile/planted.ts:1 imports src/domain/typing/planted-a.ts',
        '  src/domain/typing/planted-b.ts:1 imports src/domain/sync/planted.ts',
        '  src/domain/sync/planted.ts:1 imports src/domain/profile/planted-d.ts',
      ],
    });
  });

  it('reports an exception that is not needed', () => {
    const script = join(copy, 'layers.mjs');
    const text = readFileSync(SCRIPT, 'utf8');
    const changed = text.replace(/^const exceptions = \[/m, "$&\n  'src/domain/pin -> src/domain/message',");
    expect(changed).not.toBe(text);
    writeFileSync(script, changed);
    appendFileSync(join(copy, 'src/domain/pin/pin.policy.ts'), "\nexport * from '../message/message.policy.js';\n");
    expect(check(script)).toMatchObject({
      status: 1,
      lines: [
        'The exception "src/domain/pin -> src/domain/message" in deploy/layers.mjs is no longer needed: remove it.',
      ],
    });
  });
});
