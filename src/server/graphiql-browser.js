// For the browser: the text of these functions becomes part of GraphiQL's page (see graphiql.ts).

/**
 * Creates the fetcher with which GraphiQL sends operations. It stores the latest responses, and replaces placeholders in
 * headers and variables, such as <bob.viewer.user.id>, with the values at these paths in them.
 *
 * @param {string} url the URL of the GraphQL API
 */
export function createParleyFetcher(url) {
  const KEPT = 'parley:answers';
  const kept = () => JSON.parse(localStorage.getItem(KEPT) ?? '{}');
  // GraphiQL would show the stack as well.
  const problem = (message) => Object.assign(new Error(message), { stack: undefined });

  function keep(answer) {
    const fields = Object.entries(answer.data ?? {}).filter(([name, value]) => value && !name.startsWith('__'));
    if (fields.length > 0) localStorage.setItem(KEPT, JSON.stringify({ ...kept(), ...Object.fromEntries(fields) }));
    return answer;
  }

  function fill(value) {
    if (Array.isArray(value)) return value.map(fill);
    if (value && typeof value === 'object') {
      return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, fill(part)]));
    }
    if (typeof value !== 'string') return value;
    return value.replace(/<(\w+(?:\.\w+)+)>/g, (placeholder, path) => {
      const found = path.split('.').reduce((part, name) => part?.[name], kept());
      if (found == null || typeof found === 'object') {
        throw problem(`The previous responses contain no value for ${placeholder}. Run the tabs from left to right.`);
      }
      return found;
    });
  }

  async function request(body, headers) {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    return keep(await response.json());
  }

  /**
   * Subscribes over a separate socket, because each tab has its own token. GraphiQL shows only one response: it contains
   * the previous ones as `earlier`.
   */
  function subscribe(body, headers, observer) {
    const socket = new WebSocket(url.replace(/^http/, 'ws'), 'graphql-transport-ws');
    const send = (message) => socket.send(JSON.stringify(message));
    const [, authorization] = Object.entries(headers).find(([name]) => name.toLowerCase() === 'authorization') ?? [];
    let over = false;
    let earlier = [];
    const show = (answer) => {
      observer.next({ ...answer, ...(earlier.length > 0 ? { earlier } : {}) });
      earlier = [answer.data, ...earlier].slice(0, 20);
    };
    const end = (how, error) => {
      if (over) return;
      over = true;
      socket.close(1000);
      observer[how](error);
    };
    socket.onopen = () => send({ type: 'connection_init', payload: authorization ? { authorization } : {} });
    socket.onmessage = ({ data }) => {
      const { type, payload } = JSON.parse(data);
      if (type === 'connection_ack') send({ type: 'subscribe', id: '1', payload: body });
      else if (type === 'ping') send({ type: 'pong' });
      else if (type === 'next' && !over) show(keep(payload));
      else if (type === 'error') end('error', { errors: payload });
      else if (type === 'complete') end('complete');
    };
    socket.onclose = ({ code, reason }) => {
      const why = code === 4403 ? ': the token in Headers is invalid or has expired' : '';
      end('error', problem(`The server closed the WebSocket with ${code} ${reason}${why}.`));
    };
    return () => {
      over = true;
      socket.close(1000);
    };
  }

  return ({ query, variables, operationName }, { headers = {}, documentAST } = {}) => {
    const body = { query, variables: fill(variables), operationName };
    const filled = fill(headers);
    const operation = documentAST?.definitions.find(
      ({ kind, name }) => kind === 'OperationDefinition' && (!operationName || name?.value === operationName),
    );
    if (operation?.operation !== 'subscription') return request(body, filled);
    return { subscribe: (observer) => ({ unsubscribe: subscribe(body, filled, observer) }) };
  };
}

/**
 * Returns options with which GraphiQL opens the last active tab. By default, it adds an empty tab at each reload and in
 * each further window.
 */
export function lastTab() {
  const stored = JSON.parse(localStorage.getItem('graphiql:tabState') ?? 'null');
  const tab = stored?.tabs?.[stored.activeTabIndex];
  const asked = new URLSearchParams(location.search).get('query');
  if (!tab || (asked !== null && asked !== tab.query)) return {};
  return { query: tab.query ?? '', variables: tab.variables ?? '', initialHeaders: tab.headers ?? '' };
}
