import type { Conversation } from '@parley/client';
import { lazy, Suspense, useEffect, useState } from 'react';
import { useHasCalls } from '../../calls.ts';
import { useCanAttach } from '../../files.ts';
import {
  AddMembersDocument,
  LeaveDocument,
  type MemberRole,
  MembersDocument,
  type MembersQuery,
  RemoveMemberDocument,
  SetMemberRoleDocument,
  UpdateGroupDocument,
} from '../../generated/screens/graphql.ts';
import { useScreenText } from '../../locales/screens.ts';
import { PicturePicker } from '../../media/picture-picker.tsx';
import { SharedFiles } from '../../media/shared-files.tsx';
import { useParley, useServerInfo, useViewer } from '../../parley.ts';
import { Action } from '../../shell/action.tsx';
import { Avatar } from '../../shell/avatar.tsx';
import { Button, IconButton } from '../../shell/button.tsx';
import { Confirm } from '../../shell/confirm.tsx';
import { Dialog } from '../../shell/dialog.tsx';
import { Field } from '../../shell/field.tsx';
import { Icon } from '../../shell/icon.tsx';
import { MenuItem, Popover } from '../../shell/popover.tsx';
import { useNavigation } from '../../shell/router.tsx';
import { SidePanel } from '../../shell/side-panel.tsx';
import { TextArea } from '../../shell/text-area.tsx';
import { useToast } from '../../shell/toast.tsx';
import { useTask } from '../../shell/use-task.ts';
import { Form } from '../account/form.tsx';
import { useForm } from '../account/use-form.ts';
import { pictureOf, presenceOf } from '../chat/names.ts';
import { type PersonResult, SearchField } from '../chat/people-search.tsx';
import { LevelAction } from '../notifications/level-menu.tsx';
import styles from './group.module.css';
import { PeoplePicker } from './people-picker.tsx';
import { HistoryChoice, VisibilityChoice } from './settings-fields.tsx';
import UserPanel from './user-panel.tsx';

const ConversationEncryption = lazy(() => import('../sealed/conversation-encryption.tsx'));
const CallHistory = lazy(() => import('../call/call-history.tsx'));

type Member = NonNullable<NonNullable<MembersQuery['conversation']>['members']>['nodes'][number];

/** The profile of the other user, or a group with its members and settings. */
export default function ConversationPanel({
  conversation,
  onUser,
  onClose,
}: {
  conversation: Conversation;
  onUser(user: { id: string }): void;
  onClose(): void;
}) {
  const { group } = useScreenText();
  if (conversation.counterpart) {
    return (
      <UserPanel
        id={conversation.counterpart.id}
        onClose={onClose}
        footer={
          <>
            <Suspense>
              <ConversationEncryption conversation={conversation} />
            </Suspense>
            <Calls conversation={conversation} />
            <SharedFiles conversationId={conversation.id} onClose={onClose} />
          </>
        }
      >
        <li>
          <LevelAction conversationId={conversation.id} />
        </li>
      </UserPanel>
    );
  }
  return (
    <SidePanel title={group.about} onClose={onClose}>
      <Group conversation={conversation} onUser={onUser} />
      {conversation.viewerMembership && (
        <>
          <Suspense>
            <ConversationEncryption conversation={conversation} />
          </Suspense>
          <Calls conversation={conversation} />
          <SharedFiles conversationId={conversation.id} onClose={onClose} />
        </>
      )}
    </SidePanel>
  );
}

/** The history of calls, if the server has them. */
function Calls({ conversation: { id, counterpart, viewerCanSend } }: { conversation: Conversation }) {
  const hasCalls = useHasCalls();
  const canCall = viewerCanSend && counterpart != null;
  return <Suspense>{hasCalls && <CallHistory conversationId={id} canCall={canCall} />}</Suspense>;
}

interface GroupSettings {
  visibility?: 'PRIVATE' | 'PUBLIC';
  historyVisibility?: 'ALL' | 'SINCE_JOINED';
}

function Group({ conversation, onUser }: { conversation: Conversation; onUser(user: { id: string }): void }) {
  const { group, pane } = useScreenText();
  const parley = useParley();
  const { go } = useNavigation();
  const task = useTask();
  const [open, setOpen] = useState<'edit' | 'add' | 'leave'>();
  const { id, title, description, memberCount, viewerMembership } = conversation;
  const isOwner = viewerMembership?.role === 'OWNER';
  const close = () => setOpen(undefined);
  const { visibility, historyVisibility } = conversation;
  // A chosen value is shown immediately, and reverted if the server rejects it.
  const [chosen, setChosen] = useState<GroupSettings>({});
  useEffect(() => setChosen({}), [visibility, historyVisibility]);
  const update = async (more: GroupSettings) => {
    setChosen((before) => ({ ...before, ...more }));
    const input = { conversationId: id, ...more };
    if (!(await task.run(() => parley.request(UpdateGroupDocument, { input })))) setChosen({});
  };
  return (
    <>
      <div className={styles.head}>
        <Avatar name={title ?? ''} {...pictureOf(conversation)} size={88} />
        <h2>
          <bdi>{title}</bdi>
        </h2>
        <p>
          {conversation.visibility === 'PUBLIC' ? group.public : group.private} · {pane.members(memberCount)}
        </p>
      </div>
      {description && (
        <p className={styles.bio} dir="auto">
          {description}
        </p>
      )}
      <ul className={styles.actions}>
        {viewerMembership && (
          <li>
            <LevelAction conversationId={id} />
          </li>
        )}
        {conversation.viewerCanUpdate && (
          <li>
            <Action icon="pencil" label={group.edit} onClick={() => setOpen('edit')} />
          </li>
        )}
        {conversation.viewerCanAddMembers && (
          <li>
            <Action icon="userPlus" label={group.add} onClick={() => setOpen('add')} />
          </li>
        )}
        {viewerMembership && (
          <li>
            <Action icon="signOut" isDangerous label={group.leave} onClick={() => setOpen('leave')} />
          </li>
        )}
      </ul>
      {isOwner && (
        <div className={styles.settings}>
          <VisibilityChoice
            value={chosen.visibility ?? visibility}
            onChange={(next) => void update({ visibility: next as 'PRIVATE' })}
          />
          <HistoryChoice
            value={chosen.historyVisibility ?? historyVisibility}
            onChange={(next) => void update({ historyVisibility: next as 'ALL' })}
          />
        </div>
      )}
      <Members conversation={conversation} onUser={onUser} />
      {open === 'edit' && <EditGroup conversation={conversation} onClose={close} />}
      {open === 'add' && <AddMembers conversation={conversation} onClose={close} />}
      {open === 'leave' && (
        <Confirm
          title={group.leaveTitle}
          text={group.leaveText}
          action={group.leave}
          onClose={close}
          onConfirm={() => {
            close();
            void task.run(async () => {
              await parley.request(LeaveDocument, { input: { conversationId: id } });
              go({ name: 'home' });
            });
          }}
        />
      )}
    </>
  );
}

function EditGroup({ conversation, onClose }: { conversation: Conversation; onClose(): void }) {
  const { group, pane } = useScreenText();
  const parley = useParley();
  const canAttach = useCanAttach();
  const form = useForm<'title' | 'description'>(['title'], async ({ title, description }) => {
    const input = {
      conversationId: conversation.id,
      title: title.trim(),
      description: description.trim() || null,
    };
    await parley.request(UpdateGroupDocument, { input });
    onClose();
  });
  return (
    <Dialog title={group.edit} onClose={onClose}>
      <div className={styles.dialog}>
        {canAttach && (
          <PicturePicker
            name={conversation.title ?? ''}
            {...pictureOf(conversation)}
            onChange={(imageAttachmentId) => {
              const change = imageAttachmentId === null ? { imageUrl: null } : { imageAttachmentId };
              return parley.request(UpdateGroupDocument, { input: { conversationId: conversation.id, ...change } });
            }}
          />
        )}
        <Form form={form} action={pane.save}>
          <Field
            label={group.title}
            name="title"
            maxLength={100}
            defaultValue={conversation.title ?? ''}
            error={form.errors.title}
            autoComplete="off"
          />
          <TextArea
            label={group.description}
            name="description"
            maxLength={1_000}
            defaultValue={conversation.description ?? ''}
            error={form.errors.description}
          />
        </Form>
      </div>
    </Dialog>
  );
}

function AddMembers({ conversation, onClose }: { conversation: Conversation; onClose(): void }) {
  const { group } = useScreenText();
  const parley = useParley();
  const task = useTask();
  const toast = useToast();
  const max = useServerInfo()?.limits.groupAddMax;
  const [people, setPeople] = useState<readonly PersonResult[]>([]);
  const add = () =>
    task.run(async () => {
      const input = { conversationId: conversation.id, userIds: people.map(({ id }) => id) };
      const { addMembers } = await parley.request(AddMembersDocument, { input });
      const skipped = people.filter(({ id }) => addMembers?.skippedUserIds.includes(id));
      if (skipped.length > 0) toast(group.skipped(skipped.map(({ displayName }) => displayName).join(', ')));
      onClose();
    });
  return (
    <Dialog title={group.add} onClose={onClose}>
      <div className={styles.dialog}>
        <PeoplePicker chosen={people} onChange={setPeople} max={max} />
        <Button kind="primary" busy={task.isBusy} disabled={people.length === 0} onClick={() => void add()}>
          {group.addCount(people.length)}
        </Button>
      </div>
    </Dialog>
  );
}

function Members({ conversation, onUser }: { conversation: Conversation; onUser(user: { id: string }): void }) {
  const text = useScreenText();
  const { group, pane, list } = text;
  const parley = useParley();
  const { id, memberCount, viewerMembership } = conversation;
  const [search, setSearch] = useState('');
  const [members, setMembers] = useState<readonly Member[]>([]);
  const [end, setEnd] = useState<string>();
  const load = async (after: string | undefined, before: readonly Member[], isCurrent = () => true) => {
    const variables = { id, search: search.trim() || null, after: after ?? null };
    const page = (await parley.request(MembersDocument, variables)).conversation?.members;
    if (!isCurrent() || !page) return;
    setMembers([...before, ...page.nodes]);
    setEnd(page.pageInfo.hasNextPage ? (page.pageInfo.endCursor ?? undefined) : undefined);
  };
  const reload = () => load(undefined, []).catch(() => {});
  useEffect(() => {
    let isCurrent = true;
    load(undefined, [], () => isCurrent).catch(() => {});
    return () => {
      isCurrent = false;
    };
  }, [search, memberCount, viewerMembership?.role]);
  return (
    <section className={styles.members}>
      <h2>{pane.members(memberCount)}</h2>
      {memberCount > 10 && <SearchField value={search} onInput={setSearch} label={group.findMembers} />}
      <ul>
        {members.map((member) => (
          <li key={member.id}>
            <button type="button" className={styles.person} onClick={() => onUser(member.user)}>
              <Avatar name={member.user.displayName} id={member.user.id} url={member.user.avatarUrl} size={36} />
              <span>
                <strong>
                  <bdi>{member.user.displayName}</bdi>
                </strong>
                <small>
                  <bdi>{presenceOf(text, member.user as never)?.label ?? `@${member.user.username}`}</bdi>
                </small>
              </span>
              {member.role !== 'MEMBER' && <em>{member.role === 'OWNER' ? group.owner : group.admin}</em>}
            </button>
            <MemberMenu member={member} conversation={conversation} onChanged={reload} />
          </li>
        ))}
      </ul>
      {end !== undefined && (
        <Button kind="quiet" onClick={() => void load(end, members).catch(() => {})}>
          {list.more}
        </Button>
      )}
    </section>
  );
}

/** What the viewer can do with another member: owners can do everything, and admins can remove members. */
function MemberMenu({
  member,
  conversation: { id: conversationId, viewerMembership },
  onChanged,
}: {
  member: Member;
  conversation: Conversation;
  onChanged(): Promise<void>;
}) {
  const { group } = useScreenText();
  const parley = useParley();
  const task = useTask();
  const viewerId = useViewer()?.user.id;
  const [anchor, setAnchor] = useState<Element>();
  const [isRemoving, setRemoving] = useState(false);
  const { user, role } = member;
  const isOwner = viewerMembership?.role === 'OWNER';
  const isAdmin = viewerMembership?.role === 'ADMIN';
  if (user.id === viewerId || !(isOwner || (isAdmin && role === 'MEMBER'))) return null;
  const run = (work: () => Promise<unknown>) => {
    setAnchor(undefined);
    void task.run(async () => {
      await work();
      await onChanged();
    });
  };
  const input = { conversationId, userId: user.id };
  const setRole = (next: MemberRole) =>
    run(() => parley.request(SetMemberRoleDocument, { input: { ...input, role: next } }));
  const roles = [
    ['OWNER', group.makeOwner, 'shield'],
    ['ADMIN', group.makeAdmin, 'shield'],
    ['MEMBER', group.makeMember, 'user'],
  ] as const;
  return (
    <>
      <IconButton
        label={group.actionsFor(user.displayName)}
        aria-haspopup="menu"
        onClick={(event) => setAnchor(event.currentTarget)}
      >
        <Icon name="more" size={18} />
      </IconButton>
      {anchor && (
        <Popover
          anchor={anchor}
          role="menu"
          label={group.actionsFor(user.displayName)}
          onClose={() => setAnchor(undefined)}
        >
          {isOwner &&
            roles
              .filter(([each]) => each !== role)
              .map(([each, label, icon]) => (
                <MenuItem key={each} icon={icon} onClick={() => setRole(each)}>
                  {label}
                </MenuItem>
              ))}
          <MenuItem
            icon="close"
            danger
            onClick={() => {
              setAnchor(undefined);
              setRemoving(true);
            }}
          >
            {group.remove}
          </MenuItem>
        </Popover>
      )}
      {isRemoving && (
        <Confirm
          title={group.removeTitle(user.displayName)}
          text={group.removeText}
          action={group.remove}
          onClose={() => setRemoving(false)}
          onConfirm={() => {
            setRemoving(false);
            run(() => parley.request(RemoveMemberDocument, { input }));
          }}
        />
      )}
    </>
  );
}
