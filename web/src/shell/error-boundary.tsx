import { Component, type ReactNode } from 'react';
import { useText } from '../locales/locale.tsx';
import { Button } from './button.tsx';
import { Notice } from './notice.tsx';

/** Shows a page with a way out if a component throws. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override componentDidCatch(error: unknown) {
    console.error(error);
  }

  override render() {
    return this.state.failed ? <Crashed onRetry={() => this.setState({ failed: false })} /> : this.props.children;
  }
}

function Crashed({ onRetry }: { onRetry(): void }) {
  const { app } = useText();
  return (
    <Notice title={app.crashedTitle} text={app.crashedText} role="alert">
      <Button kind="primary" onClick={() => location.reload()}>
        {app.reload}
      </Button>
      <Button onClick={onRetry}>{app.retry}</Button>
    </Notice>
  );
}
