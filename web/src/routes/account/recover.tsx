import { useState } from 'react';
import { RequestResetDocument } from '../../generated/graphql.ts';
import { useText } from '../../locales/locale.tsx';
import { useParley } from '../../parley.ts';
import { Field } from '../../shell/field.tsx';
import { Link } from '../../shell/router.tsx';
import { AccountPage } from './account-page.tsx';
import { Form } from './form.tsx';
import { useForm } from './use-form.ts';

/** Requests an email with a link for a new password. */
export default function Recover() {
  const { account } = useText();
  const parley = useParley();
  const [sentTo, setSentTo] = useState<string>();
  const form = useForm(['email'], async ({ email }) => {
    await parley.request(RequestResetDocument, { input: { email: email.trim() } });
    setSentTo(email.trim());
  });
  const footer = <Link to={{ name: 'sign-in' }}>{account.backToSignIn}</Link>;
  if (sentTo !== undefined) {
    return (
      <AccountPage title={account.linkSentTitle} lead={account.linkSentText(sentTo)} footer={footer}>
        <Link to={{ name: 'reset' }}>{account.haveCode}</Link>
      </AccountPage>
    );
  }
  return (
    <AccountPage title={account.recoverTitle} lead={account.recoverLead} footer={footer}>
      <Form form={form} action={account.sendLink}>
        <Field
          name="email"
          type="email"
          label={account.email}
          error={form.errors.email}
          autoComplete="email"
          autoFocus
        />
      </Form>
    </AccountPage>
  );
}
