// Takes events of identwatch, and keeps them until its worker, `node receiver.mjs work`, has handled them. Either may be
// killed at any moment.
//
// The inbox is a directory with three others. An event waits in new, as a file that is named after its webhook-id. Once it
// was handled, an empty file in handled keeps the id, so that a repeat is known, and the person in it is gone.
import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import { access, link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import express from 'express';

const inbox = process.env.INBOX ?? 'inbox';
const [fresh, handled, results] = ['new', 'handled', 'results'].map((name) => join(inbox, name));
const tolerance = 300; // seconds
const hour = 3_600_000;
const keepIds = 30 * 24 * hour; // identwatch may repeat an event for 13 days, by default

// --- Files that survive a power cut ---

async function sync(path) {
  const handle = await open(path);
  await handle.sync().finally(() => handle.close());
}

async function writeDraft(dir, content) {
  const path = join(dir, `.new-${randomUUID()}`);
  const handle = await open(path, 'wx', 0o600);
  await handle.writeFile(content).then(() => handle.sync()).finally(() => handle.close());
  return path;
}

// Gives a file its content, all at once.
async function replace(path, content) {
  await rename(await writeDraft(dirname(path), content), path);
  await sync(dirname(path));
}

const fileOf = (dir, name) => join(dir, `${encodeURIComponent(name)}.json`);

const exists = (path) => access(path).then(() => true, (error) => {
  if (error.code !== 'ENOENT') throw error;
  return false;
});

// Keeps an event and says whether it is new: the link fails where the id is there already.
async function store(id, body) {
  if (await exists(fileOf(handled, id))) return false;
  const draft = await writeDraft(fresh, body);
  let isNew = true;
  try {
    await link(draft, fileOf(fresh, id));
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    isNew = false;
  } finally {
    await rm(draft, { force: true });
  }
  await sync(fresh); // a repeat too: the first request may not have come so far yet
  return isNew;
}

// --- The receiver: it answers 204 once an event is on disk, and does nothing else ---

// Returns a function that says why a request is refused, or nothing if it is identwatch's. It quotes nothing of the request.
function verifier(secrets) {
  const keys = secrets.split(',').map((secret) => Buffer.from(secret.trim().replace(/^whsec_/, ''), 'base64'));
  if (keys.some((key) => key.length < 24)) throw new Error('WEBHOOK_SECRETS holds no secret, or a bad one');
  return (id, timestamp, signatures, body) => {
    const missing = Object.entries({ 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures }).find(([, value]) => !value);
    if (missing) return `${missing[0]} is missing`;
    if (!/^[0-9]{1,11}$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > tolerance) {
      return 'webhook-timestamp is too far from now: check the clock';
    }
    const given = signatures.split(' ').filter((s) => s.startsWith('v1,')).map((s) => Buffer.from(s.slice(3), 'base64'));
    const matches = keys.some((key) => {
      const expected = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();
      return given.some((signature) => signature.length === expected.length && timingSafeEqual(signature, expected));
    });
    return matches ? undefined : 'no signature matches: compare WEBHOOK_SECRETS with that of identwatch';
  };
}

function receiver(fault) {
  const app = express().disable('x-powered-by');
  app.route('/webhooks/identwatch')
    // The bytes as they came, whatever their type says they are: they are what is signed.
    .post(express.raw({ type: () => true, limit: '9mb', inflate: false }), async (request, response) => {
      const header = (name) => request.get(name) ?? '';
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      const id = header('webhook-id');
      const why = fault(id, header('webhook-timestamp'), header('webhook-signature'), body);
      if (why) {
        console.error('refused:', why);
        return response.sendStatus(401);
      }
      try {
        if (await store(id, body)) console.log('stored', id);
        response.status(204).end();
      } catch (error) {
        console.error('cannot store an event:', error.code);
        response.sendStatus(500); // it is posted again
      }
    })
    .all((_, response) => response.set('Allow', 'POST').sendStatus(405));
  // Express's own would log the error, and some errors quote the body. 413 is one of them.
  app.use((error, _request, response, _next) => response.sendStatus(error.status ?? 500));
  return app;
}

// --- The worker ---

// Where your own rules go. Only "clear" is a clearance; "hit" and "unknown" are for a human to look at.
function decide({ type, data }) {
  switch (type) {
    case 'identification.completed':
      return data.peps.result === 'clear' && data.sanctions.result === 'clear' ? 'identified' : 'review';
    case 'identification.refused':
    case 'identification.expired':
    case 'identification.failed':
      return 'not_identified';
    default:
      return undefined; // a type of a later version: acknowledged, and left alone
  }
}

// Does the work of an event, and then notes that it is done. A worker that is killed between the two does the work twice:
// it must come to the same, as writing this file does. With a database, do both in one transaction.
async function handle(id) {
  if (!(await exists(fileOf(handled, id)))) { // else a kill came before the event was forgotten, or a repeat just then
    const event = JSON.parse(await readFile(fileOf(fresh, id), 'utf8'));
    const decision = decide(event);
    if (decision) {
      const { token, reference, error } = event.data;
      await replace(fileOf(results, token), JSON.stringify({ reference, decision, reason: error?.reason }));
    }
    await replace(fileOf(handled, id), '');
  }
  await rm(fileOf(fresh, id));
}

async function removeOlder(dir, age, isMeant) {
  for (const name of (await readdir(dir)).filter(isMeant)) {
    const file = await stat(join(dir, name)).catch(() => undefined); // a draft may be gone by now
    if (file && Date.now() - file.mtimeMs > age) await rm(join(dir, name), { force: true });
  }
}

// Handles what is in the inbox, for ever. Run one of it.
async function work() {
  for (let swept = 0; ; await pause(250)) {
    if (Date.now() - swept > hour) {
      await removeOlder(fresh, hour, (name) => name.startsWith('.new-')); // half written when the receiver was killed
      await removeOlder(handled, keepIds, () => true);
      swept = Date.now();
    }
    for (const name of await readdir(fresh)) {
      if (name.startsWith('.new-')) continue;
      const id = decodeURIComponent(name.replace(/\.json$/, ''));
      await handle(id).then(
        () => console.log('handled', id),
        (error) => console.error('cannot handle', id, error.code ?? error.name), // it stays, and is tried again
      );
    }
  }
}

for (const dir of [fresh, handled, results]) await mkdir(dir, { recursive: true, mode: 0o700 });
if (process.argv[2] === 'work') await work();
const port = Number(process.env.PORT ?? 8091);
receiver(verifier(process.env.WEBHOOK_SECRETS ?? '')).listen(port, '127.0.0.1'); // behind the proxy that does TLS
