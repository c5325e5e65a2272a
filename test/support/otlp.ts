import { createServer } from 'node:http';

/** A span as received by a collector. */
export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  /** Empty for the root span of a trace. */
  parentId: string;
  name: string;
  /** 1: internal, 2: server. */
  kind: number;
  attributes: Record<string, unknown>;
  links: { traceId: string; spanId: string }[];
  isError: boolean;
  resource: Record<string, unknown>;
}

export interface Collector {
  /** The value of OTEL_EXPORTER_OTLP_ENDPOINT. */
  url: string;
  spans: ReceivedSpan[];
  /** The received bytes. */
  readonly bytes: Buffer;
  close(): void;
}

/** A collector for OTLP over HTTP in protobuf. With another `status`, it rejects the traces. */
export async function startCollector({ status = 200 } = {}): Promise<Collector> {
  const spans: ReceivedSpan[] = [];
  const bodies: Buffer[] = [];
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const body = Buffer.concat(chunks);
      const isRight = req.url === '/v1/traces' && req.headers['content-type'] === 'application/x-protobuf';
      if (isRight && status === 200) {
        bodies.push(body);
        spans.push(...readRequest(body));
      }
      res.writeHead(isRight ? status : 400, { 'content-type': 'application/x-protobuf' }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    spans,
    get bytes() {
      return Buffer.concat(bodies);
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

// The numbers of protobuf fields: opentelemetry/proto, collector/trace/v1, trace/v1, resource/v1 and common/v1.

type Fields = Map<number, (Buffer | bigint)[]>;

/** A protobuf message by field numbers: length-delimited fields as bytes, all others as numbers. */
function read(bytes: Buffer): Fields {
  const fields: Fields = new Map();
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const key = Number(varint());
    const type = key & 7;
    let value: Buffer | bigint;
    if (type === 0) value = varint();
    else {
      const length = type === 1 ? 8 : type === 5 ? 4 : Number(varint());
      value = bytes.subarray(at, at + length);
      at += length;
    }
    fields.set(key >> 3, [...(fields.get(key >> 3) ?? []), value]);
  }
  return fields;
}

const messages = (fields: Fields, number: number): Fields[] =>
  (fields.get(number) ?? []).map((each) => read(each as Buffer));
const bytesOf = (fields: Fields, number: number) => (fields.get(number)?.[0] ?? Buffer.alloc(0)) as Buffer;
const hexOf = (fields: Fields, number: number) => bytesOf(fields, number).toString('hex');
const textOf = (fields: Fields, number: number) => bytesOf(fields, number).toString();

const attributesOf = (fields: Fields, number: number): Record<string, unknown> =>
  Object.fromEntries(
    messages(fields, number).map((pair) => {
      const [value = new Map()] = messages(pair, 2);
      return [textOf(pair, 1), value.has(1) ? textOf(value, 1) : Number(value.get(3)?.[0] ?? Number.NaN)];
    }),
  );

const readRequest = (body: Buffer): ReceivedSpan[] =>
  messages(read(body), 1).flatMap((resourceSpans) => {
    const [resourceFields = new Map()] = messages(resourceSpans, 1);
    const resource = attributesOf(resourceFields, 1);
    return messages(resourceSpans, 2).flatMap((scope) =>
      messages(scope, 2).map((span) => ({
        traceId: hexOf(span, 1),
        spanId: hexOf(span, 2),
        parentId: hexOf(span, 4),
        name: textOf(span, 5),
        kind: Number(span.get(6)?.[0] ?? 0),
        attributes: attributesOf(span, 9),
        links: messages(span, 13).map((link) => ({ traceId: hexOf(link, 1), spanId: hexOf(link, 2) })),
        isError: messages(span, 15).some((state) => state.get(3)?.[0] === 2n),
        resource,
      })),
    );
  });
