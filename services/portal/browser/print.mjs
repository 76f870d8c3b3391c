// The fullest year that there can be fits on two sheets and on a small phone: as many rows as a page shows, long names, large
// amounts, the longest reason, and notes on what is left out. world.pages are addresses with the key that opens each.
import assert from "node:assert/strict";

export default async function ({ open, everywhere, world }) {
  for (const { name, key, address } of world.pages) {
    for (const locale of ["de-DE", "en-GB"]) {
      const visit = await open({ as: key, at: address, locale });
      await visit.page.locator(".bars svg").waitFor();
      assert.equal(await visit.page.locator(".bychapter tbody tr").count(), 11, "ten chapters and the rest");
      assert.equal(await visit.page.locator(".bypair tbody tr").count(), 11, "ten pairs and the rest");
      const { count, boxes } = await visit.sheets(`print-${name}-${locale}`);
      assert.equal(count, 2, `sheets of ${name} in ${locale}`);
      for (const box of boxes) assert.deepEqual(box, [595, 842], "A4 in points");

      // With few chapters and no reason a pair has two lines for its names.
      await visit.page.evaluate(() => {
        for (const e of document.querySelectorAll(".bychapter tbody tr:nth-child(n + 5), .coverage .why")) e.remove();
      });
      assert.equal((await visit.sheets(`print-${name}-${locale}-few`)).count, 2, `sheets of ${name} in ${locale}, with few chapters`);
    }
    await everywhere({ as: key, at: address, locale: "de-DE" }, async (visit) => {
      await visit.page.locator(".bars svg").waitFor();
      await visit.check(name);
    });
    const phone = await open({ as: key, width: 360, locale: "de-DE" });
    for (const view of ["", "/chapters", "/pairs", "/pairs?view=matrix", "/pairs?view=table", "/members"]) {
      await phone.page.goto(address + view);
      await phone.page.waitForLoadState("load");
      await phone.fits(`${name}${view} on a small phone`);
    }
  }
}
