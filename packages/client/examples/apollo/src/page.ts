/** An element of the page. */
function find<T extends Element>(selector: string): T {
  const found = document.querySelector<T>(selector);
  if (!found) throw new Error(`There is no ${selector}.`);
  return found;
}

/** Calls the listener with the fields of a form when it is submitted, and shows why it failed. */
export function onSubmit(selector: string, listener: (fields: Record<string, string>) => Promise<unknown>): void {
  const form = find<HTMLFormElement>(selector);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(form)) as Record<string, string>;
    form.reset();
    listener(fields).catch((error: Error) => {
      find('#error').textContent = error.message;
    });
  });
}

export function showChat(isSignedIn: boolean): void {
  find<HTMLElement>('#sign-in').hidden = isSignedIn;
  find<HTMLElement>('#chat').hidden = !isSignedIn;
}

interface Shown {
  text?: string | null;
  sender?: { displayName: string } | null;
}

export function showMessages(messages: readonly Shown[]): void {
  const items = messages.map(({ text, sender }) => {
    const item = document.createElement('li');
    item.textContent = `${sender?.displayName ?? ''}: ${text ?? '(deleted)'}`;
    return item;
  });
  find('#messages').replaceChildren(...items);
}
