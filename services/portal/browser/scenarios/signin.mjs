// Signing in and out, and what protects that.
import assert from "node:assert/strict";

export default async function ({ open, everywhere, world }) {
  await everywhere({ at: "/" }, async (visit) => visit.check("sign-in"));

  const visit = await open({ at: `/a/${world.open}/${world.year}?lang=en` });
  const { page, context } = visit;
  await page.waitForURL("**/sign-in?next=*");
  await page.locator("#key").fill("drk_nothing");
  await page.getByRole("button", { name: "Sign in" }).click();
  assert.match(await page.getByRole("alert").textContent(), /opens nothing/);
  await visit.check("sign-in-refused");

  await page.locator("#key").fill(world.keys.leaver);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`**/a/${world.open}/${world.year}?lang=en`);
  const [cookie] = await context.cookies();
  assert.ok(cookie.httpOnly, "no script reads the cookie");
  assert.equal(cookie.sameSite, "Lax");

  // Another site's form changes nothing.
  const forged = await context.request.post("/sign-out", { headers: { Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" } });
  assert.equal(forged.status(), 403);
  await page.reload();
  assert.match(await page.locator("h1").textContent(), /Deal volume/);

  // The menu closes with Escape, where the keyboard stays, and when one goes on elsewhere.
  const menu = page.locator("details.person");
  const name = menu.locator("summary");
  await name.focus();
  for (const leave of ["Escape", "Shift+Tab"]) {
    await page.keyboard.press("Enter");
    await menu.getByRole("button", { name: "Sign out", exact: true }).waitFor();
    await page.keyboard.press(leave);
    await menu.getByRole("button", { name: "Sign out", exact: true }).waitFor({ state: "hidden" });
    assert.equal(await name.evaluate((e) => e === document.activeElement), leave === "Escape");
  }

  // A second device is signed out with the first one when asked to. No other scenario has this key.
  const other = await open({ as: world.keys.leaver, at: `/a/${world.open}/${world.year}` });
  await page.locator("details.person summary").click();
  await page.getByRole("button", { name: "Sign out everywhere" }).click();
  await page.waitForURL("**/sign-in");
  await page.goBack();
  await page.waitForURL("**/sign-in?*");
  await other.page.reload();
  await other.page.waitForURL("**/sign-in?*");
  assert.ok((await other.page.locator("#key").count()) === 1);
}
