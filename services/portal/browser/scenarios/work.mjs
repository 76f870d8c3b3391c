// A company's own page, the registrar's desk and the operator's list of associations.
import assert from "node:assert/strict";

export default async function ({ everywhere, world }) {
  await everywhere({ as: world.keys.company }, async (visit) => {
    await visit.page.getByRole("link", { name: "Year" }).click();
    await visit.page.waitForURL(/\/c\//);
    await visit.page.getByLabel("Year", { exact: true }).selectOption(String(world.year - 1)); // the current one may have just begun
    await visit.page.getByRole("button", { name: "Show" }).click();
    await visit.page.waitForURL(`**/${world.year - 1}`);
    assert.ok((await visit.page.locator(".figures tbody tr").count()) > 0, "its partners");
    assert.ok((await visit.page.locator(".deals tbody tr").count()) > 0, "its deals");
    await visit.check("company");
  });
  await everywhere({ as: world.keys.registrar }, async (visit) => {
    assert.equal(new URL(visit.page.url()).pathname, `/a/${world.open}/desk`);
    await visit.check("desk");
    await visit.page.goto(`/a/${world.open}/desk?list=disputed`);
    assert.equal(await visit.page.locator("section").count(), 1);
  });
  await everywhere({ as: world.keys.operator }, async (visit) => {
    assert.ok((await visit.page.locator(".cards li").count()) >= 2, "its associations");
    await visit.check("home");
  });
}
