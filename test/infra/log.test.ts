import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createLog } from '../../src/infra/telemetry/log.js';
import { logLines } from '../../src/infra/telemetry/log-lines.js';

describe('the log', () => {
  it('removes secrets and user content at any depth', () => {
    let written = '';
    const stream = new Writable({
      write(chunk, _encoding, done) {
        written += String(chunk);
        done();
      },
    });
    const log = createLog('info', stream);
    const secrets = {
      password: 's3cret',
      text: 's3cret',
      token: 's3cret',
      accessToken: 's3cret',
      refreshToken: 's3cret',
      authorization: 's3cret',
    };
    log.info(secrets, 'at the top');
    log.info({ input: { ...secrets, newPassword: 's3cret', currentPassword: 's3cret' } }, 'in an input');
    log.info({ req: { headers: secrets } }, 'in headers');
    expect(written.split('\n').filter(Boolean)).toHaveLength(3);
    expect(written).not.toContain('s3cret');
    expect(written).toContain('[redacted]');
  });
});

describe('the log on a terminal', () => {
  const written = (say: (log: ReturnType<typeof createLog>) => void, colors = false): string => {
    let text = '';
    const output = new Writable({
      write(chunk, _encoding, done) {
        text += String(chunk);
        done();
      },
    });
    say(createLog('info', logLines(output, { colors })));
    return text;
  };

  it('writes one readable line: the time, the level, the message and the properties', () => {
    const text = written((log) => log.info({ url: 'http://127.0.0.1:4000/graphql', count: 3 }, 'Parley is ready'));
    expect(text).toMatch(/^\d\d:\d\d:\d\d INFO {2}Parley is ready url=http:\/\/127\.0\.0\.1:4000\/graphql count=3\n$/);
    expect(written((log) => log.warn('careful'), true)).toContain('\x1b[33mWARN \x1b[0m careful\n');
  });

  it('writes the stack of an error below, and removes secrets there too', () => {
    const text = written((log) => log.error({ err: new Error('broken'), password: 's3cret' }, 'a request failed'));
    expect(text).toMatch(/ERROR a request failed password=\[redacted\]\n {4}Error: broken\n {8}at /);
    expect(text).not.toContain('s3cret');
  });

  it('escapes control characters and line breaks in logged input', () => {
    const text = written((log) => log.info({ origin: 'a\x1b[2Jb\nINFO forged' }, 'c\rd'));
    expect(text).toMatch(/ INFO {2}c\\rd origin=a\\u001b\[2Jb\\nINFO forged\n$/);
  });
});
