import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

const SCRIPT = join(import.meta.dirname, '../deploy/layers.mjs');
const SOURCE = join(import.meta.dirname, '../src');

describe('deploy/layers.mjs', () => {
  let copy: string;
  const planted: string[] = [];

  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), 'layers-'));
    const isOwn = (path: string) => !path.startsWith(join(SOURCE, 'generated'));
    cpSync(SOURCE, join(copy, 'src'), { recursive: true, filter: isOwn });
  });
  afterEach(() => {
    for (const path of planted.splice(0)) rmSync(path);
  });
  afterAll(() => rmSync(copy, { recursive: true, force: true }));

  function plant(file: string, text: string) {
    const path = join(copy, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { flag: 'wx' });
    planted.push(path);
  }

  function check() {
    const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, copy], { encoding: 'utf8' });
    return { status, stdout, lines: stderr.split('\n').filter((line) => line !== '') };
  }

  it('accepts the sources as they are', () => {
    const { status, stdout, lines } = check();
    expect(lines).toEqual([]);
    expect(status).toBe(0);
    const [, count] = /^(\d+) imports/.exec(stdout) ?? [];
    expect(Number(count), 'the imports are found').toBeGreaterThan(1_000);
  });

  it('reports an import of a higher layer, whatever its form', () => {
    const forms = [
      "import { sendMessage } from '../domain/message/message.service.js';",
      "import {\n  type SendInput,\n  sendMessage,\n} from '../domain/message/message.service.js';",
      "import type { SendInput } from '../domain/message/message.service.js';",
      "import '../domain/message/message.service.js';",
      "export * from '../domain/message/message.service.js';",
      "export type { SendInput } from '../domain/message/message.service.js';",
      "export const load = () => import('../domain/message/message.service.js');",
      "export type Service = typeof import('../domain/message/message.service.js');",
      "export const url = new URL('../domain/message/message.service.js', import.meta.url);",
    ];
    for (const [index, form] of forms.entries()) plant(`src/core/planted-${index}.ts`, `// Planted.\n${form}\n`);
    expect(check()).toMatchObject({
      status: 1,
      lines: forms.map(
        (form, index) =>
          `src/core/planted-${index}.ts:${form.split('\n').length + 1} imports src/domain/message/message.service.ts: ` +
          'core is below domain (core < infra < realtime < platform < graphql < domain < app < server < entry points).',
      ),
    });
  });

  it('reports an import that leaves a package', () => {
    plant('packages/client/src/inside.ts', 'export const inside = 1;\n');
    plant('packages/client/src/outbox/planted.ts', "import '../inside.js';\nimport '../../../../src/main.js';\n");
    plant('packages/client/src/planted.tsx', "import type { Inside } from '../../react/src/inside.js';\n");
    expect(check()).toMatchObject({
      status: 1,
      lines: [
        'packages/client/src/outbox/planted.ts:2 imports ../../../../src/main.js: a package must not import files outside of it.',
        'packages/client/src/planted.tsx:1 imports ../../react/src/inside.js: a package must not import files outside of it.',
      ],
    });
  });

  it('reports a cycle of folders in the web app, apart from what is loaded when it is needed', () => {
    plant('web/src/data.ts', 'export const data = 1;\n');
    plant(
      'web/src/pane/pane.tsx',
      "import { data } from '../data.ts';\nconst load = () => import('../panel/panel.tsx');\n",
    );
    plant('web/src/panel/panel.tsx', "import type { Pane } from '../pane/pane.tsx';\n");
    expect(check()).toMatchObject({ status: 0 });
    plant('web/src/pane/planted.tsx', "import styles from '../panel/panel.module.css';\n");
    plant('web/src/planted.tsx', "import '../../src/core/errors.js';\n");
    expect(check()).toMatchObject({
      status: 1,
      lines: [
        'Folders form a cycle: web/src/pane -> web/src/panel -> web/src/pane',
        '  web/src/pane/planted.tsx:1 imports web/src/panel/panel.module.css',
        '  web/src/panel/panel.tsx:1 imports web/src/pane/pane.tsx',
        'web/src/planted.tsx:1 imports ../../src/core/errors.js: the web app must not import files outside of it.',
      ],
    });
  });

  it('reports what else a layer must not import', () => {
    const cases = [
      ['src/domain/pin/planted-1.ts', '../../app/node.js', 'domain is below app'],
      [
        'src/domain/pin/planted-2.ts',
        '../../graphql/builder.js',
        'only *.schema.ts files may import the layer graphql',
      ],
      ['src/domain/pin/planted-3.ts', './pin.schema.js', 'may import *.schema.ts files'],
      ['src/domain/pin/planted-4.ts', '@pothos/core', 'may depend on GraphQL packages'],
      ['src/infra/planted.ts', 'graphql/language', 'may depend on GraphQL packages'],
      ['src/server/planted.ts', '../main.js', 'server is below entry points'],
      ['src/unknown/planted.ts', '../core/errors.js', 'src/unknown is none of the layers'],
    ] as const;
    for (const [file, specifier] of cases) plant(file, `import type { Planted } from '${specifier}';\n`);
    const { status, lines } = check();
    expect(status).toBe(1);
    expect(lines.map((line) => line.split(' ')[0])).toEqual(cases.map(([file]) => `${file}:1`));
    for (const [index, [, , reason]] of cases.entries()) expect(lines[index]).toContain(reason);
  });

  it('reports a schema file that queries the database outside of a loader', () => {
    plant(
      'src/domain/pin/planted.schema.ts',
      [
        'const load = defineLoader<Pin>((context, ids) => findPins(context.deps.database.db, ids));',
        '// context.deps.database in a comment',
        'const resolve = (context) => findPin(context.deps.database.db);',
        '',
      ].join('\n'),
    );
    const { status, lines } = check();
    expect(status).toBe(1);
    expect(lines).toEqual([
      'src/domain/pin/planted.schema.ts:3 uses the database outside of a loader: call a function of a service.',
    ]);
  });

  it('ignores imports in comments', () => {
    plant(
      'src/core/planted.ts',
      "/*\nimport '../domain/pin/pin.service.js';\n*/\n// import '../domain/pin/pin.service.js';\n",
    );
    expect(check()).toMatchObject({ status: 0, lines: [] });
  });

  it('reports a cycle of folders that consists of type imports only', () => {
    plant('src/domain/contact/planted.ts', "import type { Planted } from '../typing/planted.js';\n");
    plant('src/domain/typing/planted.ts', "\nimport type { Planted } from '../contact/planted.js';\n");
    expect(check()).toMatchObject({
      status: 1,
      lines: [
        'Folders form a cycle: src/domain/contact -> src/domain/typing -> src/domain/contact',
        '  src/domain/contact/planted.ts:1 imports src/domain/typing/planted.ts',
        '  src/domain/typing/planted.ts:2 imports src/domain/contact/planted.ts',
      ],
    });
  });

  it('reports a cycle of features between which no two files import each other', () => {
    plant('src/domain/profile/planted.ts', "import { a } from '../typing/planted-a.js';\n");
    plant('src/domain/typing/planted-a.ts', 'export const a = 1;\n');
    plant('src/domain/typing/planted-b.ts', "export { c } from '../sync/planted.js';\n");
    plant('src/domain/sync/planted.ts', "export { d as c } from '../profile/planted-d.js';\n");
    plant('src/domain/profile/planted-d.ts', 'export const d = 1;\n');
    expect(check()).toMatchObject({
      status: 1,
      lines: [
        'Folders form a cycle: src/domain/profile -> src/domain/typing -> src/domain/sync -> src/domain/profile',
        '  src/domain/profile/planted.ts:1 imports src/domain/typing/planted-a.ts',
        '  src/domain/typing/planted-b.ts:1 imports src/domain/sync/planted.ts',
        '  src/domain/sync/planted.ts:1 imports src/domain/profile/planted-d.ts',
      ],
    });
  });
});
