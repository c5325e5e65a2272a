import type { BrowserContext, Page } from 'playwright-core';

/** Records what screen readers announce in the pages of a context: the texts that appear in live regions. */
export const recordAnnouncements = (context: BrowserContext): Promise<unknown> => context.addInitScript(record);

/** What has been announced since the page was loaded, oldest first. */
export const announcementsOf = (page: Page): Promise<string[]> =>
  page.evaluate(() => (globalThis as unknown as { announcements: string[] }).announcements);

/** Runs in the page before its own scripts. */
function record(): void {
  const announcements: string[] = [];
  Object.assign(globalThis, { announcements });
  const isAnnounced = (element: Element | null): boolean => {
    const region = element?.closest('[aria-live], [role=status], [role=alert], [role=log], output');
    return region != null && region.getAttribute('aria-live') !== 'off';
  };
  const observer = new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      for (const node of type === 'childList' ? addedNodes : [target]) {
        const text = node.textContent?.trim() ?? '';
        if (text === '') continue;
        if (isAnnounced(node instanceof Element ? node : node.parentElement)) announcements.push(text);
        else if (node instanceof Element) {
          for (const inside of node.querySelectorAll('[role=alert]')) announcements.push(inside.textContent ?? '');
        }
      }
    }
  });
  observer.observe(document, { subtree: true, childList: true, characterData: true });
}
