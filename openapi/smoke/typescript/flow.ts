// What a developer does with the generated TypeScript types and openapi-fetch. Takes BASE_URL and API_KEY.

import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import createClient from 'openapi-fetch';
import type { components, paths } from './schema.ts';

type Mailbox = components['schemas']['Mailbox'];
type Problem = components['schemas']['Problem'];

const { BASE_URL, API_KEY } = process.env;
assert(BASE_URL && API_KEY, 'BASE_URL and API_KEY are needed');
const client = createClient<paths>({ baseUrl: BASE_URL, headers: { 'x-api-key': API_KEY } });

/** The answer itself; a problem fails the flow. */
function answered<T>(answer: { data?: T; error?: Problem }): T {
  if (answer.data === undefined) assert.fail(`${answer.error?.code}: ${answer.error?.detail}`);
  return answer.data;
}

async function connectedMailbox(): Promise<Mailbox> {
  for (const until = Date.now() + 60_000; Date.now() < until; await wait(200)) {
    const { data } = answered(await client.GET('/v1/mailboxes'));
    const connected = data.find((mailbox) => mailbox.state === 'connected');
    if (connected) return connected;
  }
  return assert.fail('no mailbox was connected within 60 s');
}

async function messageIds(mailbox_id: string): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | null | undefined;
  do {
    const query = { mailbox_id, limit: 10, ...(cursor ? { cursor } : {}) };
    const page = answered(await client.GET('/v1/messages', { params: { query } }));
    assert(page.data.length <= 10);
    found.push(...page.data.map((message) => message.id));
    cursor = page.next_cursor;
  } while (cursor);
  return found;
}

const mailbox = await connectedMailbox();
const path = { mailbox_id: mailbox.id };

const ids = await messageIds(mailbox.id);
assert(ids.length > 10, 'one page is not paging');
assert.equal(new Set(ids).size, ids.length, 'a message came twice');

const query = { mailbox_id: mailbox.id, limit: 1 };
const newest = answered(await client.GET('/v1/messages', { params: { query } })).data[0];
assert(newest);
const thread = answered(
  await client.GET('/v1/threads/{thread_id}', { params: { path: { thread_id: newest.thread_id } } }),
);
assert(thread.messages.some((message) => message.id === newest.id));
assert.equal(thread.message_count, newest.thread_count);

const agent = answered(await client.POST('/v1/agents', { body: { name: 'TypeScript client' } }));
const bound = answered(
  await client.PATCH('/v1/mailboxes/{mailbox_id}', { params: { path }, body: { agent_id: agent.id } }),
);
assert.equal(bound.agent_id, agent.id);
assert.equal(bound.agent_revision_id, agent.active_revision_id);

const unknown = { mailbox_id: crypto.randomUUID() };
const { error } = await client.GET('/v1/mailboxes/{mailbox_id}', { params: { path: unknown } });
assert.deepEqual([error?.status, error?.code], [404, 'not_found']);
console.log(`typescript: ${ids.length} messages`);
