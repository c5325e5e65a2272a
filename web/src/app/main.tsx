import { createParley } from '@parley/client';
import { changesOf } from '@parley/client/changes';
import { draftsOf } from '@parley/client/drafts';
import { peopleOf } from '@parley/client/people';
import { createRoot } from 'react-dom/client';
import '../styles/base.css';
import '../styles/tokens.css';
import { keepArrivals } from '../arrivals.ts';
import { LanguageProvider, loadLanguage } from '../locales/locale.tsx';
import { ParleyContext } from '../parley.ts';
import { Router } from '../shell/router.tsx';
import { applyTheme } from '../shell/theme.ts';
import { Toasts } from '../shell/toast.tsx';
import { UpdateNotice } from '../shell/update-notice.tsx';
import { App } from './app.tsx';

applyTheme();

async function start(container: HTMLElement): Promise<void> {
  const isChaos = new URLSearchParams(location.search).has('chaos');
  const faults = isChaos ? (await import('../chaos/faults.ts')).installFaults() : undefined;
  const parley = createParley({ url: new URL('/graphql', location.href).href });
  // The tab that synchronizes also needs them for the other tabs.
  peopleOf(parley);
  changesOf(parley);
  draftsOf(parley);
  keepArrivals(parley);
  const language = await loadLanguage();
  createRoot(container).render(
    <LanguageProvider initial={language}>
      <ParleyContext.Provider value={parley}>
        <UpdateNotice />
        <Toasts>
          <Router>
            <App />
          </Router>
        </Toasts>
      </ParleyContext.Provider>
    </LanguageProvider>,
  );
  if (faults) (await import('../chaos/panel.tsx')).showChaos(parley, faults);
}

const container = document.getElementById('app');
if (container) void start(container);
