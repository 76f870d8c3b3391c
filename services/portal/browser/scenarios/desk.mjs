// A registrar's queue of deals that may be one: found on the desk, decided both ways, gone from it.
import assert from "node:assert/strict";

export default async function ({ open, everywhere, world }) {
  const visit = await open({ as: world.keys.registrar });
  const { page } = visit;
  const desk = `/a/${world.open}/desk`;
  const customer = `Quay cranes ${Date.now()}`;
  const titles = ["first", "again"].map((which) => `${customer}, ${which}`);
  for (const title of titles) await register(page.request, world, title, customer);

  // Both stand in the queue as soon as the registry has looked at them.
  const queue = page.getByRole("region", { name: "May be the same deal" });
  const flagged = (title) => async () => (await queue.getByRole("link", { name: title }).count()) >= 2;
  await load(page, `${desk}?list=flagged`, flagged(customer));
  await queue.getByRole("link", { name: titles[1] }).click();
  await page.getByRole("link", { name: "Decide duplicates" }).click();
  const address = page.url();
  await everywhere({ as: world.keys.registrar, at: desk }, async (look) => {
    await look.check("desk-flagged");
    await look.page.goto(address);
    await look.check("desk-deal");
  });

  // Without a reason nothing is decided; German says so in German.
  const flag = page.locator(".notice", { hasText: titles[0] });
  await page.goto(`${address}?lang=de`);
  await flag.getByRole("radio", { name: /^Ein Geschäft/ }).check();
  await flag.getByLabel("Warum").fill(" ");
  await flag.getByRole("button", { name: "Entscheiden" }).click();
  await flag.getByText("Fehlt: Füllen Sie es aus").waitFor();
  assert.ok(await flag.getByRole("radio", { name: /^Ein Geschäft/ }).isChecked(), "what was chosen stays");
  await visit.check("desk-refused");

  // One deal: the later one is void, says why, and both have left the queue.
  await page.goto(`${address}?lang=en`);
  await flag.getByRole("radio", { name: /^One deal/ }).check();
  await flag.getByLabel("Why").fill("Registered twice by mistake.");
  await flag.getByRole("button", { name: "Decide" }).click();
  await page.getByRole("status").getByText("Decided").waitFor();
  await page.getByText("Nothing waits to be decided").waitFor();
  const void_ = page.locator(".status.void");
  await load(page, address.replace("/registrar", ""), async () => (await void_.count()) > 0);
  await page.getByText("Registered twice by mistake.").first().waitFor();
  await page.goto(`${desk}?list=flagged`);
  assert.equal(await queue.getByRole("link", { name: customer }).count(), 0, "decided, it waits no more");

  // Two deals: both go on.
  const other = `Tug boats ${Date.now()}`;
  for (const which of ["one", "two"]) await register(page.request, world, `${other}, ${which}`, other);
  await load(page, `${desk}?list=flagged`, flagged(other));
  await queue.getByRole("link", { name: `${other}, one` }).click();
  await page.getByRole("link", { name: "Decide duplicates" }).click();
  await page.getByRole("radio", { name: /^Two deals/ }).check();
  await page.getByLabel("Why").fill("Two orders of the same office.");
  await page.getByRole("button", { name: "Decide" }).click();
  await page.getByRole("status").getByText("Decided").waitFor();
  await page.getByRole("link", { name: "Back to the deal" }).click();
  assert.equal(await page.locator(".status.pending").count(), 1);

  // A company decides nothing.
  const company = await open({ as: world.keys.company });
  assert.equal((await company.page.goto(address)).status(), 404);
}

// load loads a page until it shows what it is loaded for: what was done a moment ago may not be there yet.
async function load(page, address, shown) {
  const late = Date.now() + 120_000;
  do await page.goto(address);
  while (!(await shown()) && Date.now() < late);
}

// register registers a deal of the two companies by the API and gives its id.
export async function register(request, world, title, customer) {
  const amount = (text) => ({ amount: text, currency: "EUR" });
  const answer = await request.post("/v1/deals", {
    headers: { Authorization: `Bearer ${world.keys.company}`, "Idempotency-Key": title },
    data: {
      title,
      customer: { name: customer, country: "DE" },
      value: amount("90000.00"),
      parties: [
        { company_id: world.company, share: amount("50000.00") },
        { company_id: world.partner, share: amount("40000.00") },
      ],
    },
  });
  assert.equal(answer.status(), 201, await answer.text());
  return (await answer.json()).id;
}
