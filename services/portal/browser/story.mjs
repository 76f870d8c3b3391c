// An association's first day, by the pages and the mails alone: from the operator's key in an empty system to the total
// on the board's page. world.mails is where the mails to an address lie, in the order in which they came; asking for one
// waits until it is there. world.deal is what no mail may say.
import assert from "node:assert/strict";

const day = (ahead) => new Date(Date.now() + ahead * 864e5).toISOString().slice(0, 10);

export default async function ({ open, world }) {
  const { deal } = world;
  const mailed = (address, number) => linkIn(world, address, number);

  const operator = await open({ as: world.operator });
  await operator.check("story-empty");
  await found(operator.page);
  const registrar = await enter(open, await invite(operator.page, "Rosa Registrar"));
  await registrar.check("story-registrar");

  const { page: desk } = registrar;
  await enrol(desk, deal.lead);
  const adaLink = await invite(desk, "Ada Admin", "ada@people.example");
  await enrol(desk, deal.partner);
  await invite(desk, "Ben Admin", "ben@people.example");
  await desk.goto("/");
  await desk.getByRole("link", { name: "Setup", exact: true }).click();
  await desk.getByRole("link", { name: "People", exact: true }).click();
  const board = await enter(open, await invite(desk, "Bea Board", "bea@people.example", "Board"));
  await board.check("story-board-before");
  assert.equal(await total(board.page), "€0", "nothing is won yet");

  // The lead was handed its link; the partner has it from the mail, and hears of the deal by mail only.
  const lead = await enter(open, adaLink);
  const address = await register(lead.page, deal);
  await lead.check("story-registered");
  const partner = await enter(open, await mailed("ben@people.example", 1));
  await partner.page.goto(await mailed("ben@people.example", 2));
  assert.equal(new URL(partner.page.url()).pathname, address, "the mail leads to the deal");
  await partner.check("story-asked");
  await partner.page.getByRole("button", { name: "Accept" }).click();
  await partner.page.getByText("the deal is under way").waitFor();

  await lead.page.reload();
  await lead.page.getByRole("link", { name: "Propose the final figures" }).click();
  await lead.page.getByLabel("Value of the whole deal").fill(deal.final);
  await lead.page.getByLabel(new RegExp(deal.lead)).fill(""); // what remains is the lead's
  await lead.page.getByLabel("Won on").fill(day(0));
  await lead.page.getByRole("button", { name: "Propose and attest" }).click();
  await lead.page.waitForURL(`**${address}`);

  await partner.page.goto(await mailed("ben@people.example", 3));
  await partner.check("story-proposed");
  await partner.page.getByRole("button", { name: "Attest these figures" }).click();
  await partner.page.getByText("the deal is won").waitFor();

  // The board sees it as soon as the warehouse has it.
  const late = Date.now() + 60_000;
  do await board.page.reload();
  while ((await total(board.page)) === "€0" && Date.now() < late);
  assert.equal(await total(board.page), `€${deal.final}`);
  await board.check("story-total");
}

const total = (page) => page.locator(".hero .figure").textContent();

// linkIn gives the address in the text of a mail.
async function linkIn(world, address, number) {
  const answer = await fetch(`${world.mails}/${address}/${number}`);
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  return text.match(new RegExp(`^${world.url}/\\S+`, "m"))[0];
}

// enter signs in with a link, in a browser of its own.
async function enter(open, link) {
  const visit = await open({ at: link });
  await visit.page.getByRole("button", { name: "Sign in" }).click();
  await visit.page.waitForURL((url) => !url.pathname.startsWith("/sign-in"));
  return visit;
}

// found makes the association, as the first page asks, and its chapter, and goes to where its registrar is invited.
async function found(page) {
  await page.getByLabel("Name").fill("Northern Circle");
  await page.getByLabel("Time zone").fill("Etc/UTC");
  await page.getByLabel("Reporting currency").selectOption("EUR");
  await page.getByRole("radio", { name: /^Open to its board/ }).check();
  await page.getByRole("button", { name: "Create the association" }).click();
  await page.getByRole("status").getByText("The association is there").waitFor();
  await page.getByLabel("Name").fill("Bergen");
  await page.getByRole("button", { name: "Make the chapter" }).click();
  await page.getByRole("status").getByText("The chapter is there").waitFor();
  await page.goto("/");
  await page.getByRole("link", { name: "no registrar" }).click();
}

// invite gives the link that the page shows once. With an address the link is mailed too.
async function invite(page, name, email = "", role = "") {
  const form = page.getByRole("region", { name: "Invite somebody" });
  await form.getByLabel("Name").fill(name);
  await form.getByLabel("E-mail address").fill(email);
  if (role) await form.getByRole("radio", { name: new RegExp(`^${role}`) }).check();
  await form.getByRole("button", { name: "Make the invitation" }).click();
  const link = await page.getByLabel("Sign-in link").inputValue();
  if (email) await page.getByText(`It was also mailed to ${email}`).waitFor();
  return link;
}

// enrol makes a company and its membership, and goes to where its people are invited.
async function enrol(page, company) {
  await page.goto("/");
  await page.getByRole("link", { name: "Setup", exact: true }).click();
  await page.getByLabel("Management").getByRole("link", { name: "Members" }).click();
  await page.getByLabel("Find it by name or domain").fill(company);
  await page.getByRole("button", { name: "Find" }).click();
  await page.getByLabel("Country").selectOption("NO");
  await page.getByRole("button", { name: "Make the company" }).click();
  await page.getByLabel("Chapter").selectOption({ label: "Bergen" });
  await page.getByLabel("Code of ethics accepted on").fill(day(0));
  await page.getByRole("button", { name: "Save the membership" }).click();
  await page.getByRole("status").getByText("Enrolled").waitFor();
  await page.getByRole("link", { name: "Invite people" }).click();
}

// register gives the path of the new deal's page.
async function register(page, deal) {
  await page.getByRole("link", { name: "Register a deal" }).click();
  await page.getByLabel("What the deal is about").fill(deal.title);
  await page.getByLabel("Customer", { exact: true }).fill(deal.customer);
  await page.getByLabel("Customer’s country").selectOption("DE");
  await page.getByLabel("Value of the whole deal").fill(deal.value);
  await page.getByLabel("Currency").selectOption("EUR");
  await page.getByLabel("Expected on").fill(day(30));
  await page.getByLabel("Name or web domain").pressSequentially(deal.partner);
  await page.getByRole("radio", { name: new RegExp(deal.partner) }).check();
  await page.getByLabel("share").fill(deal.share);
  await page.getByRole("button", { name: "Register", exact: true }).click();
  await page.waitForURL(/\/deals\/[0-9a-f-]{36}$/);
  return new URL(page.url()).pathname;
}
