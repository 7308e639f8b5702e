// One's own account, as its owner meets it: with a script and without, on a
// phone and at twice the size, alone and beside somebody who should not be there.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { inspect, listen, openBrowser, signIn } from "./lib/browser.mjs";
import { person, startCardea } from "./lib/cardea.mjs";

let cardea, browser;
before(async () => { [cardea, browser] = await Promise.all([startCardea(), openBrowser()]); });
after(async () => { await browser?.close(); await cardea?.close(); });

const next = "seven lanterns over the quiet harbour";
const phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1";

/** Opens a page of the account in a new browser, signing in on the way. */
async function open(path, options = {}, who = person) {
  const context = await browser.newContext({ locale: "en-GB", ...options });
  const page = await context.newPage();
  await page.goto(cardea.issuer + path);
  await signIn(page, who);
  await page.waitForURL("**" + path);
  return { context, page };
}

/** The address in the letter with a code, as the page of letters shows it. */
async function mailedCode() {
  const context = await browser.newContext({ locale: "en-GB" });
  const letters = await context.newPage();
  for (const end = Date.now() + 20_000; Date.now() < end; ) {
    await letters.goto(`${cardea.issuer}/dev/mail`);
    for (let i = 0; i < await letters.locator("a.pick").count(); i++) {
      await letters.locator("a.pick").nth(i).click();
      await letters.locator("pre.letter").waitFor();
      const link = letters.locator('pre.letter a[href*="/signin/code/link?"]');
      if (await link.count()) {
        const href = await link.first().getAttribute("href");
        await context.close();
        return href;
      }
      await letters.goBack();
    }
  }
  throw new Error(`no letter has a code\n${cardea.log()}`);
}

test("a device is ended, and dies", async () => {
  const lost = await open("/account", { userAgent: phone });
  const { context, page } = await open("/account/devices");
  const complaints = listen(page);
  const row = page.getByRole("listitem").filter({ hasText: "Safari on iPhone" });
  await row.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("status").getByText("That device is signed out").waitFor();
  assert.equal(await row.count(), 0);
  await lost.page.goto(`${cardea.issuer}/account`);
  await lost.page.waitForURL("**/signin**");
  await page.goto(`${cardea.issuer}/account/activity`);
  assert.match(await page.textContent("main"), /Signed out[\s\S]*Signed in[\s\S]*Safari on iPhone/);
  assert.deepEqual(complaints, []);
  await context.close();
  await lost.context.close();
});

test("without scripts everything works too, at 320 pixels and at twice the size", async () => {
  const { context, page } = await open("/account", { javaScriptEnabled: false, viewport: { width: 320, height: 640 }, deviceScaleFactor: 2 });
  await page.getByRole("link", { name: "Edit profile" }).click();
  await page.getByLabel("Displayed name").fill("Demo Q. Person");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("status").getByText("Your profile is saved").waitFor();
  await page.getByRole("link", { name: "Your account", exact: true }).first().click();
  await page.getByRole("heading", { name: "Hello, Demo Q. Person" }).waitFor();
  for (const link of ["Review devices", "All activity", "Review ways to sign in", "Change your password", "Review applications"]) {
    await page.getByRole("link", { name: link }).click();
    await page.getByRole("link", { name: "Your account", exact: true }).first().click();
  }
  await context.close();
});

test("a password manager finds where the password is changed, the hint helps, and the change signs others out", async () => {
  const other = await open("/account");
  const { context, page } = await open("/account/password");
  const complaints = listen(page);
  await page.goto(`${cardea.issuer}/.well-known/change-password`);
  await page.waitForURL("**/account/password");
  await page.getByLabel("New password").fill("qwertyuiopasdfghjkl");
  await page.getByText("Easy to guess").waitFor();
  await inspect(page, "account-password-weak");
  await page.getByLabel("New password").fill(next);
  await page.getByText("Very strong").waitFor();
  await page.getByLabel("Current password").fill(person.password);
  await page.getByRole("button", { name: "Change password" }).click();
  await page.getByRole("status").getByText("Your password is changed").waitFor();
  await other.page.goto(`${cardea.issuer}/account`);
  await other.page.waitForURL("**/signin**");
  assert.deepEqual(complaints, []);
  await context.close();
  await other.context.close();
});

test("“this wasn’t me” locks everybody out and says what to do next", async () => {
  const thief = await open("/account", {}, { ...person, password: next });
  const { context, page } = await open("/account", {}, { ...person, password: next });
  await page.getByRole("link", { name: "Something wasn’t me" }).click();
  await inspect(page, "account-not-me");
  await page.getByRole("button", { name: /lock my account down/ }).click();
  await page.getByRole("heading", { name: "Everybody is locked out" }).waitFor();
  await inspect(page, "account-not-me-done");
  await thief.page.goto(`${cardea.issuer}/account`);
  await thief.page.waitForURL("**/signin**");
  await page.getByRole("link", { name: "Sign in and choose a new password" }).click();
  await signIn(page, { ...person, password: next });
  await page.waitForURL("**/signin/mailed**"); // whoever knows the password shows the mailbox, too
  await page.locator('button[value="send"]').click();
  await page.waitForURL("**/signin/code**");
  await page.goto(await mailedCode());
  await page.locator('button[value="check"]').click();
  await page.getByRole("heading", { name: "Choose a new password" }).waitFor();
  await page.getByLabel("Current password").fill(next);
  await page.getByLabel("New password").fill(person.password);
  await page.getByRole("button", { name: "Save and sign in" }).click();
  await page.waitForURL("**/account/factors");
  const { items } = await cardea.admin("GET", "/events?action=incident.open");
  assert.ok(items.some((e) => e.data.detector === "not_me"), JSON.stringify(items));
  await context.close();
  await thief.context.close();
});
