import { createHash } from 'node:crypto';
import { renderGraphiQL } from '@graphql-yoga/render-graphiql';
import type { GraphiQLOptions } from 'graphql-yoga';
import { createParleyFetcher, lastTab } from './graphiql-browser.js';

// The initial tabs of GraphiQL: two users meet and exchange messages, one step per tab. Each tab has its own headers.
// The page replaces <…> with the value at this path in earlier responses (graphiql-browser.js).

const signedInAs = (who: string) => JSON.stringify({ Authorization: `Bearer <${who}.tokens.accessToken>` }, null, 2);

const exampleTabs = [
  {
    query: `# In this example, two users chat. Run the tabs from
# left to right, each with the round button or
# Ctrl-Enter.
#
# You do not have to copy anything: placeholders <…>
# in Variables and Headers (below) are replaced by
# values from the previous responses.
#
# 1 · Create two accounts.
mutation TwoPeople {
  alice: register(input: {
    username: "alice"
    email: "alice@example.com"
    password: "correct horse"
  }) {
    tokens { accessToken }
    viewer { user { id } }
  }
  bob: register(input: {
    username: "bob"
    email: "bob@example.com"
    password: "battery staple"
  }) {
    tokens { accessToken }
    viewer { user { id } }
  }
}

# If the accounts already exist (CONFLICT), or their
# tokens have expired (UNAUTHENTICATED), run this:
mutation ComeBack {
  alice: login(input: {
    usernameOrEmail: "alice"
    password: "correct horse"
  }) {
    tokens { accessToken }
    viewer { user { id } }
  }
  bob: login(input: {
    usernameOrEmail: "bob"
    password: "battery staple"
  }) {
    tokens { accessToken }
    viewer { user { id } }
  }
}
`,
  },
  {
    query: `# 2 · As Bob: subscribe to messages.
#
# Do this in a SECOND WINDOW: open the same URL
# again, and run tab 2 there. (GraphiQL ends a
# subscription when you switch to another tab.)
#
# The first event is CAUGHT_UP. The subscription then
# waits for new messages. Continue here with tab 3.
subscription BobListens {
  messages {
    type
    changeSeq
    cursor
    message {
      id seq text
      sender { displayName }
      conversation { id }
    }
  }
}
`,
    headers: signedInAs('bob'),
  },
  {
    query: `# 3 · As Alice: open a conversation with Bob.
mutation AliceMeetsBob($bob: ID!) {
  openDirectConversation(input: { userId: $bob }) {
    conversation {
      id kind
      counterpart { username }
    }
  }
}
`,
    variables: JSON.stringify({ bob: '<bob.viewer.user.id>' }, null, 2),
    headers: signedInAs('alice'),
  },
  {
    query: `# 4 · As Alice: send a message. It appears in Bob's
# window.
#
# If you run this twice, the message is stored once:
# clientMessageId is an idempotency key for retries.
# To send another message, change both the key and
# the text in Variables.
mutation AliceSays($input: SendMessageInput!) {
  sendMessage(input: $input) {
    message { id seq text createdAt }
  }
}
`,
    variables: JSON.stringify(
      {
        input: {
          conversationId: '<openDirectConversation.conversation.id>',
          text: 'Hello Bob!',
          clientMessageId: 'hello-1',
        },
      },
      null,
      2,
    ),
    headers: signedInAs('alice'),
  },
  {
    query: `# 5 · As Bob: resume after a disconnection.
#
# Stop Bob's subscription, send another message as
# Alice, and run this. The missed events after the
# cursor come first, then CAUGHT_UP, then new events.
subscription BobIsBack($after: String) {
  messages(after: $after) {
    type
    replayed
    cursor
    message {
      seq text
      sender { displayName }
    }
  }
}
`,
    variables: JSON.stringify({ after: '<messages.cursor>' }, null, 2),
    headers: signedInAs('bob'),
  },
  {
    query: `# 6 · As Alice: read the conversations and their
# messages.
query WhatWasSaid {
  viewer {
    user { displayName }
    conversations(first: 10) {
      nodes {
        id
        counterpart { displayName }
        messages(last: 20) {
          nodes {
            seq text createdAt
            sender { displayName }
          }
          pageInfo { hasPreviousPage startCursor }
        }
      }
    }
  }
}
`,
    headers: signedInAs('alice'),
  },
];

export const graphiqlOptions: GraphiQLOptions = { title: 'Parley', defaultTabs: exampleTabs };

const call = 'YogaGraphiQL.renderYogaGraphiQL(';
// Without this style, a tab moves when it is pressed during its opening animation, and the click misses it.
const style = '<style>.graphiql-tab { transform: none !important; }</style>';
let page: string | undefined;

/** The page of GraphiQL with all its code and our own fetcher. It is constant, with a size of several megabytes. */
export function graphiqlPage(): string {
  page ??= withOurs(renderGraphiQL(graphiqlOptions));
  return page;
}

let policy: string | undefined;

/**
 * The content security policy of GraphiQL's page: it can run its own code, also in workers, and connect to its own
 * server. Images in descriptions of the schema are not loaded.
 */
export function graphiqlPolicy(): string {
  policy ??= [
    "default-src 'none'",
    `script-src ${scriptHashes(graphiqlPage()).join(' ')} blob:`,
    'worker-src blob: data:',
    "style-src 'unsafe-inline'",
    'font-src data:',
    'img-src data:',
    // Safari before 15.4 does not include WebSockets of the same origin in 'self'.
    "connect-src 'self' ws: wss:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  return policy;
}

const scriptHashes = (html: string): string[] =>
  [...html.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(
    ([, code = '']) => `'sha256-${createHash('sha256').update(code).digest('base64')}'`,
  );

/**
 * Replaces the fetcher of GraphiQL's page with our own: GraphiQL's omits the headers of a tab in WebSocket
 * subscriptions.
 * @throws {Error} if the page does not have the expected structure.
 */
function withOurs(html: string): string {
  const at = html.lastIndexOf(call);
  if (at < 0) throw new Error(`GraphiQL's page has no ${call}`);
  const ours = `${createParleyFetcher}
        ${lastTab}
        const renderParley = (root, options) => {
          const fetcher = createParleyFetcher(new URL(location.pathname, location.href).href);
          ${call}root, { ...options, ...lastTab(), fetcher });
        };
        renderParley(`;
  return html.slice(0, at).replace('</head>', `${style}</head>`) + ours + html.slice(at + call.length);
}
