// A company's administrator manages its people, keys and waivers.
import assert from "node:assert/strict";

export default async function ({ open, everywhere, world }) {
  const first = await open({ as: world.keys.admin });
  await first.page.getByRole("link", { name: "Company", exact: true }).click();
  const base = new URL(first.page.url()).pathname.replace("/people", "");
  await everywhere({ as: world.keys.admin, at: `${base}/people` }, async (visit) => {
    await visit.check("company-people");
    for (const view of ["keys", "waivers"]) {
      await visit.page.goto(`${base}/${view}`);
      await visit.check(`company-${view}`);
    }
  });

  // Somebody is invited, signs in with the link, and chooses another language.
  const { page } = first;
  await page.getByLabel("Name").fill("Mira Member");
  await page.getByLabel("E-mail address").fill("mira@alder.example");
  await page.getByRole("radio", { name: /^Company(?! admin)/ }).check();
  await page.getByRole("button", { name: "Make the invitation" }).click();
  const link = await page.getByLabel("Sign-in link").inputValue();
  await first.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.getByRole("button", { name: "Copy" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), link);
  await first.check("company-link");

  const mira = await open({ at: link });
  await mira.page.getByRole("button", { name: "Sign in" }).click();
  await mira.page.goto("/me");
  await mira.check("me");
  await mira.page.getByLabel(/^Language of pages/).selectOption("de");
  await mira.page.getByRole("button", { name: "Save" }).click();
  await mira.page.getByRole("status").getByText("Gespeichert").waitFor();
  assert.equal((await mira.page.goto(`${base}/people`)).status(), 404, "a member manages nobody");
  assert.equal((await mira.page.goto(`${base}/waivers`)).status(), 200);
  assert.equal(await mira.page.getByRole("button", { name: "Freigeben" }).count(), 0, "and waives nothing");

  // Removed, she is nobody any more.
  await page.goto(`${base}/people`);
  const row = page.getByRole("row").filter({ hasText: "Mira Member" });
  await row.getByText("Manage", { exact: true }).click();
  await row.getByText("Remove…").click();
  await first.check("company-remove");
  await row.getByRole("button", { name: "Remove this person" }).click();
  await page.getByRole("status").getByText("The person is removed").waitFor();
  assert.equal(await page.getByText("Mira Member").count(), 0);
  await mira.page.goto("/me");
  await mira.page.waitForURL("**/sign-in*");

  // A key opens the API until it is revoked.
  await page.goto(`${base}/keys`);
  await page.getByLabel("What it is for").fill("CRM connector");
  await page.getByRole("button", { name: "Make the key" }).click();
  const key = await page.getByLabel("Key", { exact: true }).inputValue();
  const asks = () => first.context.request.get("/v1/session", { headers: { Authorization: `Bearer ${key}` } });
  assert.equal((await asks()).status(), 200);
  await page.getByRole("link", { name: "go on" }).click();
  assert.ok(!(await page.content()).includes(key), "a key is shown once");
  const line = page.getByRole("row").filter({ hasText: "CRM connector" });
  await line.getByText("Revoke…").click();
  await line.getByRole("button", { name: "Revoke this key" }).click();
  await page.getByRole("status").getByText("The key is revoked").waitFor();
  assert.equal((await asks()).status(), 401);

  // A waiver is given and taken back.
  await page.goto(`${base}/waivers`);
  await page.getByRole("button", { name: "Waive", exact: true }).first().click();
  await page.getByRole("status").getByText("You waived").waitFor();
  await page.getByText("You waived; your partner did not").first().waitFor();
  await page.getByRole("button", { name: "Withdraw" }).first().click();
  await page.getByRole("status").getByText("Withdrawn").waitFor();

  // Nobody finds what is another's.
  const board = await open({ as: world.keys.board });
  for (const view of ["people", "keys", "waivers"]) {
    assert.equal((await board.page.goto(`${base}/${view}`)).status(), 404, view);
  }
}
