/** What GraphiQL opens with: two people meet and talk, one step a tab. Each tab has its own headers. */
const signedInAs = (who: string) => JSON.stringify({ Authorization: `Bearer <accessToken of ${who}>` }, null, 2);

export const exampleTabs = [
  {
    query: `# Two people talk. Go through the tabs from left to right.
#
# 1 · Make two accounts. Copy both access tokens: the later tabs want them in
#     their Headers (below), and Bob's id as a variable.
mutation TwoPeople {
  alice: register(input: { username: "alice", email: "alice@example.com", password: "correct horse" }) {
    tokens { accessToken }
    viewer { user { id } }
  }
  bob: register(input: { username: "bob", email: "bob@example.com", password: "battery staple" }) {
    tokens { accessToken }
    viewer { user { id } }
  }
}
`,
  },
  {
    query: `# 2 · As Bob (put his token into Headers): listen. It answers CAUGHT_UP, and then waits.
subscription BobListens {
  messages {
    type
    changeSeq
    cursor
    message { id seq text sender { displayName } conversation { id } }
  }
}
`,
    headers: signedInAs('Bob'),
  },
  {
    query: `# 3 · As Alice: open the conversation with Bob. Copy its id.
mutation AliceMeetsBob($bob: ID!) {
  openDirectConversation(input: { userId: $bob }) {
    conversation { id kind counterpart { username } }
  }
}
`,
    variables: JSON.stringify({ bob: '<id of Bob>' }, null, 2),
    headers: signedInAs('Alice'),
  },
  {
    query: `# 4 · As Alice: say something, and look at Bob's tab. Sent twice, it is stored once:
#     clientMessageId is the key of a retry.
mutation AliceSays($conversation: ID!) {
  sendMessage(input: { conversationId: $conversation, text: "Hello Bob!", clientMessageId: "hello-1" }) {
    message { id seq createdAt }
  }
}
`,
    variables: JSON.stringify({ conversation: '<id of the conversation>' }, null, 2),
    headers: signedInAs('Alice'),
  },
  {
    query: `# 5 · As either: the conversations, and what was said in them.
query WhatWasSaid {
  viewer {
    user { displayName }
    conversations(first: 10) {
      nodes {
        id
        counterpart { displayName }
        messages(last: 20) {
          nodes { seq text sender { displayName } createdAt }
          pageInfo { hasPreviousPage startCursor }
        }
      }
    }
  }
}
`,
    headers: signedInAs('Alice'),
  },
];
