// A deal from its registration to its final figures, between two people who only have these pages.
import assert from "node:assert/strict";

const soon = () => new Date(Date.now() + 30 * 864e5).toISOString().slice(0, 10);
const today = () => new Date().toISOString().slice(0, 10);

export default async function ({ open, world }) {
  const { company, partner } = world.keys;

  for (const kind of [{ scheme: "light", width: 1280 }, { scheme: "dark", width: 390 }]) {
    const visit = await open({ as: company, ...kind });
    const other = await open({ as: partner, ...kind });
    const { page } = visit;
    const title = kind.scheme === "light" ? "Warehouse robots" : "Warehouse conveyors";
    await visit.check("deals-home");

    await page.getByRole("link", { name: "Register a deal" }).click();
    await page.waitForURL("**/deals/new?form=*");
    await register(page, title);
    await visit.check("deal-new");
    await page.getByRole("button", { name: "Register", exact: true }).dblclick();
    await page.waitForURL(/\/deals\/[0-9a-f-]{36}$/);
    const address = new URL(page.url()).pathname;
    await visit.check("deal-pending");

    await other.page.goto(address);
    await other.check("deal-asked");
    await other.page.getByRole("button", { name: "Accept" }).click();
    await other.page.getByText("the deal is under way").waitFor();

    await page.reload();
    await page.getByRole("link", { name: "Propose the final figures" }).click();
    await page.getByLabel("Value of the whole deal").fill("500,000");
    await page.getByLabel("Won on").fill(today());
    assert.equal(await page.locator("#rest").textContent(), "€20,000.00");
    await page.getByLabel(/Alder/).fill("320,000");
    assert.equal(await page.locator("#rest").textContent(), "€0.00");
    await visit.check("deal-propose");
    await page.getByRole("button", { name: "Propose and attest" }).click();
    await page.waitForURL(`**${address}`);
    await visit.check("deal-proposed");

    await other.page.reload();
    assert.match(await other.page.locator(".compare tr.changed").first().textContent(), /480,000.*500,000.*changed/s);
    await other.check("deal-compare");
    await other.page.getByRole("link", { name: "They are not right" }).click();
    await other.check("deal-refuse");
    await other.page.goBack();
    await other.page.getByRole("button", { name: "Attest these figures" }).click();
    await other.page.getByText("the deal is won").waitFor();
    await other.check("deal-won");

    await page.reload();
    await page.getByRole("link", { name: "Correct the figures" }).click();
    await visit.check("deal-correct");
    await page.goto("/deals?status=won");
    await visit.check("deals");
  }

  // The keyboard alone, a reload, the back button and the form sent again: one deal.
  const visit = await open({ as: company, at: "/deals/new" });
  const { page } = visit;
  const form = page.url();
  const title = "Only by keyboard";
  await page.locator("#title").focus();
  const type = async (...keys) => {
    for (const key of keys) await (key.length > 1 && key.startsWith("^") ? page.keyboard.press(key.slice(1)) : page.keyboard.type(key));
  };
  await type(title, "^Tab", "Contoso AG", "^Tab", "Germany", "^Tab", "480,000", "^Tab", "^Tab");
  await page.locator("#expected").fill(soon()); // a date's keys are the browser's own, in its own order
  await page.getByLabel("Name or web domain").focus();
  await type("bruckenw");
  await page.locator(".choice").waitFor();
  await type("^Tab", "^Space", "^Tab", "180,000");
  assert.equal(await page.locator("#rest").textContent(), "€300,000.00");
  await type("^Enter");
  await page.waitForURL(/\/deals\/[0-9a-f-]{36}$/);
  const deal = page.url();
  await page.reload();
  await page.goBack();
  assert.equal(page.url(), form, "back is the same form");
  await register(page, title);
  await page.getByRole("button", { name: "Register", exact: true }).click();
  await page.waitForLoadState();
  assert.ok(page.url() === deal || (await page.getByRole("alert").first().textContent()).includes("registered a deal already"), page.url());

  // Without scripts, in German, with faults at their fields and everything typed still there.
  const plain = await open({ script: false, as: company, at: "/deals/new?lang=de", width: 390 });
  await plain.page.getByLabel("Worum es geht").fill("Lohnabrechnung");
  await plain.page.getByLabel("Kunde", { exact: true }).fill("Contoso AG");
  await plain.page.getByLabel("Wert des ganzen Geschäfts").fill("480.000,50");
  await plain.page.getByLabel("Name oder Webadresse").fill("brückenwerk");
  await plain.page.getByLabel("Anteil des Partners").fill("500.000");
  await plain.page.getByRole("button", { name: "Anmelden", exact: true }).last().click();
  await plain.page.getByText("übersteigen den Wert um 19.999,50").waitFor();
  await plain.page.getByRole("radio", { name: /Brückenwerk/ }).check();
  assert.equal(await plain.page.getByLabel("Wert des ganzen Geschäfts").inputValue(), "480.000,50");
  await plain.page.getByLabel("Anteil des Partners").fill("180.000");
  await plain.page.getByRole("button", { name: "Anmelden", exact: true }).last().click();
  await plain.page.getByText("300.000,50").waitFor();
}

async function register(page, title) {
  await page.getByLabel("What the deal is about").fill(title);
  await page.getByLabel("Customer", { exact: true }).fill("Contoso AG");
  await page.getByLabel("Customer’s country").selectOption("DE");
  await page.getByLabel("Value of the whole deal").fill("480,000");
  await page.getByLabel("Expected on").fill(soon());
  const words = page.getByLabel("Name or web domain");
  await words.fill("");
  await words.pressSequentially("bruckenw");
  await page.getByRole("radio", { name: /Brückenwerk/ }).check();
  await page.getByLabel("share").fill("180,000");
  assert.equal(await page.locator("#rest").textContent(), "€300,000.00");
}
