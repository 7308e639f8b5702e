// Passkeys with a real browser and its virtual authenticator: made, offered
// where the name is typed, used alone and beside a password, and forgotten.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { inspect, listen, openBrowser, signIn } from "./lib/browser.mjs";
import { person, startCardea } from "./lib/cardea.mjs";
import { authenticator } from "./lib/passkey.mjs";
import { until } from "./lib/until.mjs";

let cardea, browser;
before(async () => { [cardea, browser] = await Promise.all([startCardea(), openBrowser()]); });
after(async () => { await browser?.close(); await cardea?.close(); });

const button = (page) => page.locator("[data-passkey-button]");
const home = (page) => page.waitForURL((url) => url.pathname === "/" || url.pathname === "/account");

/** Signs in with a password, makes a passkey and returns the device that has it. */
async function enrolled(page, look) {
  const device = await authenticator(page);
  await page.goto(`${cardea.issuer}/passkeys/new`);
  await signIn(page);
  await page.waitForURL("**/signin/enrol**");
  if (look) await inspect(page, "passkey-enrol");
  await page.locator('input[name="name"]').fill("Virtual device");
  await button(page).click();
  await page.waitForURL((url) => url.pathname !== "/signin/enrol" || url.searchParams.get("by") !== "passkey");
  return device;
}

/** The same device in a browser that is not signed in. */
async function elsewhere(credentials, more) {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  const device = await authenticator(page, more);
  for (const c of credentials) await device.add(c);
  return { context, page, device };
}

let passkey;

test("a passkey is made, and the page says what it is", async () => {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  const complaints = listen(page);
  const device = await enrolled(page, true);
  [passkey] = await device.credentials();
  assert.ok(passkey.isResidentCredential, "it is found without a name");
  assert.equal(passkey.rpId, "localhost");
  assert.equal(Buffer.from(passkey.userHandle, "base64").length, 32);
  await page.locator('button[value="later"]').click(); // codes for recovery
  await page.waitForURL("**/account/factors");
  // Whoever has just used one need not know their password to choose another.
  await page.goto(`${cardea.issuer}/account/password`);
  await page.getByText("You have just confirmed").waitFor();
  await inspect(page, "account-password-proved");
  assert.equal(await page.getByLabel("Current password").count(), 0);
  assert.deepEqual(complaints, []);
  await context.close();
});

test("a returning person signs in on one page with one gesture: autofill", async () => {
  const { context, page, device } = await elsewhere([passkey]);
  const complaints = listen(page);
  // Nothing is typed and no button pressed: the browser offers the passkey where the name
  // is typed, and the virtual device takes the offer.
  await page.goto(`${cardea.issuer}/signin`);
  await home(page);
  assert.deepEqual(complaints, []);
  [passkey] = await device.credentials(); // it counts, and a copy that counts less is refused
  await context.close();
});

test("a passkey is asked for beside the password, and by the button", async () => {
  const { context, page, device } = await elsewhere([passkey], { automaticPresenceSimulation: false });
  await page.goto(`${cardea.issuer}/signin`);
  await button(page).waitFor();
  await inspect(page, "signin-passkey");
  await signIn(page);
  await page.waitForURL("**/signin/factor**");
  await button(page).waitFor();
  await inspect(page, "passkey");
  await device.present(true);
  await button(page).click();
  await home(page);
  await context.close();
  // What was copied before counts less now.
  const copy = await elsewhere([passkey]);
  await copy.page.goto(`${cardea.issuer}/signin`);
  await copy.page.getByText("That didn’t work").waitFor();
  await copy.context.close();
});

test("a device that does not verify its owner opens nothing", async () => {
  const { context, page, device } = await elsewhere([passkey]);
  await device.verified(false);
  await page.goto(`${cardea.issuer}/signin`);
  await button(page).click();
  await page.locator("[data-passkey-failed]:visible").waitFor();
  await inspect(page, "passkey-failed");
  assert.equal(new URL(page.url()).pathname, "/signin");
  await context.close();
});

test("without JavaScript the page is whole, and a passkey is not offered", async () => {
  const context = await browser.newContext({ locale: "en-GB", javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(`${cardea.issuer}/signin`);
  assert.equal(await button(page).isVisible(), false);
  await page.locator('input[name="identifier"]').fill(person.login);
  await page.locator('input[name="password"]').fill(person.password);
  await page.locator('button[value="signin"]').click();
  await page.waitForURL("**/signin/factor**");
  assert.ok(await page.locator("[data-passkey-without]").isVisible(), "the page says what is missing");
  await context.close();
});

test("where only passkeys count the page asks for nothing else, and opens by one gesture", async () => {
  await cardea.admin("PATCH", "/realm", { settings: { factors: "passkey" } });
  const { page, context } = await elsewhere([{ ...passkey, signCount: passkey.signCount + 9 }]);
  await page.goto(`${cardea.issuer}/signin`);
  await inspect(page, "signin-only-passkeys");
  assert.equal(await page.locator("input:not([type=hidden])").count(), 0);
  assert.equal(await page.getByRole("link", { name: "Forgot" }).count(), 0);
  await button(page).click();
  await home(page);
  await page.goto(`${cardea.issuer}/account`);
  assert.equal(await page.getByRole("link", { name: "Password" }).count(), 0);
  await context.close();
  const without = await browser.newContext({ locale: "en-GB", javaScriptEnabled: false });
  const bare = await without.newPage();
  await bare.goto(`${cardea.issuer}/signin`);
  assert.ok(await bare.locator("[data-passkey-without]").isVisible(), "the page says what is missing");
  await without.close();
  await cardea.admin("PATCH", "/realm", { settings: { factors: "*" } });
});

test("a passkey that was removed vanishes from the device", async () => {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  const device = await authenticator(page);
  await device.add(passkey);
  const { items } = await cardea.admin("GET", `/users?q=${encodeURIComponent(person.login)}`);
  const list = await cardea.admin("GET", `/users/${items[0].id}/credentials`);
  for (const one of list.items.filter((c) => c.type === "passkey")) await cardea.admin("DELETE", `/users/${items[0].id}/credentials/${one.id}`);
  await page.goto(`${cardea.issuer}/signin`);
  await page.getByText("This passkey was removed").waitFor();
  await inspect(page, "passkey-removed");
  await until("the device has it no more", async () => (await device.credentials()).length === 0);
  await context.close();
});
