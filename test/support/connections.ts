/**
 * `NODE_OPTIONS` for a Node process and its children: each writes `connects to <host>` to its standard error for every
 * connection that it opens to another machine, and for every name that it resolves.
 */
export const reportConnections = (() => {
  const code = `
    import net from 'node:net';
    import dns from 'node:dns';
    import { syncBuiltinESMExports } from 'node:module';
    import { writeSync } from 'node:fs';
    const isActive = (host) => host === undefined || /^(localhost|127\\..*|::1|0\\.0\\.0\\.0|::)$/.test(host);
    const tell = (host) => isActive(host) || writeSync(2, '\\nconnects to ' + host + '\\n');
    const { connect } = net.Socket.prototype;
    net.Socket.prototype.connect = function (...args) {
      const [first, second] = Array.isArray(args[0]) ? args[0] : args;
      tell(typeof first === 'object' && first !== null ? first.host : typeof second === 'string' ? second : undefined);
      return connect.apply(this, args);
    };
    const { lookup } = dns;
    dns.lookup = (name, ...rest) => (tell(name), lookup(name, ...rest));
    syncBuiltinESMExports();`;
  return `--import data:text/javascript,${encodeURIComponent(code)}`;
})();

/** The hosts reported by a process with these options. */
export const connectionsIn = (output: string): string[] =>
  [...output.matchAll(/^connects to (.+)$/gm)].map(([, host = '']) => host);
