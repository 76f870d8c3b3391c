// The operator's first five minutes and the registrar's first hour, without a script: from the key that `up` printed to a
// company whose administrator is invited.
import assert from "node:assert/strict";

export default async function ({ open, everywhere, world }) {
  await everywhere({ as: world.keys.operator, at: "/setup/association" }, async (visit) => {
    await visit.check("setup-association");
    await visit.page.goto("/setup/rates");
    await visit.check("setup-rates");
  });

  const operator = await open({ as: world.keys.operator, script: false, at: "/setup/association" });
  const { page } = operator;

  // What was typed stays, and the fault stands at its field.
  await page.getByLabel("Name").fill("Northern Circle");
  await page.getByLabel("Time zone").fill("Europe/Nowhere");
  await page.getByRole("button", { name: "Create the association" }).click();
  assert.equal(await page.getByLabel("Name").inputValue(), "Northern Circle");
  assert.equal(await page.getByLabel("Time zone").getAttribute("aria-invalid"), "true");
  await page.getByLabel("Time zone").fill("Europe/Oslo");
  await page.getByLabel("Reporting currency").selectOption("NOK");
  await page.getByRole("button", { name: "Create the association" }).click();
  await page.getByRole("status").getByText("The association is there").waitFor();
  const base = new URL(page.url()).pathname.replace("/setup/chapters", "");

  await page.getByLabel("Name").fill("Norway");
  await page.getByLabel("Country").selectOption("NO");
  await page.getByRole("button", { name: "Make the chapter" }).click();
  await page.getByLabel("Name").fill("Bergen");
  await page.getByLabel("Below").selectOption({ label: "Norway" });
  await page.getByRole("button", { name: "Make the chapter" }).click();
  assert.deepEqual(await page.locator("tbody th").allTextContents(), ["Norway", "Bergen"], "the tree");

  // The list on the first page asks for what is missing: the registrar.
  await page.goto("/");
  await page.getByRole("listitem").filter({ hasText: "Northern Circle" }).getByRole("link", { name: "no registrar" }).click();
  await page.getByLabel("Name").fill("Ragnhild Registrar");
  await page.getByRole("button", { name: "Make the invitation" }).click();
  const link = await page.getByLabel("Sign-in link").inputValue();
  assert.match(link, new RegExp(`^${world.url}/sign-in/drl_`));
  await page.goBack();
  assert.ok(!(await page.content()).includes(link), "a link is shown once");

  // The link signs the registrar in, who enrols a company and invites its administrator.
  const registrar = await open({ at: link });
  await registrar.page.getByRole("button", { name: "Sign in" }).click();
  await registrar.page.waitForURL(`**${base}/desk`);
  await registrar.page.getByRole("link", { name: "Setup" }).click();
  await registrar.page.getByRole("link", { name: "Members" }).click();
  await registrar.page.getByLabel("Find it by name or domain").fill("Fjord Works");
  await registrar.page.getByRole("button", { name: "Find" }).click();
  await registrar.page.getByLabel("Country").selectOption("NO");
  await registrar.page.getByRole("button", { name: "Make the company" }).click();
  await registrar.page.getByLabel("Chapter").selectOption({ label: "\u2003Bergen" });
  await registrar.page.getByRole("button", { name: "Save the membership" }).click();
  await registrar.page.getByRole("status").getByText("Enrolled").waitFor();
  await registrar.check("setup-member");
  await registrar.page.getByRole("link", { name: "Invite people" }).click();
  await registrar.page.getByLabel("Name").fill("Arne Administrator");
  await registrar.page.getByRole("button", { name: "Make the invitation" }).click();
  assert.match(await registrar.page.getByLabel("Sign-in link").inputValue(), /\/sign-in\/drl_/);
  await registrar.check("setup-link");

  // A release is published when the registrar says so.
  await registrar.page.goto(`${base}/publish`);
  await registrar.check("publish");
  await registrar.page.getByRole("button", { name: "Publish" }).click();
  await registrar.page.waitForURL(`**${base}/*/r1`);

  for (const view of ["setup", "setup/chapters", "setup/members", "people", "keys"]) {
    for (const kind of [{}, { scheme: "dark", width: 390 }]) {
      const looking = await open({ as: world.keys.operator, at: `${base}/${view}`, ...kind });
      await looking.check(`manage-${view.replace("/", "-")}`);
    }
  }

  // Beside a deal the registrar decides duplicates and invites parties that are no members.
  const desk = await open({ as: world.keys.registrar, at: "/" });
  await desk.page.locator(".deals tbody th a").first().click();
  await desk.page.getByRole("link", { name: "Decide duplicates" }).click();
  await desk.page.getByRole("heading", { name: "Registrar\u2019s acts" }).waitFor();
  await desk.check("desk-deal");

  // Who does not manage an association finds nothing there.
  for (const who of ["board", "company"]) {
    const other = await open({ as: world.keys[who], at: "/" });
    for (const path of [`${base}/setup`, `${base}/people`, `${base}/keys`, "/setup/association", "/setup/rates"]) {
      assert.equal((await other.page.goto(path)).status(), 404, `${who} at ${path}`);
    }
  }
}
