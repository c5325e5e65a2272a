import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const modified = (path) => statSync(new URL(path, import.meta.url), { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Installs the packages that only the benchmarks need, if they are missing or outdated. */
export function installPeers() {
  // npm writes this file last, so its time is that of the installation.
  if (modified('node_modules/.package-lock.json') >= modified('package-lock.json')) return;
  const cwd = fileURLToPath(new URL('.', import.meta.url));
  execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd, stdio: 'inherit' });
}
