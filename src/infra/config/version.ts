import { readFileSync } from 'node:fs';

/** Parley's version, of package.json; the same from src/infra and from dist/infra. */
export const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
