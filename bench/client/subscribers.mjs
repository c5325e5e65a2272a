// Does the same as subscribers.c where no compiler is installed: see protocol.md. It takes several times as much CPU
// time and can therefore limit the deliveries per second; the measured CPU time of the server is not affected.
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const LATENCY_STEP_US = 10;
const MASK = Buffer.from([0x51, 0x9c, 0x2f, 0xe3]);

const scripts = new Map();
const sockets = [];
let lastScript;
let started = 0;
let through = 0;
let inFlight = 0;
let connectBegan = 0;
let marker;
let every = 0;
let notified = 0;
let events = 0;
let tellEach = false;
let latencies = new Map();
const counted = { events: 0, reads: 0, disorder: 0, lost: 0 };

const nowUs = () => Number(process.hrtime.bigint() / 1_000n);
const say = (line) => process.stdout.write(`${line}\n`);

function die(reason) {
  console.error(`subscribers: ${reason}`);
  process.exit(1);
}

// ── sending ──

function sendFrame(socket, opcode, payload) {
  const head = payload.length < 126 ? [payload.length | 0x80] : [0xfe, payload.length >> 8, payload.length & 0xff];
  const masked = Buffer.from(payload.map((byte, index) => byte ^ MASK[index & 3]));
  socket.write(Buffer.concat([Buffer.from([0x80 | opcode, ...head]), MASK, masked]));
}

// ── the script of a socket, up to its subscription ──

function runScript(state) {
  const { steps } = scripts.get(state.script);
  for (; steps[state.step]?.send !== undefined; state.step += 1) {
    sendFrame(state.socket, 1, Buffer.from(steps[state.step].send));
  }
  if (state.step < steps.length || state.through) return;
  state.through = true;
  through += 1;
  if (through === sockets.length) say(`connected ${through} ${((nowUs() - connectBegan) / 1_000).toFixed(1)}`);
  else startNext();
}

function startNext() {
  while (started < sockets.length && started - through < inFlight) {
    start(sockets[started]);
    started += 1;
  }
}

function start(state) {
  const { port, path, protocol } = scripts.get(state.script);
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
    ...(protocol === '-' ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
  ];
  state.socket = connect({ port: Number(port), host: '127.0.0.1', noDelay: true });
  state.socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  state.socket.on('data', (chunk) => onData(state, chunk));
  state.socket.on('error', (error) => die(error.message));
  state.socket.on('close', () => {
    if (!state.through) die('a socket ended before it was subscribed');
    counted.lost += 1;
  });
}

// ── reading ──

function onData(state, chunk) {
  const now = nowUs();
  let bytes = state.rest.length > 0 ? Buffer.concat([state.rest, chunk]) : chunk;
  if (!state.upgraded) {
    const end = bytes.indexOf('\r\n\r\n');
    if (end >= 0) {
      if (!bytes.subarray(0, 12).equals(Buffer.from('HTTP/1.1 101'))) die(`no upgrade: ${bytes.subarray(0, 60)}`);
      state.upgraded = true;
      bytes = bytes.subarray(end + 4);
      runScript(state);
    }
  }
  state.rest = state.upgraded ? readFrames(state, bytes, now) : bytes;
}

/** Returns the bytes of an incomplete frame. */
function readFrames(state, bytes, now) {
  let at = 0;
  let hadEvents = false;
  while (bytes.length - at >= 2) {
    let head = 2;
    let size = bytes[at + 1] & 127;
    if (size === 126) {
      if (bytes.length - at < 4) break;
      size = bytes.readUInt16BE(at + 2);
      head = 4;
    } else if (size === 127) die('a frame of more than 64 KiB');
    if (bytes.length - at < head + size) break;
    if (onFrame(state, bytes[at] & 15, bytes.subarray(at + head, at + head + size), now)) hadEvents = true;
    at += head + size;
  }
  if (hadEvents) counted.reads += 1;
  return bytes.subarray(at);
}

function onFrame(state, opcode, payload, now) {
  if (opcode === 9) sendFrame(state.socket, 10, payload);
  if (opcode === 8) {
    const code = payload.length < 2 ? 0 : payload.readUInt16BE(0);
    if (!state.through) die(`closed with ${code} before it was subscribed: ${payload.subarray(2)}`);
  }
  if (opcode !== 1) return false;
  const text = payload.toString('latin1');
  if (text === '2') {
    // The heartbeat of Engine.IO.
    sendFrame(state.socket, 1, Buffer.from('3'));
  } else if (!state.through) {
    if (text.includes(scripts.get(state.script).steps[state.step].await)) {
      state.step += 1;
      runScript(state);
    } else if (text.includes('error')) die(`refused: ${text}`);
  } else if (text.includes(marker)) {
    onEvent(state, text, now);
    return true;
  }
  return false;
}

function numberAfter(text, key) {
  const at = text.indexOf(key);
  return at < 0 ? -1 : Number.parseInt(text.slice(at + key.length, at + key.length + 20), 10);
}

function onEvent(state, text, now) {
  events += 1;
  counted.events += 1;
  const seq = numberAfter(text, '"seq":');
  if (state.lastSeq > 0 && seq !== state.lastSeq + 1) counted.disorder += 1;
  state.lastSeq = seq;
  const sent = numberAfter(text, '"text":"');
  if (sent > 0) {
    const step = Math.max(0, Math.floor((now - sent) / LATENCY_STEP_US));
    latencies.set(step, (latencies.get(step) ?? 0) + 1);
  }
  if (tellEach) say(`event ${state.number}`);
  if (every > 0 && Math.floor(events / every) > notified) {
    notified = Math.floor(events / every);
    say(`delivered ${notified}`);
  }
}

// ── commands ──

function stats() {
  const steps = [...latencies].sort(([one], [other]) => one - other);
  const total = steps.reduce((sum, [, count]) => sum + count, 0);
  const percentile = (share) => {
    let seen = 0;
    for (const [step, count] of steps) {
      seen += count;
      if (seen >= share * total) return step * LATENCY_STEP_US;
    }
    return 0;
  };
  say(`stats ${JSON.stringify({ ...counted, p50: percentile(0.5), p99: percentile(0.99), max: percentile(1) })}`);
  latencies = new Map();
  Object.assign(counted, { events: 0, reads: 0, disorder: 0 });
}

const commands = {
  script(rest) {
    const [id, port, path, protocol] = rest.split(' ');
    lastScript = { port, path, protocol, steps: [] };
    scripts.set(id, lastScript);
  },
  send: (rest) => lastScript.steps.push({ send: rest }),
  await: (rest) => lastScript.steps.push({ await: rest }),
  open(rest) {
    const [script, count] = rest.split(' ');
    for (let left = Number(count); left > 0; left -= 1) {
      sockets.push({ script, number: sockets.length, step: 0, lastSeq: 0, rest: Buffer.alloc(0) });
    }
  },
  connect(rest) {
    inFlight = Number(rest);
    connectBegan = nowUs();
    startNext();
  },
  marker(rest) {
    marker = rest;
  },
  every(rest) {
    every = Number(rest);
    events = 0;
    notified = 0;
  },
  each(rest) {
    tellEach = rest === '1';
  },
  stats,
};

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const space = line.indexOf(' ');
    const [name, rest] = space < 0 ? [line, ''] : [line.slice(0, space), line.slice(space + 1)];
    if (!commands[name]) die(`unknown command: ${line}`);
    commands[name](rest);
  })
  .on('close', () => process.exit(0));
