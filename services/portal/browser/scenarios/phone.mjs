// Every page on a small phone and in German, whose words are the longer ones: none is wider than the phone, nothing is cut off,
// even where a name is one long word and a figure as long as one can be.
import assert from "node:assert/strict";

const name = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft mbH";
const figure = "9.999.999.999.999\u00a0€";

export default async function ({ open, world }) {
  const { keys, year } = world;
  const views = (id, of) => ["", "/chapters", "/pairs", "/pairs?view=matrix", "/pairs?view=table", "/members"].map((view) => `/a/${id}/${of}${view}`);
  const desk = (id) => ["desk", "publish", "people", "keys", "setup", "setup/chapters", "setup/members", "setup/members?q=GmbH"].map((page) => `/a/${id}/${page}`);
  const pages = {
    board: views(world.open, year),
    guarded: views(world.guarded, year - 1),
    company: ["/", "/deals", "/deals?status=won", "/deals/new", "/import", "/c"],
    admin: ["/c/people", "/c/keys", "/c/waivers", "/webhooks"],
    registrar: [...desk(world.open), "/import", "/webhooks"],
    operator: ["/", "/setup/association", "/setup/rates", "/webhooks", ...desk(world.guarded)],
  };
  for (const [who, addresses] of Object.entries(pages)) {
    const visit = await open({ as: keys[who], width: 360, locale: "de-DE" });
    for (const address of addresses) {
      await visit.page.goto(address.replace(/^\/c\b/, `/c/${world.company}`));
      await visit.page.waitForLoadState("load");
      await visit.fits(`${address} in German`);
      for (const width of (await visit.page.locator(".matrix tbody th").evaluateAll((all) => all.map((e) => e.clientWidth))).slice(0, 1)) {
        assert.ok(width >= 100, `the names beside the matrix have ${width} pixels`);
      }
      await visit.page.evaluate(([name, figure]) => {
        for (const e of document.querySelectorAll("h1, .kicker, main tbody th, .columns li, .plainlist li")) e.textContent = name;
        for (const e of document.querySelectorAll(".facts dd")) e.textContent = figure;
      }, [name, figure]);
      await visit.fits(`${address} with long words`);
      const broken = await visit.page.evaluate(
        () => [...document.querySelectorAll(".facts dd")].filter((e) => e.clientHeight > 1.5 * parseFloat(getComputedStyle(e).lineHeight)).length,
      );
      assert.equal(broken, 0, `figures of ${address} that go on in the next line`);
    }
  }
}
