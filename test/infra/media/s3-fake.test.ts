import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { startS3 } from '../../support/s3.js';

const SCRIPT = join(import.meta.dirname, 's3_client.py');
/** Debian's package belongs to its own Python, which is not always the first one in the PATH. */
const python = ['python3', '/usr/bin/python3'].find(
  (path) => spawnSync(path, ['-c', 'import boto3'], { stdio: 'ignore' }).status === 0,
);
if (python === undefined) console.log('A test of S3 is skipped: python3-boto3 not found (install it from Debian).');

it.skipIf(python === undefined)("the server of the tests behaves as Amazon's client expects", async () => {
  const s3 = await startS3();
  s3.pageMax = 2;
  const settings = ['S3_ENDPOINT', 'S3_REGION', 'S3_BUCKET', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'];
  const { stdout } = await promisify(execFile)(python ?? '', [SCRIPT, ...settings.map((name) => s3.env[name] ?? '')]);
  const part = 5 * 1024 * 1024;
  expect(JSON.parse(stdout)).toEqual({
    content: '0123456789',
    range: '234',
    size: 10,
    absent: 'NoSuchKey',
    beyond: 'InvalidRange',
    keys: [0, 1, 2, 3, 4].map((number) => `list/${number}/x`),
    folders: [0, 1, 2, 3, 4].map((number) => `list/${number}/`),
    parts: [
      [1, part, true],
      [2, part, true],
      [3, 3, true],
    ],
    uploads: true,
    small: 'EntityTooSmall',
    order: 'InvalidPartOrder',
    wrong: 'InvalidPart',
    complete: 'accepted',
    again: 'NoSuchUpload',
    big: 2 * part + 3,
    aborted: 'NoSuchUpload',
    presigned: 200,
    forged: 403,
    put: 200,
    deleted: 'NoSuchKey',
    key: 'InvalidAccessKeyId',
    secret: 'SignatureDoesNotMatch',
    region: 'AuthorizationHeaderMalformed',
    bucket: 'NoSuchBucket',
  });
});
