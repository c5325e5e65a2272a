import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const modified = (path) => statSync(new URL(path, import.meta.url), { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Installs the peers that the product does not use, at the first use and when they have changed. */
export function installPeers() {
  // npm writes that file last; it is as new as what is installed.
  if (modified('node_modules/.package-lock.json') >= modified('package-lock.json')) return;
  const cwd = fileURLToPath(new URL('.', import.meta.url));
  execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd, stdio: 'inherit' });
}
