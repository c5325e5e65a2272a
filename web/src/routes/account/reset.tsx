import { useState } from 'react';
import { ResetDocument } from '../../generated/graphql.ts';
import { useText } from '../../locales/locale.tsx';
import { useParley, wrongFields } from '../../parley.ts';
import { Field, PasswordField } from '../../shell/field.tsx';
import { Link, useNavigation } from '../../shell/router.tsx';
import { AccountPage } from './account-page.tsx';
import { Form } from './form.tsx';
import { useForm } from './use-form.ts';

/** Sets a new password with the token of an email, which is in the fragment of the link or entered by the user. */
export default function Reset() {
  const { account, errors } = useText();
  const parley = useParley();
  const { go } = useNavigation();
  const [token] = useState(takeToken);
  const form = useForm(
    token === undefined ? ['token', 'newPassword'] : ['newPassword'],
    async (values) => {
      const input = { token: token ?? values.token.trim(), newPassword: values.newPassword };
      const { resetPassword } = await parley.request(ResetDocument, { input });
      if (resetPassword) await parley.session.useTokens(resetPassword.tokens);
      go({ name: 'home' }, { replace: true });
    },
    (error) => (wrongFields(error).has('input.token') ? errors.linkExpired : undefined),
  );
  return (
    <AccountPage
      title={account.resetTitle}
      lead={account.resetLead}
      footer={<Link to={{ name: 'sign-in' }}>{account.backToSignIn}</Link>}
    >
      <Form form={form} action={account.setPassword}>
        {token === undefined && (
          <Field
            name="token"
            label={account.code}
            error={form.errors.token && errors.linkExpired}
            autoComplete="one-time-code"
            autoCapitalize="none"
            spellCheck={false}
            autoFocus
          />
        )}
        <PasswordField
          name="newPassword"
          label={account.newPassword}
          hint={account.passwordHint}
          error={form.errors.newPassword}
          autoComplete="new-password"
          autoFocus={token !== undefined}
        />
      </Form>
    </AccountPage>
  );
}

/** Takes the token out of the address bar, so that it gets neither into the history nor into a screenshot. */
function takeToken(): string | undefined {
  const token = location.hash.replace(/^#(?:token=)?/, '');
  if (token === '') return undefined;
  history.replaceState(null, '', location.pathname);
  return token;
}
