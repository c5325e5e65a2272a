// A push service that accepts everything, over HTTPS as the real ones.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tellPort } from './commands.mjs';

const pem = readFileSync(process.env.CERTIFICATE);
const server = createServer({ key: pem, cert: pem, keepAliveTimeout: 60_000 }, (request, response) => {
  request.resume().on('end', () => response.writeHead(201).end());
});
tellPort(server);
server.listen(0, '127.0.0.1');
