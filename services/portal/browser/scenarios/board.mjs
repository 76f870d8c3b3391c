// The board of an association whose members agreed that it sees everything.
import assert from "node:assert/strict";

export default async function ({ open, everywhere, world }) {
  const { year } = world;
  const home = `/a/${world.open}/${year}`;
  const last = `/a/${world.open}/${year - 1}`; // has deals on every day of the year, as the current one has not
  const board = world.keys.board;

  await everywhere({ as: board, at: home }, async (visit) => {
    await visit.page.locator(".bars svg").waitFor();
    await visit.check("year");
    for (const view of ["chapters", "pairs", "pairs?view=matrix", "pairs?view=table", "members"]) {
      await visit.page.goto(`${last}/${view}`);
      if (view === "pairs") await visit.page.locator(".round svg").waitFor();
      await visit.check(view.replace("?view=", "-"));
    }
  });

  // The main path, clicked: from the first page over the years to the pairs of one member.
  const visit = await open({ as: board });
  const { page } = visit;
  assert.equal(new URL(page.url()).pathname, home, "the board's first page is the current year");
  await page.getByLabel("Year", { exact: true }).selectOption(String(year - 1));
  await page.getByRole("button", { name: "Show" }).click();
  await page.waitForURL(`**${last}`);
  await page.getByRole("link", { name: "Pairs" }).click();
  await page.getByRole("link", { name: "Table" }).click();
  const member = await page.locator("tbody th a").first().textContent();
  await page.locator("tbody th a").first().click();
  await page.getByRole("heading", { name: `Pairs of ${member}` }).waitFor();
  await visit.check("pairs-of-member");

  // From a chapter to its members, and to the pairs of one.
  await page.getByRole("link", { name: "Chapters" }).click();
  const chapter = await page.locator("tbody th a").first().textContent();
  await page.locator("tbody th a").first().click();
  await page.getByRole("heading", { name: `Who was in the chapter ${chapter}` }).waitFor();
  await visit.check("members-of-chapter");
  await page.locator("tbody th a").first().click();
  await page.getByRole("heading", { name: "Pairs of" }).waitFor();

  // The same in German, kept for the next pages.
  await page.goto(last);
  await page.getByRole("link", { name: "Deutsch" }).click();
  assert.match(await page.locator("h1").textContent(), /Geschäftsvolumen/);
  await page.getByRole("link", { name: "Sektionen" }).click();
  assert.match(await page.locator("h1").textContent(), /Nach Sektionen/);
  assert.match(await page.locator("tfoot .n").first().textContent(), /\d{1,3}(\.\d{3})*,\d\d\s€/);
  await visit.check("german");

  // Keyboard: the first stop skips to the content, and the year picker and the table's links can be reached.
  await page.goto(`${last}?lang=en`);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  const stops = [];
  for (let i = 0; i < 12; i++) {
    await page.keyboard.press("Tab");
    stops.push(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim()));
  }
  assert.deepEqual(stops.slice(0, 6), ["year", "Show", "Year", "Chapters", "Pairs", "Members"]);
  assert.ok(stops.some((stop) => stop.includes("GmbH") || stop.includes("BV")), `the table's links are stops: ${stops}`);

  // Paper: two sheets of A4, light also for who reads in the dark, from a phone too.
  for (const kind of [{ scheme: "dark" }, { width: 390 }, { locale: "de-DE" }]) {
    const reader = await open({ as: board, at: last, ...kind });
    await reader.page.locator(".bars svg").waitFor();
    const { count, boxes } = await reader.sheets(`print-${Object.values(kind)[0]}`);
    assert.equal(count, 2, `sheets of the year, ${JSON.stringify(kind)}`);
    for (const box of boxes) assert.deepEqual(box, [595, 842], "A4 in points");
  }

  // A year in which nothing was won has its months, under their heading on paper too, and no chart.
  const empty = await open({ as: board, at: `/a/${world.open}/1999` });
  assert.equal(await empty.page.locator(".sheet:first-of-type .months tbody tr").count(), 12);
  assert.equal(await empty.page.locator(".chart").count(), 0);
  await empty.check("year-empty");

  // Without scripts every figure is there.
  const plain = await open({ script: false, as: board, at: home });
  assert.equal(await plain.page.locator(".months tbody tr").count(), 12);

  // What the board may not see does not exist.
  const answer = await page.goto(`/a/${world.guarded}/${year}`);
  assert.equal(answer.status(), 404);
  assert.match(await page.locator("h1").textContent(), /nothing here/);
  await visit.check("not-found");
}
