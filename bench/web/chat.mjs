/** Sends an operation that must succeed, and returns its data. */
export async function ask(url, query, variables = {}, token = undefined) {
  const response = await fetch(`${url}graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

async function register(url, username) {
  const input = { username, email: `${username}@example.com`, password: 'long enough' };
  const { register: answer } = await ask(
    url,
    'mutation ($input: RegisterInput!) { register(input: $input) { tokens { accessToken } viewer { user { id } } } }',
    { input },
  );
  return { id: answer.viewer.user.id, token: answer.tokens.accessToken };
}

/** Ada, and Bob who has a big and a small conversation with her. Bob sends everything. */
export async function makeChat(url) {
  const [ada, bob] = [await register(url, 'ada'), await register(url, 'bob')];
  const { openDirectConversation: direct } = await ask(
    url,
    'mutation ($input: OpenDirectConversationInput!) { openDirectConversation(input: $input) { conversation { id } } }',
    { input: { userId: ada.id } },
    bob.token,
  );
  const { createGroup: group } = await ask(
    url,
    'mutation ($input: CreateGroupInput!) { createGroup(input: $input) { conversation { id } } }',
    { input: { title: 'Small', memberIds: [ada.id] } },
    bob.token,
  );
  return { url, token: bob.token, big: direct.conversation.id, small: group.conversation.id };
}

/** Sends `<text> 1`, `<text> 2` and so on, in order. */
export async function sendMany({ url, token }, id, text, count) {
  for (let sent = 0; sent < count; ) {
    const numbers = Array.from({ length: Math.min(30, count - sent) }, (_, index) => sent + index + 1);
    const fields = numbers.map(
      (number) =>
        `m${number}: sendMessage(input: { conversationId: $id, text: "${count === 1 ? text : `${text} ${number}`}" }) { message { id } }`,
    );
    await ask(url, `mutation ($id: ID!) { ${fields.join('\n')} }`, { id }, token);
    sent += numbers.length;
  }
}

/** Sends about so many messages, in any order, and `<text> end` after them. */
export async function sendFast(chat, id, text, count) {
  await Promise.all([1, 2, 3, 4].map((series) => sendMany(chat, id, `${text} ${series}.`, Math.ceil(count / 4))));
  await sendMany(chat, id, `${text} end`, 1);
}

/** Sends messages at a steady rate until the returned function is called, which resolves with the rate that was reached. */
export function sendSteadily(chat, id, perSecond) {
  const begun = Date.now();
  let count = 0;
  let isStopped = false;
  const sending = (async () => {
    while (!isStopped) {
      const due = Math.floor(((Date.now() - begun) * perSecond) / 1_000) - count;
      if (due > 0) {
        await sendMany(chat, id, 'steady', Math.min(30, due));
        count += Math.min(30, due);
      } else {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
    return (count * 1_000) / (Date.now() - begun);
  })();
  return () => {
    isStopped = true;
    return sending;
  };
}
