// Runs in a worker thread: sends cheap requests to a node at a steady rate, whether or not earlier ones were answered,
// so that a stall of the node is measured for its whole duration.
import { Agent, request } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';

const { url, token, intervalMs } = workerData;
const agent = new Agent({ keepAlive: true });
const bodies = ['{ __typename }', '{ viewer { id } }'].map((query) => JSON.stringify({ query }));
/** The latencies of successful calls in milliseconds, and the reasons of failed calls. */
const latencies = [];
const failures = [];
/** The number of calls after which connections are open and code is compiled. */
const WARM_UP = 20;
let answered = 0;
let asked = 0;
let open = 0;

function ask() {
  const body = bodies[asked % bodies.length];
  asked += 1;
  open += 1;
  const began = performance.now();
  const fail = (reason) => {
    open -= 1;
    failures.push(reason);
  };
  const call = request(url, {
    method: 'POST',
    agent,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    timeout: 30_000,
  });
  call.on('timeout', () => call.destroy(new Error('no answer within 30 s')));
  call.on('error', (error) => fail(error.message));
  call.on('response', (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    response.on('end', () => {
      if (response.statusCode !== 200 || text.includes('"errors"')) return fail(`${response.statusCode} ${text}`);
      open -= 1;
      answered += 1;
      if (answered === WARM_UP) parentPort.postMessage('warm');
      else if (answered > WARM_UP) latencies.push(performance.now() - began);
    });
  });
  call.end(body);
}

const timer = setInterval(ask, intervalMs);
parentPort.on('message', () => {
  clearInterval(timer);
  const report = () => {
    if (open > 0) return void setTimeout(report, 5);
    agent.destroy();
    parentPort.postMessage({ latencies, failures });
    parentPort.close();
  };
  report();
});
