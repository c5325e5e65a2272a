// A send in the usual style: an interactive Prisma transaction, with Parley's own client and schema.
import { randomUUID } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import { PrismaClient } from '../../dist/generated/prisma/client.js';

const adapter = new PrismaPg({ connectionString: process.env.DATABASE_URL, max: 10 });
const db = new PrismaClient({ adapter, transactionOptions: { maxWait: 60_000, timeout: 60_000 } });

const send = (conversationId, senderId) =>
  db.$transaction(async (tx) => {
    const conversation = await tx.conversation.update({
      where: { id: conversationId },
      data: { latestSeq: { increment: 1 }, changeSeq: { increment: 1 }, lastActivityAt: new Date() },
    });
    await tx.membership.findUnique({ where: { conversationId_userId: { conversationId, userId: senderId } } });
    const message = await tx.message.create({
      data: {
        id: randomUUID(),
        conversationId,
        seq: conversation.latestSeq,
        senderId,
        text: 'a message as people write them',
        clientMessageId: randomUUID(),
      },
    });
    await tx.change.create({
      data: {
        conversationId,
        changeSeq: conversation.changeSeq,
        type: 'MESSAGE_SENT',
        messageId: message.id,
        actorId: senderId,
      },
    });
  });

process.on('message', async ({ conversations, inFlight, seconds }) => {
  if (!conversations) return;
  const { id: senderId } = await db.user.findFirst();
  const until = performance.now() + seconds * 1_000;
  const took = [];
  const work = async () => {
    while (performance.now() < until) {
      const began = performance.now();
      const number = 1 + Math.floor(Math.random() * conversations);
      await send(`00000000-0000-4000-8000-${String(number).padStart(12, '0')}`, senderId);
      took.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
  process.send({ took });
});
process.channel.ref();
await db.$connect();
process.send({ port: 1 });
