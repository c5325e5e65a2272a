import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { hashes } from '../../../packages/client/src/generated/hashes.js';
import { eventually } from '../../support/client.js';
import { detailModes, makePlace } from '../../support/place.js';
import { openAlone } from '../../support/tabs.js';

const PERSISTED_DOCUMENTS = fileURLToPath(
  new URL('../../../packages/client/persisted-documents.json', import.meta.url),
);

describe.each(detailModes)('a client that sends hashes in %s mode', (mode) => {
  it('signs up, synchronizes and sends on a server that accepts only the documents of the package', async () => {
    const place = await makePlace(mode, { web: true });
    const node = await place.start({ PERSISTED_DOCUMENTS, PERSISTED_DOCUMENTS_ONLY: 'on', WEB: 'off' });
    const parley = openAlone({ url: node.url, persistedDocuments: hashes });
    await parley.session.signUp({ username: 'ana', email: 'ana@example.com', password: 'correct horse' });
    await eventually('it is live', () => parley.connection.value.status === 'live');
    const conversation = await parley.createGroup({ title: 'Climbing' });
    await conversation.send('Hello');
    await eventually('it is stored', () => conversation.value.rows.some(({ status }) => status === 'stored'));
    expect(conversation.value.rows).toMatchObject([{ text: 'Hello' }]);
    await expect(parley.request('{ viewer { id } }')).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });
});
