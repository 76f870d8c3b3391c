// run.mjs FOLDER reads the world from standard input and runs the scenarios of the folder in turn.
import { readdirSync } from "node:fs";
import { resolve, join } from "node:path";
import { pathToFileURL } from "node:url";
import { text } from "node:stream/consumers";
import { chromium } from "playwright-core";
import { Visit } from "./visit.mjs";

const world = JSON.parse(await text(process.stdin));
const folder = resolve(process.argv[2]);
const browser = await chromium.launch({
  executablePath: world.chromium,
  args: process.getuid() === 0 ? ["--no-sandbox"] : [], // chromium's sandbox does not work for root
});

const kinds = ["light", "dark"].flatMap((scheme) => [1280, 390].map((width) => ({ scheme, width })));

let failed = 0;
for (const file of readdirSync(folder).filter((name) => name.endsWith(".mjs")).sort()) {
  const { default: scenario } = await import(pathToFileURL(join(folder, file)));
  const visits = [];
  const open = async (options) => {
    visits.push(await Visit.open(browser, world, options));
    return visits.at(-1);
  };
  const everywhere = async (options, steps) => {
    for (const kind of kinds) await steps(await open({ ...options, ...kind }));
  };
  try {
    await scenario({ open, everywhere, world });
    console.log(`ok ${file}`);
  } catch (error) {
    failed++;
    console.log(`FAILED ${file}: ${error.stack}`);
    for (const visit of visits) console.log(`  was at ${visit.page.url()} ${visit.faults.join("; ")}`);
  }
  await Promise.all(visits.map((visit) => visit.close()));
}
await browser.close();
process.exitCode = failed > 0 ? 1 : 0;
