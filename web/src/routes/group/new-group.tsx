import { useState } from 'react';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useServerInfo } from '../../parley.ts';
import { Field } from '../../shell/field.tsx';
import { TextArea } from '../../shell/text-area.tsx';
import { Form } from '../account/form.tsx';
import { useForm } from '../account/use-form.ts';
import type { PersonResult } from '../chat/people-search.tsx';
import styles from './group.module.css';
import { PeoplePicker } from './people-picker.tsx';
import { HistoryChoice, VisibilityChoice } from './settings-fields.tsx';

/** Creates a group. */
export default function NewGroup({ onCreated }: { onCreated(id: string): void }) {
  const { group } = useScreenText();
  const parley = useParley();
  const max = useServerInfo()?.limits.groupAddMax;
  const [people, setPeople] = useState<readonly PersonResult[]>([]);
  // The same for each attempt, so that an attempt without a response does not create a second group.
  const [clientGroupId] = useState(() => `${Date.now()}-${Math.random()}`);
  const form = useForm<'title' | 'description' | 'visibility' | 'historyVisibility'>(
    ['title'],
    async ({ title, description, visibility, historyVisibility }) => {
      const created = await parley.createGroup({
        title: title.trim(),
        description: description.trim() || null,
        visibility: visibility as 'PRIVATE',
        historyVisibility: historyVisibility as 'ALL',
        memberIds: people.map(({ id }) => id),
        clientGroupId,
      });
      onCreated(created.id);
    },
  );
  return (
    <div className={styles.dialog}>
      <Form form={form} action={group.create}>
        <Field label={group.title} name="title" maxLength={100} error={form.errors.title} autoComplete="off" />
        <TextArea
          rows={2}
          label={group.description}
          name="description"
          maxLength={1_000}
          error={form.errors.description}
        />
        <fieldset className={styles.fieldset}>
          <legend>{group.people}</legend>
          <PeoplePicker chosen={people} onChange={setPeople} max={max} />
        </fieldset>
        <VisibilityChoice value="PRIVATE" />
        <HistoryChoice value="ALL" />
      </Form>
    </div>
  );
}
