// A person's way through the pages, watched: whatever no page may have is kept until check looks at it.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const levels = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"];

const size = (width) => ({ width, height: width < 600 ? 844 : 900 });

export class Visit {
  static async open(browser, world, { as, at = "/", scheme = "light", width = 1280, locale = "en-GB", script = true } = {}) {
    const context = await browser.newContext({
      baseURL: world.url,
      colorScheme: scheme,
      javaScriptEnabled: script,
      locale,
      viewport: size(width),
    });
    context.setDefaultTimeout(60_000); // for one step: a busy machine is slow, not broken
    const visit = new Visit(context, await context.newPage(), world, { scheme, width });
    await visit.watch();
    if (as) await visit.signIn(as, at);
    else await visit.page.goto(at);
    return visit;
  }

  constructor(context, page, world, { scheme, width }) {
    Object.assign(this, { context, page, world, kind: `${scheme}-${width}`, faults: [], allowed: [] });
  }

  // turn changes how the window shows what is loaded next. A window of its own for each kind would cost more than the page.
  async turn({ scheme, width }) {
    this.kind = `${scheme}-${width}`;
    await this.page.emulateMedia({ colorScheme: scheme });
    await this.page.setViewportSize(size(width));
  }

  async watch() {
    const { page, faults } = this;
    page.on("console", (message) => {
      // The browser reports every answer from 400 on; that of the page itself is the scenario's business.
      const ofPage = message.location().url === page.url() && message.text().startsWith("Failed to load resource");
      if (["error", "warning"].includes(message.type()) && !ofPage) faults.push(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => faults.push(`script: ${error.message}`));
    page.on("request", (request) => {
      const { origin, protocol } = new URL(request.url());
      if (origin !== this.world.url && !["data:", "about:"].includes(protocol)) faults.push(`request leaves: ${request.url()}`);
    });
    page.on("response", (response) => {
      if (response.status() >= 400 && response.request().resourceType() !== "document") {
        faults.push(`${response.status()} for ${response.url()}`);
      }
    });
    await page.addInitScript(() => {
      globalThis.breaches = [];
      addEventListener("securitypolicyviolation", (event) => {
        globalThis.breaches.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile ?? ""}`);
      });
    });
  }

  async signIn(key, at) {
    await this.page.goto(`/sign-in?next=${encodeURIComponent(at)}`);
    await this.page.locator("#key").fill(key);
    await this.page.locator("button.primary").click();
    await this.page.waitForURL((url) => !url.pathname.startsWith("/sign-in"));
  }

  async close() {
    await this.context.close();
  }

  // check fails on what no page may have, and takes a picture.
  async check(name) {
    const { page } = this;
    await page.waitForLoadState("load");
    const where = `${name} (${this.kind}, ${page.url()})`;
    if (this.world.screenshots) {
      await page.screenshot({ path: join(this.world.screenshots, `${name}-${this.kind}.png`), fullPage: true });
    }
    await page.evaluate(axe); // by the debugger: the page's policy lets no other script in
    const found = await page.evaluate(async (tags) => {
      const result = await globalThis.axe.run(document, { runOnly: { type: "tag", values: tags } });
      return result.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(" ")}: ${n.failureSummary}`));
    }, levels);
    assert.equal(found.slice(0, 5).join("\n"), "", `accessibility of ${where}: ${found.length} violations`);
    assert.deepEqual(await page.evaluate(() => globalThis.breaches), [], `policy of ${where}`);
    await this.fits(where);
    assert.deepEqual(this.faults, [], where);
  }

  // fits fails where the page is wider than the window, or where something in it is cut off. The table of all against all
  // and a preview of a spreadsheet scroll by themselves.
  async fits(where) {
    const { page } = this;
    const wide = await page.evaluate(() => document.scrollingElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${where} is ${wide} pixels wider than the window`);
    const beside = await page.evaluate(() => document.querySelector("main").scrollWidth - document.querySelector("main").clientWidth);
    assert.ok(beside <= 0, `${where} has something ${beside} pixels outside of its column`);
    const cut = await page.evaluate(() =>
      [...document.querySelectorAll("main *:not(.unseen, .scroll, input, select, textarea)")]
        .filter((e) => e.clientWidth > 1 && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== "visible")
        .map((e) => e.outerHTML.slice(0, 120)),
    );
    assert.deepEqual(cut, [], `${where} cuts something off`);
  }

  // sheets prints the page as the style sheet asks and gives the size of each sheet in points.
  async sheets(name) {
    const options = { preferCSSPageSize: true };
    if (this.world.screenshots) options.path = join(this.world.screenshots, `${name}.pdf`);
    const pdf = (await this.page.pdf(options)).toString("latin1");
    const count = (pdf.match(/\/Type\s*\/Page\b/g) ?? []).length;
    const boxes = [...pdf.matchAll(/\/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)\s*\]/g)].map(([, w, h]) => [Math.round(w), Math.round(h)]);
    return { count, boxes };
  }
}
