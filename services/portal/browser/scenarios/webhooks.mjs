// A company's administrator connects a receiver, sees what went wrong with it, and repairs that.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { register } from "./desk.mjs";

export default async function ({ open, everywhere, world }) {
  const receiver = createServer((request, answer) => {
    request.resume();
    receiver.heard = request.headers;
    receiver.events.add(request.headers["webhook-id"]);
    answer.writeHead(receiver.well ? 204 : 500, { "Content-Type": "text/html" });
    answer.end(receiver.well ? undefined : "<b>the receiver is broken</b>");
  });
  receiver.events = new Set();
  await new Promise((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  try {
    await scenario({ open, everywhere, world, receiver, url: `http://127.0.0.1:${receiver.address().port}/hook` });
  } finally {
    receiver.close();
  }
}

async function scenario({ open, everywhere, world, receiver, url }) {
  const visit = await open({ as: world.keys.admin, at: "/webhooks" });
  const { page } = visit;

  // An address that is none is refused at its field, and what was typed stays.
  await page.getByLabel("Address").fill("http://user:word@crm.example/hook");
  await page.getByLabel("What it is for").fill("CRM");
  await page.getByRole("button", { name: "Create the endpoint" }).click();
  assert.equal(await page.getByLabel("Address").getAttribute("aria-invalid"), "true");
  assert.equal(await page.getByLabel("What it is for").inputValue(), "CRM");
  await visit.check("webhooks-refused");
  const german = await open({ as: world.keys.admin, at: "/webhooks?lang=de", width: 390 });
  await german.page.getByLabel("Adresse").fill("http://user:word@crm.example/hook");
  await german.page.getByRole("button", { name: "Endpunkt anlegen" }).click();
  await german.page.getByText("Lassen Sie Benutzer und Passwort weg").waitFor();
  await german.check("webhooks-refused-german");
  await page.getByLabel("Address").fill(url);
  await page.getByRole("button", { name: "Create the endpoint" }).click();
  const secret = await page.getByLabel("Signing secret").inputValue();
  assert.match(secret, /^whsec_/);
  await visit.check("webhooks-secret");
  await page.getByRole("link", { name: "go on" }).click();
  const address = page.url();
  assert.ok(!(await page.content()).includes(secret), "a secret is shown once");

  // A test says in words what went wrong; the answer of the receiver is text, never markup.
  await page.getByRole("button", { name: "Send a test" }).click();
  await page.getByRole("heading", { name: "The test did not arrive" }).waitFor();
  await page.locator("pre", { hasText: "<b>the receiver is broken</b>" }).first().waitFor();
  await visit.check("webhook-failed");
  receiver.well = true;
  await page.getByRole("button", { name: "Send a test" }).click();
  await page.getByRole("heading", { name: "The test arrived" }).waitFor();

  // All that was is sent again, with its progress; the log finds one event, which is sent once more.
  await page.goto(address);
  await page.getByText("Replay a range of time").click();
  await page.getByLabel("From (UTC)").fill("2000-01-01T00:00");
  await page.getByRole("button", { name: "Replay" }).click();
  await page.waitForURL("**?replay=*");
  await page.getByRole("heading", { name: "Sent again" }).waitFor();
  assert.match(await page.getByRole("status").textContent(), /[1-9]\d* delivered, 0 failed/);
  const listed = page.locator(".attempts tbody tr").filter({ hasText: "dealreg.deal." });
  for (let tries = 0; tries < 40 && (await listed.count()) === 0; tries++) await page.goto(`${address}?outcome=delivered#log`);
  const event = await listed.first().locator("th a").textContent();
  await listed.first().locator("th a").click();
  await page.waitForURL("**?event=*");
  assert.equal(await page.getByLabel("Event id").inputValue(), event);
  await page.getByRole("button", { name: "Send again" }).first().click();
  await page.getByRole("heading", { name: "Sent again" }).waitFor();
  assert.match(await page.getByRole("status").textContent(), /1 delivered, 0 failed/);
  await everywhere({ as: world.keys.admin, at: "/webhooks" }, async (look) => {
    await look.check("webhooks");
    await look.page.goto(address);
    await look.check("webhook");
  });

  // A new secret, off, on with what it missed, gone.
  await page.goto(address);
  await page.getByText("New secret…").click();
  await page.getByRole("button", { name: "Make a new secret" }).click();
  assert.notEqual(await page.getByLabel("Signing secret").inputValue(), secret);
  await page.goto(address);
  await page.getByText("Disable…").click();
  await page.getByRole("button", { name: "Disable it" }).click();
  await page.getByRole("status").getByText("disabled").waitFor();
  await visit.check("webhook-disabled");
  const title = `Lighthouses ${Date.now()}`;
  const missed = `${await register(page.request, world, title, title)}:1`;
  await page.getByRole("button", { name: "Enable and try now" }).click();
  await page.getByRole("status").getByText("enabled").waitFor();
  await page.getByText("Replay a range of time").click();
  await page.getByText("Send again what failed").click();
  const since = await page.getByLabel("From (UTC)").inputValue();
  assert.notEqual(since, "");
  assert.equal(await page.getByLabel("Failed since (UTC)").inputValue(), since);
  await visit.check("webhook-missed");
  await page.getByRole("button", { name: "Send what it missed" }).click();
  await page.waitForURL("**?replay=*&replay=*");
  await page.getByRole("heading", { name: "Sent again" }).waitFor();
  assert.match(await page.getByRole("status").textContent(), /[1-9]\d* delivered, 0 failed/);
  assert.ok(receiver.events.has(missed), "what came while it was disabled arrives");

  // Another company's person finds neither it nor any list.
  const member = await open({ as: world.keys.company });
  assert.equal((await member.page.goto("/webhooks")).status(), 404);
  const board = await open({ as: world.keys.board });
  assert.equal((await board.page.goto(address)).status(), 404);

  await page.getByText("Delete…").click();
  await page.getByRole("button", { name: "Delete it" }).click();
  await page.getByRole("status").getByText("deleted").waitFor();

  // A receiver of its own kind: with a header along, in order, and checked with a public key.
  await page.getByLabel("Address").fill(url);
  await page.getByLabel("Headers to send along").fill("X-Tenant: north\nAuthorization: Bearer abc");
  await page.getByLabel("In order").check();
  await page.getByRole("radio", { name: /v1a/ }).check();
  await page.getByRole("button", { name: "Create the endpoint" }).click();
  assert.match(await page.getByLabel("Public key").inputValue(), /^whpk_/);
  await page.getByRole("link", { name: "go on" }).click();
  const test = async () => {
    await page.getByRole("button", { name: "Send a test" }).click();
    await page.getByRole("heading", { name: "The test arrived" }).waitFor();
    return receiver.heard;
  };
  const heard = await test();
  assert.deepEqual([heard["x-tenant"], heard.authorization, heard["webhook-signature"].slice(0, 4)], ["north", "Bearer abc", "v1a,"]);
  await page.getByText("Change address").click();
  const headers = page.getByLabel("Headers to send along");
  assert.equal(await headers.inputValue(), "Authorization\nX-Tenant", "their values are shown to nobody");
  await headers.fill("Authorization\nX-Tenant");
  await visit.check("webhook-own-kind");
  await headers.fill("Authorization");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("status").getByText("Saved").waitFor();
  const later = await test();
  assert.deepEqual([later["x-tenant"], later.authorization], [undefined, "Bearer abc"]);
}
