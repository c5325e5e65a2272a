import { ParleyError } from '@parley/client';
import { type FormEvent, useEffect, useRef, useState } from 'react';
import type { Text } from '../../locales/en.ts';
import { useText } from '../../locales/locale.tsx';
import { wrongFields } from '../../parley.ts';

/** The state of a form that sends one mutation. */
interface FormState<Name extends string> {
  ref: React.RefObject<HTMLFormElement | null>;
  onSubmit(event: FormEvent<HTMLFormElement>): void;
  busy: boolean;
  /** The messages below the fields. */
  errors: Partial<Record<Name, string>>;
  /** An error of the form as a whole. */
  failure: string | undefined;
  /** How many seconds remain until the server accepts another attempt. */
  waitSeconds: number;
}

/**
 * Manages a form.
 * @param required the fields that must not be empty.
 * @param submit sends the values. The errors of a mutation are shown next to the fields that they name, as `input.name`;
 *   the first of these fields gets the focus.
 * @param explain the text for an error that names no field of the form, if it has a special meaning there.
 */
export function useForm<Name extends string>(
  required: readonly Name[],
  submit: (values: Record<Name, string>) => Promise<void>,
  explain: (error: ParleyError) => string | undefined = () => undefined,
): FormState<Name> {
  const text = useText();
  const ref = useRef<HTMLFormElement>(null);
  const [busy, setBusy] = useState(false);
  const [errors, setErrors] = useState<FormState<Name>['errors']>({});
  const [failure, setFailure] = useState<string>();
  const [waitUntil, setWaitUntil] = useState(0);
  const waitSeconds = useCountdown(waitUntil);

  useEffect(() => {
    // The fields have the attribute now.
    ref.current?.querySelector<HTMLElement>('[aria-invalid]')?.focus();
  }, [errors]);

  function show(error: unknown): void {
    if (!(error instanceof ParleyError)) throw error;
    if (error.code === 'RATE_LIMITED') {
      setWaitUntil(Date.now() + (error.retryAfter ?? 1_000));
      return;
    }
    const named = [...wrongFields(error)].map(([path, message]) => [
      path.replace(/^input\./, ''),
      messageOf(text, error.code, path, message),
    ]);
    const inForm = named.filter(([name = '']) => ref.current?.elements.namedItem(name));
    if (inForm.length > 0) setErrors(Object.fromEntries(inForm));
    else setFailure(explain(error) ?? failureOf(text, error));
  }

  async function send(values: Record<Name, string>): Promise<void> {
    setBusy(true);
    try {
      await submit(values);
    } catch (error) {
      show(error);
    } finally {
      setBusy(false);
    }
  }

  return {
    ref,
    busy,
    errors,
    failure,
    waitSeconds,
    onSubmit(event) {
      event.preventDefault();
      if (busy || waitSeconds > 0) return;
      const values = Object.fromEntries(new FormData(event.currentTarget)) as Record<Name, string>;
      const empty = required.filter((name) => !values[name]?.trim());
      setFailure(undefined);
      setErrors(Object.fromEntries(empty.map((name) => [name, text.errors.required])) as FormState<Name>['errors']);
      if (empty.length === 0) void send(values);
    },
  };
}

/** The seconds that remain until a time. */
function useCountdown(until: number): number {
  const [now, setNow] = useState(Date.now());
  const left = Math.max(0, Math.ceil((until - now) / 1_000));
  useEffect(() => {
    setNow(Date.now());
    if (until <= Date.now()) return;
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, [until]);
  return left;
}

function messageOf({ errors }: Text, code: string, path: string, message: string): string {
  const name = path.replace(/^input\./, '');
  if (code === 'CONFLICT' && name === 'username') return errors.usernameTaken;
  if (code === 'CONFLICT' && name === 'email') return errors.emailTaken;
  if (code === 'BAD_USER_INPUT' && name === 'username') return errors.usernameInvalid;
  if (code === 'BAD_USER_INPUT' && name === 'email') return errors.emailInvalid;
  if (code === 'BAD_USER_INPUT' && /^(?:new|current)?password$/i.test(name)) return errors.passwordInvalid;
  return message;
}

function failureOf({ errors }: Text, { code, message }: ParleyError): string {
  if (code === 'NETWORK' || code === 'UNAVAILABLE') return errors.unreachable;
  if (code === 'INTERNAL_SERVER_ERROR') return errors.unexpected;
  return message;
}
