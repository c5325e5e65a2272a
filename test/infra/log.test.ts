import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createLog } from '../../src/infra/log.js';

describe('the log', () => {
  it('removes secrets and texts wherever a careless line puts them', () => {
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
