// Deals from a spreadsheet: a company brings a German CSV, a registrar an association's history.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

const day = (back) => new Date(Date.now() - back * 86_400_000).toISOString().slice(0, 10).split("-").reverse().join(".");

const windows1252 = (text) => Buffer.from(text, "latin1"); // the same for these letters

const file = (rows, name = "Aufträge.csv") => ({ name, mimeType: "text/csv", buffer: windows1252(rows.join("\r\n") + "\r\n") });

export default async function ({ open, everywhere, world }) {
  const partner = "Fjord Data GmbH"; // of the demo
  const header = "Auftrags-Nr.;Projekt;Endabnehmer;Währung;Betrag;Gewonnen am;Partner";
  const mark = Date.now();
  const rows = (kind) => [
    header,
    `${mark}-${kind}-1;Brücke über die Förde;Hafenamt Kiel;EUR;1.250.000,50;${day(40)};${partner}`,
    `${mark}-${kind}-2;Schleuse;Hafenamt Kiel;EUR;zehn;${day(50)};${partner}`,
    `${mark}-${kind}-3;Mole;Hafenamt Kiel;EUR;80.000,00;${day(60)};Niemand GmbH`,
    `${mark}-${kind}-4;=Deich;Hafenamt Kiel;EUR;12,5;${day(70)};${partner}`,
  ];

  // Every page, in every look.
  await everywhere({ as: world.keys.company, at: "/import" }, async (visit) => {
    const { page } = visit;
    await visit.check("import-file");
    await page.locator("#file").setInputFiles(file(rows(visit.kind)));
    await page.locator(".importform button").click();
    await page.waitForURL("**/columns");
    assert.equal(await page.locator('[name="from.amount"]').inputValue(), "Betrag");
    assert.equal(await page.locator("#decimal").inputValue(), ",");
    if (await page.getByRole("alert").count()) { // the first time nobody knows what an Endabnehmer is, or where he lives
      await visit.check("import-columns-missing");
      await page.locator('[name="from.customer"]').selectOption("Endabnehmer");
      await page.locator('[name="same.customer_country"]').fill("DE");
      await page.locator('button[value="look"]').click();
    }
    await page.locator(".preview").waitFor();
    assert.equal(await page.locator(".preview tbody tr.faulty").count(), 2);
    await visit.check("import-columns");
    await page.locator('button[value="check"]').click();
    await page.locator(".importgo").waitFor();
    assert.deepEqual(await page.locator(".facts dd").allTextContents(), ["2", "0", "2"]);
    await visit.check("import-check");
    await page.locator(".importgo button").click();
    await page.waitForURL("**/imports/*");
    await page.locator(".facts").waitFor();
    assert.deepEqual(await page.locator(".facts dd").allTextContents(), ["2", "0", "2"]);
    await visit.check("import-result");
  });

  // In German and without a script: the rejected rows come back corrected, and the mapping is remembered.
  const visit = await open({ as: world.keys.company, at: "/import?lang=de", locale: "de-DE", script: false });
  const { page } = visit;
  const upload = async (sent) => {
    await page.goto("/import");
    await page.locator("#file").setInputFiles(sent);
    await page.getByRole("button", { name: "Hochladen und ansehen" }).click();
    await page.waitForURL("**/columns");
  };
  const runAll = async () => {
    await page.getByRole("button", { name: "Ganze Datei prüfen" }).click();
    await page.locator(".importgo").waitFor();
  };
  await upload(file(rows("de")));
  assert.equal(await page.locator('[name="from.customer"]').inputValue(), "Endabnehmer", "the mapping was remembered");
  assert.equal(await page.locator('[name="same.customer_country"]').inputValue(), "DE");
  assert.match(await page.locator(".preview .faulty").first().textContent(), /keine Zahl: Schreiben Sie/);
  await runAll();
  await page.getByRole("button", { name: "2 Geschäfte importieren" }).click();
  await page.getByText("2 Geschäfte wurden eingetragen.").waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByText("Abgelehnte Zeilen herunterladen").click()]);
  const rejected = await readFile(await download.path(), "utf8");
  assert.ok(rejected.startsWith("\ufeffAuftrags-Nr.;Projekt;"), "as a German spreadsheet opens it");
  const corrected = rejected.replace("zehn", "10").replace("Niemand GmbH", partner);
  await upload({ name: "abgelehnte-zeilen.csv", mimeType: "text/csv", buffer: Buffer.from(corrected) });
  await runAll();
  assert.deepEqual(await page.locator(".facts dd").allTextContents(), ["2", "0", "0"]);
  await page.getByRole("button", { name: "2 Geschäfte importieren" }).click();
  await page.getByText("2 Geschäfte wurden eingetragen.").waitFor();
  const result = page.url();

  // The same file again changes nothing.
  await upload(file(rows("de")));
  await runAll();
  assert.deepEqual(await page.locator(".facts dd").allTextContents(), ["0", "2", "2"]);
  const draft = new URL(page.url()).pathname;

  // Neither the file nor the import is there for anybody else.
  const other = await open({ as: world.keys.registrar, at: "/import" });
  for (const address of [draft, draft.replace("check", "columns"), new URL(result).pathname, new URL(result).pathname + "/rejects"]) {
    const answer = await other.context.request.get(address);
    assert.equal(answer.status(), 404, address);
  }

  // The registrar's history names its documents, and may bring companies that nobody knows.
  await other.page.goto("/import?lang=en");
  await other.check("import-file-registrar");
  await other.page.locator("#file").setInputFiles({
    name: "history.csv", mimeType: "text/csv",
    buffer: Buffer.from(`ref,title,customer,country,currency,amount,won date,partner 1,partner 2\n${mark}-r,Dock,Port,DE,EUR,"1,000,000",02/28/2019,New Harbour Ltd,Old Quay Ltd\n`),
  });
  await other.page.locator("#reference").fill("Ledger 7");
  await other.page.locator(".importform button").click();
  await other.page.waitForURL("**/columns");
  assert.equal(await other.page.locator(".preview tr.faulty").count(), 1, "the companies are not known");
  await other.page.locator("#create").check();
  await other.page.locator('button[value="look"]').click();
  await other.page.getByText("None of these rows would be rejected.").waitFor();
  await other.check("import-columns-registrar");
}
