// A year of one association, from nothing to its volume, with the client that is generated from openapi.json:
// node example.js, with DEALREG_URL and an operator's key in DEALREG_KEY. Prints what the year adds up to.
import assert from 'node:assert/strict';
import createClient from 'openapi-fetch';
import type { components, paths } from './api.js';

const baseUrl = process.env.DEALREG_URL!;
const as = (key: string) => createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });

/** The answer's body, or an error that says what the problem document says. */
function good<T>(answer: { data?: T; error?: components['schemas']['Problem']; response: Response }): T {
  if (answer.error) throw new Error(`${answer.response.url}: ${JSON.stringify(answer.error)}`);
  return answer.data!;
}

/** What a move needs: the revision that was read, and a key of its own. */
const on = (deal: components['schemas']['Deal'], move: string) => ({
  path: { id: deal.id },
  header: { 'If-Match': `"${deal.revision}"`, 'Idempotency-Key': `${move}-${deal.id}-${deal.revision}` },
});

const operator = as(process.env.DEALREG_KEY!);
const year = 2025;

const association = good(await operator.POST('/v1/associations', {
  body: { name: 'Our Partners', time_zone: 'Asia/Manila', year_starts_in: 1, reporting_currency: 'EUR', disclosure: 'open' },
}));
const company = async (name: string, country: string) => good(await operator.POST('/v1/companies', {
  params: { header: { 'Idempotency-Key': `create ${name}` } }, body: { name, country },
}));
const elm = await company('Elm Systems', 'PH');
const fir = await company('Fir Works', 'DE');
for (const member of [elm, fir]) {
  good(await operator.PUT('/v1/associations/{id}/members/{company_id}', {
    params: { path: { id: association.id, company_id: member.id } },
    body: { from: '2020-01-01', ethics_accepted_on: '2020-01-01' },
  }));
}
const keyOf = async (id: string) => good(await operator.POST('/v1/keys', { body: { role: 'member', company_id: id } })).secret;
const lead = as(await keyOf(elm.id));
const partner = as(await keyOf(fir.id));

const register = () => lead.POST('/v1/deals', {
  params: { header: { 'Idempotency-Key': 'deal 4711' } },
  body: {
    title: 'Payroll roll-out, three countries', external_ref: 'CRM-4711',
    customer: { name: 'Contoso AG', country: 'DE', domain: 'contoso.example' },
    value: { amount: '480000.00', currency: 'EUR' },
    parties: [
      { company_id: elm.id, role: 'lead', share: { amount: '300000.00', currency: 'EUR' } },
      { company_id: fir.id, role: 'delivery', share: { amount: '180000.00', currency: 'EUR' } },
    ],
  },
});
const registered = await register();
assert.equal(registered.response.status, 201);
let deal = good(registered);
assert.equal(registered.response.headers.get('Location'), `/v1/deals/${deal.id}`);

// The same request again is the same deal.
const again = await register();
assert.equal(again.response.status, 200);
assert.equal(again.response.headers.get('Idempotency-Replayed'), 'true');
assert.equal(good(again).id, deal.id);

// Every party accepts; one proposes the final figures; every other one attests them.
deal = good(await partner.POST('/v1/deals/{id}/accept', { params: on(deal, 'accept'), body: {} }));
assert.equal(deal.status, 'active');
deal = good(await lead.POST('/v1/deals/{id}/propose', { params: on(deal, 'propose'), body: { won_on: `${year}-06-30` } }));
const attested = await partner.POST('/v1/deals/{id}/attest', { params: on(deal, 'attest'), body: {} });
deal = good(attested);
assert.equal(deal.status, 'won');
const sequence = Number(attested.response.headers.get('Dealreg-Sequence'));

// What is not right comes back as a problem document.
const late = await partner.POST('/v1/deals/{id}/decline', { params: on(deal, 'decline'), body: { reason: 'too late' } });
assert.equal(late.error?.type, 'urn:dealreg:problem:conflict');

// The reports follow the log: 503 says when to ask again.
let answer;
do {
  if (answer) await new Promise((wait) => setTimeout(wait, 100));
  answer = await operator.GET('/v1/associations/{id}/volume', {
    params: { path: { id: association.id }, query: { year, by: 'pair', as_of_sequence: sequence } },
  });
} while (answer.response.status === 503);
const volume = good(answer);
assert.ok(typeof volume === 'object'); // JSON, since no spreadsheet was asked for
assert.deepEqual(volume.items.map((pair) => [pair.companies?.map((c) => c.name).sort(), pair.amount]), [[['Elm Systems', 'Fir Works'], '480000.00']]);
console.log(`${association.name} ${volume.year}: ${volume.total.amount} ${volume.currency} in ${volume.total.deals} deal`);
