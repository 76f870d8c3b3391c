// A complete receiver of dealreg's webhooks. It keeps in memory what you would keep in a database.
import { createServer } from 'node:http';
import { Webhook } from 'standardwebhooks';

const { DEALREG_URL: api, DEALREG_KEY: key, DEALREG_WEBHOOK_SECRETS: secrets, LISTEN: listen } = process.env;
const verifiers = secrets.split(' ').map((secret) => new Webhook(secret)); // two of them while one replaces the other
const maxBody = 64 * 1024;

const inbox = []; // a table in your database, so that nothing is lost when you restart
const received = new Set(); // a unique column of that table
const revisions = new Map(); // of the deals that you know
let sequence = 0; // up to which you know all of them

// Verifies, keeps, answers: nothing that takes long.
async function receive(request, response) {
  const answer = (status) => response.writeHead(status).end();
  if (request.method !== 'POST' || request.url !== '/webhooks') return answer(404);
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size <= maxBody) chunks.push(chunk);
  }
  if (size > maxBody) return answer(413);
  const body = Buffer.concat(chunks); // verify the bytes as they came, then read them
  const event = verified(body, request.headers);
  if (!event) return answer(401);
  const id = request.headers['webhook-id'];
  if (!received.has(id)) { // once, however often it comes
    received.add(id);
    inbox.push(event);
    queueMicrotask(work);
  }
  return answer(204);
}

function verified(body, headers) {
  for (const verifier of verifiers) {
    try {
      return verifier.verify(body, headers);
    } catch {
      // perhaps with the next one
    }
  }
  return undefined;
}

// Fetches what changed, one after the other.
let working = false;
async function work() {
  if (working) return;
  working = true;
  while (inbox.length > 0) {
    const job = inbox.shift();
    try {
      await (job === catchUp ? catchUp() : handle(job));
    } catch (error) {
      console.error(`${error.message}; the next catching up will find it`);
    }
  }
  working = false;
}

async function handle({ type, data }) {
  if (!type.startsWith('dealreg.deal.') || revisions.get(data.deal_id) >= data.revision) return; // events may overtake each other
  changed(await get(`/v1/deals/${encodeURIComponent(data.deal_id)}`));
}

// Fetches every deal that changed behind the sequence that was read last.
async function catchUp() {
  const query = new URLSearchParams({ after_sequence: sequence, limit: 200 });
  let asOf;
  for (;;) {
    const page = await get(`/v1/deals?${query}`);
    page.items.forEach(changed);
    asOf ??= page.as_of_sequence; // of the first page: what changed during the others comes again
    if (!page.next_cursor) break;
    query.set('cursor', page.next_cursor);
  }
  sequence = asOf;
}

// This is where your own work begins.
function changed({ id, status, revision }) {
  if (revision <= (revisions.get(id) ?? 0)) return;
  revisions.set(id, revision);
  console.log(`deal ${id} is ${status} at revision ${revision}`);
}

async function get(path) {
  const response = await fetch(api + path, { headers: { authorization: `Bearer ${key}` }, signal: AbortSignal.timeout(30_000) });
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return response.json();
}

function catchUpSoon() {
  inbox.push(catchUp);
  queueMicrotask(work);
}

catchUpSoon(); // what was missed before
setInterval(catchUpSoon, 15 * 60 * 1000); // and what is still missed
const [host, port] = listen.split(':');
createServer((request, response) => receive(request, response).catch(() => response.destroy())).listen(Number(port), host);
