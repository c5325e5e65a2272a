import { createHash } from 'node:crypto';

const style = `
  :root { color-scheme: light dark; }
  body { max-width: 38rem; margin: 15vh auto 0; padding: 0 1.5rem; font: 1.05rem/1.6 system-ui, sans-serif; }
`;

/**
 * The page for browsers at `/` and `/graphql` if GraphiQL is disabled. It reveals neither the version nor settings, and
 * loads nothing.
 */
export const landingPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Parley</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>Parley</h1>
<p>This server provides the API of a chat service. It is running, but it has no user interface: to chat, use the
website or the app of the service.</p>
<p>Applications send GraphQL requests to <code>/graphql</code> and open WebSocket connections to the same URL.</p>
</main>
</body>
</html>
`;

/** The content security policy of the page: only its own style is allowed. */
export const landingPagePolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');
