// run.mjs FILE... reads the world from standard input and runs the scenarios of the files in turn.
import assert from "node:assert/strict";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { text } from "node:stream/consumers";
import { chromium } from "playwright-core";
import { Visit } from "./visit.mjs";

const world = JSON.parse(await text(process.stdin));
const files = process.argv.slice(2);
assert.notEqual(files.length, 0, "no scenario was named");
const browser = await chromium.launch({
  executablePath: world.chromium,
  args: process.getuid() === 0 ? ["--no-sandbox"] : [], // chromium's sandbox does not work for root
});

const kinds = ["light", "dark"].flatMap((scheme) => [1280, 390].map((width) => ({ scheme, width })));

let failed = 0;
for (const file of files) {
  const { default: scenario } = await import(pathToFileURL(resolve(file)));
  const visits = [];
  const open = async (options) => {
    visits.push(await Visit.open(browser, world, options));
    return visits.at(-1);
  };
  const everywhere = async (options, steps) => {
    const [first, ...others] = kinds;
    const visit = await open({ ...options, ...first });
    await steps(visit);
    for (const kind of others) {
      await visit.turn(kind);
      await visit.page.goto(options.at ?? "/");
      await steps(visit);
    }
  };
  try {
    await scenario({ open, everywhere, world });
    console.log(`ok ${basename(file)}`);
  } catch (error) {
    failed++;
    console.log(`FAILED ${basename(file)}: ${error.stack}`);
    for (const visit of visits) console.log(`  was at ${visit.page.url()} ${visit.faults.join("; ")}`);
  }
  await Promise.all(visits.map((visit) => visit.close()));
}
await browser.close();
process.exitCode = failed > 0 ? 1 : 0;
