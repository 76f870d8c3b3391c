// The board of an association that publishes releases: hidden figures are said to be hidden, and the files are the API's.
import assert from "node:assert/strict";

export default async function ({ open, everywhere, world }) {
  const { year } = world;
  const last = `/a/${world.guarded}/${year - 1}`;
  const board = world.keys.guarded;

  await everywhere({ as: board, at: last }, async (visit) => {
    const { page } = visit;
    assert.match(await page.locator(".source").textContent(), /Release 1, published .* log [0-9a-f]{12}/);
    await visit.check("release");
    for (const view of ["chapters", "pairs", "members"]) {
      await page.goto(`${last}/${view}`);
      await visit.check(`release-${view}`);
    }
  });

  const visit = await open({ as: board, at: last });
  const { page } = visit;
  // Where the other association's open board gives too much away the months are left out: then one sheet holds the year.
  const months = await page.locator(".months").count();
  assert.equal((await visit.sheets("print-release")).count, months ? 2 : 1, "sheets of a release");
  assert.equal(await page.locator(".sheet + .sheet .months").count(), months, "without pairs the second sheet has room for the months");
  if (!months) await page.getByText("Figures by month are left out of this release").waitFor();
  await page.getByRole("link", { name: "Release 1" }).click();
  await page.waitForURL(`**${last}/r1`);
  for (const [name, ending] of [["Excel", "xlsx"], ["CSV", "csv"]]) {
    const download = page.waitForEvent("download");
    await page.getByRole("link", { name }).click();
    assert.match((await download).suggestedFilename(), new RegExp(`-r1\\.${ending}$`));
  }

  // A year without a release says so; a release that there is not does not exist.
  await page.goto(`/a/${world.guarded}/1990`);
  await page.getByText("Nothing has been published for 1990").waitFor();
  await visit.check("unpublished");
  assert.equal((await page.goto(`${last}/r99`)).status(), 404);
}
