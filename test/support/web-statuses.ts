import type { Locator, Page } from 'playwright-core';

/** The section with the statuses above the conversations. */
export const strip = (page: Page) => page.getByRole('region', { name: 'Statuses' });

/** The statuses in front of everything. */
export const viewer = (page: Page, name: string) => page.getByRole('dialog', { name: `Statuses of ${name}` });

/** Where a status is written. */
const statusComposer = (page: Page) => page.getByRole('dialog', { name: 'New status' });

/** Opens the dialog in which a status is written. */
export async function openComposer(page: Page): Promise<Locator> {
  await strip(page).getByRole('button', { name: 'New status' }).click();
  await statusComposer(page).waitFor();
  return statusComposer(page);
}

/** Posts a text, and waits until the server has it. */
export async function postText(page: Page, text: string): Promise<void> {
  await openComposer(page);
  await statusComposer(page).getByRole('textbox', { name: 'Text of the status' }).fill(text);
  await statusComposer(page).getByRole('button', { name: 'Post' }).click();
  await statusComposer(page).waitFor({ state: 'detached' });
  await strip(page).getByRole('list', { name: 'Statuses being posted' }).waitFor({ state: 'detached' });
}
