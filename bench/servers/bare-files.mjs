// The baseline for files: a PUT is written with `pipeline` and one fsync, a GET is a bare read stream.
import { createReadStream, createWriteStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { obey, tellPort } from './commands.mjs';

const server = createServer(async (req, res) => {
  const path = join(process.env.FOLDER, req.url.replaceAll('/', '_'));
  if (req.method === 'PUT') {
    await pipeline(req, createWriteStream(path));
    const file = await open(path, 'r+');
    await file.sync();
    await file.close();
    res.writeHead(204).end();
    return;
  }
  const { size } = await stat(path);
  res.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': size });
  await pipeline(createReadStream(path), res);
});
tellPort(server);
server.listen(0, '127.0.0.1');
obey(() => {});
