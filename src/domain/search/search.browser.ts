// What the web app shares with the server to search encrypted messages in the browser. It must not import anything that needs Node.
export { matchesConversation, matchesQuery, type Searched } from './search.match.js';
export { parseQuery, type SearchQuery } from './search.query.js';
export { type Snippet, snippetOf } from './search.snippet.js';
