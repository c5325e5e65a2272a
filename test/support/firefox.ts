import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket, WebSocketServer } from 'ws';
import type { Json } from './client.js';
import { atEnd } from './ending.js';

/** Where Debian, Ubuntu, Fedora and macOS install Firefox. */
const candidates = [
  process.env['FIREFOX'],
  '/usr/bin/firefox-esr',
  '/usr/bin/firefox',
  '/Applications/Firefox.app/Contents/MacOS/firefox',
];
const executablePath = candidates.find((path) => path !== undefined && existsSync(path));
if (!executablePath) console.log('The web app is not tested in Firefox: set FIREFOX to its path.');

/** For tests that need Firefox: `describe.skipIf(!firefoxFound)`. */
export const firefoxFound = executablePath !== undefined;

export interface Firefox {
  /** The origin of its push service, whose endpoints are below it. */
  pushOrigin: string;
  /** How many pushes its push service has received. */
  pushCount(): number;
  goto(url: string): Promise<void>;
  /** Evaluates the text of a function in the page, as if the user had pressed something, and returns its result as JSON. */
  evaluate(text: string): Promise<Json>;
}

/**
 * Starts Firefox without a window, with a profile of its own and a push service of its own. It ends at the end of the current
 * test.
 */
export async function startFirefox(): Promise<Firefox> {
  if (executablePath === undefined) throw new Error('there is no Firefox');
  const service = await startAutopush();
  const profile = await mkdtemp(join(tmpdir(), 'parley_firefox_'));
  const preferences = {
    'dom.push.serverURL': service.url,
    'dom.push.testing.allowInsecureServerURL': true,
    // Remote debugging would switch it off.
    'dom.push.connection.enabled': true,
    // Notifications are permitted to all pages.
    'permissions.default.desktop-notification': 1,
    // There is no service of the operating system that displays them.
    'alerts.useSystemBackend': false,
    // Nothing of what it loads for itself is needed.
    'app.update.disabledForTesting': true,
    'browser.shell.checkDefaultBrowser': false,
    'datareporting.policy.dataSubmissionEnabled': false,
    'network.captive-portal-service.enabled': false,
    'network.connectivity-service.enabled': false,
    'services.settings.server': 'data:,#remote-settings-dummy/v1',
    'toolkit.telemetry.enabled': false,
  };
  const lines = Object.entries(preferences).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`);
  await writeFile(join(profile, 'user.js'), lines.join(''));
  const args = ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0', 'about:blank'];
  const child = spawn(executablePath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit');
  atEnd(async () => {
    child.kill('SIGTERM');
    await ended;
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  const address = await new Promise<string>((resolve, reject) => {
    let log = '';
    child.stderr.on('data', (data) => {
      log += data;
      const [, found] = /BiDi listening on (ws:\S+)/.exec(log) ?? [];
      if (found) resolve(found);
    });
    child.on('exit', () => reject(new Error(`Firefox has ended: ${log}`)));
  });
  const send = await connect(`${address}/session`);
  await send('session.new', { capabilities: {} });
  const { contexts } = await send('browsingContext.getTree', {});
  const { context } = contexts[0];
  return {
    pushOrigin: service.origin,
    pushCount: service.pushCount,
    goto: (url) => send('browsingContext.navigate', { context, url, wait: 'complete' }),
    async evaluate(text) {
      const { type, result, exceptionDetails } = await send('script.evaluate', {
        expression: `(async () => JSON.stringify(await (${text})()))()`,
        target: { context },
        awaitPromise: true,
        userActivation: true,
      });
      if (type === 'exception') throw new Error(exceptionDetails.text);
      return result.value === undefined ? undefined : JSON.parse(result.value);
    },
  };
}

/** Connects to Firefox by WebDriver BiDi, which Firefox supports itself. */
async function connect(address: string): Promise<(method: string, params: object) => Promise<Json>> {
  const socket = new WebSocket(address);
  await once(socket, 'open');
  const waiting = new Map<number, (answer: Json) => void>();
  socket.on('message', (data) => {
    const answer = JSON.parse(String(data));
    waiting.get(answer.id)?.(answer);
    waiting.delete(answer.id);
  });
  let count = 0;
  return (method, params) =>
    new Promise((resolve, reject) => {
      count += 1;
      waiting.set(count, (answer) =>
        answer.type === 'error' ? reject(new Error(`${method}: ${answer.message}`)) : resolve(answer.result),
      );
      socket.send(JSON.stringify({ id: count, method, params }));
    });
}

/** A push service for one Firefox, with the protocol of Mozilla's push service. */
async function startAutopush() {
  let browser: WebSocket | undefined;
  let count = 0;
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    const channelID = request.url?.slice(1);
    const headers = { encoding: request.headers['content-encoding'] };
    count += 1;
    browser?.send(
      JSON.stringify({
        messageType: 'notification',
        channelID,
        version: `${count}`,
        data: body.toString('base64url'),
        headers,
      }),
    );
    response.writeHead(201).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const origin = `http://127.0.0.1:${port}`;
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    browser = socket;
    socket.on('message', (data) => {
      const { messageType, channelID, uaid = '0'.repeat(32) } = JSON.parse(String(data));
      const answers: Record<string, object> = {
        hello: { messageType, status: 200, uaid, use_webpush: true, broadcasts: {} },
        register: { messageType, status: 200, channelID, pushEndpoint: `${origin}/${channelID}` },
        unregister: { messageType, status: 200, channelID },
      };
      const answer = answers[messageType];
      // A message without a type is a ping.
      if (answer || messageType === undefined) socket.send(JSON.stringify(answer ?? {}));
    });
  });
  atEnd(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    server.close();
  });
  return { origin, url: `ws://127.0.0.1:${port}/`, pushCount: () => count };
}
