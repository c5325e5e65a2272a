import { useText } from '../../locales/locale.tsx';
import { useParley, useServerInfo } from '../../parley.ts';
import { readInvitation } from '../../preferences.ts';
import { Field, PasswordField } from '../../shell/field.tsx';
import { Link } from '../../shell/router.tsx';
import { AccountPage } from './account-page.tsx';
import { deviceName } from './device.ts';
import { Form } from './form.tsx';
import { useForm } from './use-form.ts';

export default function SignUp() {
  const { account } = useText();
  const parley = useParley();
  const isOpen = useServerInfo()?.features.includes('registration');
  const form = useForm(['username', 'email', 'password'], ({ username, email, password }) =>
    parley.session.signUp({ username: username.trim(), email: email.trim(), password, deviceName: deviceName() }),
  );
  const toSignIn = (
    <>
      {account.haveAccount} <Link to={{ name: 'sign-in' }}>{account.signIn}</Link>
    </>
  );
  if (isOpen === false) {
    return (
      <AccountPage title={account.signUpTitle} lead={account.registrationClosed} footer={toSignIn}>
        {null}
      </AccountPage>
    );
  }
  return (
    <AccountPage
      title={account.signUpTitle}
      lead={readInvitation() === undefined ? account.signUpLead : account.invited}
      footer={toSignIn}
    >
      <Form form={form} action={account.signUp}>
        <Field
          name="username"
          label={account.username}
          hint={account.usernameHint}
          error={form.errors.username}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          dir="auto"
          autoFocus
        />
        <Field
          name="email"
          type="email"
          label={account.email}
          hint={account.emailHint}
          error={form.errors.email}
          autoComplete="email"
        />
        <PasswordField
          name="password"
          label={account.password}
          hint={account.passwordHint}
          error={form.errors.password}
          autoComplete="new-password"
        />
      </Form>
    </AccountPage>
  );
}
