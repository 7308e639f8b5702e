// The demonstration, as a newcomer sees it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { allow, allowOnTheWayTo, inspect, listen, openBrowser, signIn } from "./lib/browser.mjs";
import { person, startCardea } from "./lib/cardea.mjs";

let cardea, browser;
before(async () => { [cardea, browser] = await Promise.all([startCardea(), openBrowser()]); });
after(async () => { await browser?.close(); await cardea?.close(); });

async function signedIn() {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  const complaints = listen(page);
  await page.goto(cardea.app);
  await page.getByRole("link", { name: "Sign in with Cardea" }).click();
  await signIn(page);
  await allowOnTheWayTo(page, cardea.app);
  await page.waitForURL(cardea.app + "/");
  return { context, page, complaints };
}

test("a person signs in, sees the tokens, and revokes them in front of the API's eyes", async () => {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  const complaints = listen(page);
  await page.goto(cardea.app);
  await inspect(page, "demo-welcome");
  await page.getByRole("link", { name: "Sign in with Cardea" }).click();
  await inspect(page, "signin");
  await signIn(page);
  await page.getByRole("heading", { level: 1 }).waitFor();
  await inspect(page, "consent");
  await allow(page);

  await page.waitForURL(cardea.app + "/");
  await page.getByRole("heading", { name: "The API lets you in" }).waitFor();
  await page.waitForFunction(() => Number(document.getElementById("calls").textContent) > 3);
  const first = await page.locator("#clock").textContent();
  await page.waitForFunction((was) => document.getElementById("clock").textContent !== was, first);
  const idToken = await page.getByRole("table").textContent();
  assert.match(idToken, new RegExp(cardea.issuer.replaceAll(".", "\\.")));
  const accessToken = JSON.parse(await page.getByLabel("Payload of the access token").textContent());
  assert.equal(accessToken.iss, cardea.issuer);
  assert.ok(Number.isInteger(accessToken.status.status_list.idx));
  for (const forbidden of ["roles", "groups", "permissions", "email"]) assert.ok(!(forbidden in accessToken), forbidden);
  await inspect(page, "demo-live");

  await page.getByRole("button", { name: "Revoke this grant" }).click();
  await page.getByRole("heading", { name: "Access is gone" }).waitFor();
  await page.waitForFunction(() => /^[\d.]+ ms$/.test(document.getElementById("took").textContent));
  const took = parseFloat(await page.locator("#took").textContent());
  assert.ok(took < 10_000, `the API refused after ${took} ms`);
  await inspect(page, "demo-refused");

  // The session at Cardea still stands, and so does the consent: no questions.
  await page.getByRole("link", { name: "Sign in again" }).click();
  await page.getByRole("heading", { name: "The API lets you in" }).waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
});

test("everything works from the keyboard alone", async () => {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  const focus = (name) => page.waitForFunction((n) => document.activeElement?.textContent?.trim().startsWith(n) ||
    document.activeElement?.getAttribute("name") === n, name);
  async function tabTo(name, most = 15) {
    for (let i = 0; i < most; i++) {
      const here = await page.evaluate(() => document.activeElement?.getAttribute("name") + "\n" + document.activeElement?.textContent?.trim());
      if (here.split("\n")[0] === name || here.split("\n")[1]?.startsWith(name)) return focus(name);
      await page.keyboard.press("Tab");
    }
    assert.fail(`the keyboard does not reach ${name}`);
  }
  await page.goto(cardea.app);
  await tabTo("Sign in with Cardea");
  await page.keyboard.press("Enter");
  await page.waitForURL(cardea.issuer + "/**");
  await tabTo("identifier");
  await page.keyboard.type(person.login);
  await tabTo("password");
  await page.keyboard.type(person.password);
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.href.startsWith(cardea.app) || url.pathname === "/consent");
  if (page.url().startsWith(cardea.issuer)) {
    await tabTo("Allow");
    await page.keyboard.press("Enter");
  }
  await page.waitForURL(cardea.app + "/");
  await tabTo("Revoke this grant");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Access is gone" }).waitFor();
  await context.close();
});

test("it works without scripts", async () => {
  const context = await browser.newContext({ javaScriptEnabled: false, locale: "en-GB" });
  const page = await context.newPage();
  await page.goto(cardea.app);
  await page.getByRole("link", { name: "Sign in with Cardea" }).click();
  await signIn(page);
  await allowOnTheWayTo(page, cardea.app);
  await page.getByRole("button", { name: "Revoke this grant" }).click();
  await page.getByRole("heading", { name: "Access is gone" }).waitFor();
  assert.match(await page.locator("#took").textContent(), /^[\d.]+ ms$/);
  await context.close();
});

test("signing out of the application signs out of Cardea too, and comes back", async () => {
  const { context, page } = await signedIn();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL((url) => url.href === cardea.app + "/");
  await page.getByRole("link", { name: "Sign in with Cardea" }).click();
  await page.locator('input[name="password"]').waitFor();
  await context.close();
});
