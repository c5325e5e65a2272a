// What the web app shares with the server to summarize encrypted messages in the browser. It must not import anything that needs Node.
export { choose, extract } from './extractive/extract.js';
export { AT_ONCE, OF_PART, PART } from './summary.parts.js';
export { type Point, type TranscriptMessage, withAttachments, withNames } from './summary.transcript.js';
