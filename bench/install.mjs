import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * Installs the packages of a folder that only the benchmarks need, if they are missing or outdated.
 * @param base the URL of a file in the folder.
 */
export function installPeers(base = import.meta.url) {
  const modified = (path) => statSync(new URL(path, base), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  // npm writes this file last, so its time is that of the installation.
  if (modified('node_modules/.package-lock.json') >= modified('package-lock.json')) return;
  const cwd = fileURLToPath(new URL('.', base));
  execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd, stdio: 'inherit' });
}
