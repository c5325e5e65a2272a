import { useText } from '../../locales/locale.tsx';
import { useParley, useServerInfo } from '../../parley.ts';
import { Field, PasswordField } from '../../shell/field.tsx';
import { Link } from '../../shell/router.tsx';
import styles from './account-page.module.css';
import { AccountPage } from './account-page.tsx';
import { deviceName } from './device.ts';
import { Form } from './form.tsx';
import { useForm } from './use-form.ts';

export function SignIn() {
  const { account, errors } = useText();
  const parley = useParley();
  const isOpen = useServerInfo()?.features.includes('registration');
  const form = useForm(
    ['usernameOrEmail', 'password'],
    ({ usernameOrEmail, password }) =>
      parley.session.signIn({ usernameOrEmail: usernameOrEmail.trim(), password, deviceName: deviceName() }),
    ({ code }) => (code === 'BAD_USER_INPUT' ? errors.wrongPassword : undefined),
  );
  return (
    <AccountPage
      title={account.signInTitle}
      lead={account.signInLead}
      footer={
        isOpen && (
          <>
            {account.noAccount} <Link to={{ name: 'sign-up' }}>{account.signUp}</Link>
          </>
        )
      }
    >
      <Form form={form} action={account.signIn}>
        <Field
          name="usernameOrEmail"
          label={account.usernameOrEmail}
          error={form.errors.usernameOrEmail}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          dir="auto"
          autoFocus
        />
        <PasswordField
          name="password"
          label={account.password}
          error={form.errors.password}
          autoComplete="current-password"
        />
        <Link to={{ name: 'recover' }} className={styles.aside}>
          {account.forgotPassword}
        </Link>
      </Form>
    </AccountPage>
  );
}
