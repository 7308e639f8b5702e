// The life of an account in a browser, with the letters that `cardea dev` shows: registering, a forgotten password, a changed
// address that is taken back, terms, leaving and coming back, an invitation.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { inspect, openBrowser, signIn } from "./lib/browser.mjs";
import { startCardea } from "./lib/cardea.mjs";

let cardea, browser;
before(async () => {
  [cardea, browser] = await Promise.all([startCardea(), openBrowser()]);
  await cardea.admin("PATCH", "/realm", { settings: { self_registration: "on" } });
});
after(async () => { await browser?.close(); await cardea?.close(); });

const password = "a heron reads the morning paper";
const another = "two herons read the evening paper";

async function tab() {
  const context = await browser.newContext({ locale: "en-GB" });
  return context.newPage();
}

/** The address in the newest letter to somebody that leads to a path, as the page of letters shows it. */
async function letter(page, to, path) {
  for (let tries = 0; tries < 80; tries++) {
    await page.goto(`${cardea.issuer}/dev/mail`);
    const mine = page.locator("a.pick").filter({ hasText: to });
    for (let i = 0; i < await mine.count(); i++) {
      await mine.nth(i).click();
      const link = page.locator(`pre.letter a[href*="${path}?"]`);
      if (await link.count()) return link.first().getAttribute("href");
      await page.goBack();
    }
    await page.waitForTimeout(100);
  }
  throw new Error(`no letter to ${to} leads to ${path}\n${cardea.log()}`);
}

async function register(page, address, name) {
  await page.goto(`${cardea.issuer}/signin`);
  await page.getByRole("link", { name: "Make an account" }).click();
  await page.locator("#to").fill(address);
  await page.getByRole("button", { name: "Send a link" }).click();
  await page.getByRole("heading", { name: "Look into your mailbox" }).waitFor();
  await page.goto(await letter(page, address, "/register/finish"));
  await page.locator("#name").fill(name);
  await page.locator("#password").fill(password);
}

async function enter(page, login, secret) {
  await page.goto(`${cardea.issuer}/signin`);
  await signIn(page, { login, password: secret });
  await page.waitForLoadState();
}

test("register, verify, sign in; forget the password and choose another", async () => {
  const page = await tab();
  await page.goto(`${cardea.issuer}/register`);
  await inspect(page, "register");
  await register(page, "new@example.com", "New One");
  await inspect(page, "newcomer");
  await page.getByRole("button", { name: "Make the account" }).click();
  await page.waitForURL("**/signin**");
  assert.equal(await page.locator('input[name="identifier"]').inputValue(), "new@example.com");
  await signIn(page, { login: "new@example.com", password });
  await page.waitForURL((url) => !url.pathname.startsWith("/signin"));
  assert.equal((await cardea.admin("GET", "/users/new@example.com")).emails[0].verified, true);

  const other = await tab();
  await other.goto(`${cardea.issuer}/signin`);
  await other.getByRole("link", { name: "Forgot your password?" }).click();
  await inspect(other, "forgot");
  await other.locator("#to").fill("new@example.com");
  await other.getByRole("button", { name: "Send a link" }).click();
  await other.getByRole("heading", { name: "Look into your mailbox" }).waitFor();
  await inspect(other, "sent");
  await other.goto(await letter(other, "new@example.com", "/set-password"));
  await other.locator("#password").fill(another);
  await other.locator("form .button").click();
  await other.waitForURL("**/signin?flow=**");
  await other.getByText("Your password is saved").waitFor();
  await page.goto(`${cardea.issuer}/account/data`);
  assert.match(page.url(), /\/signin/, "the reset ended the session");
  await enter(other, "new@example.com", another);
  assert.doesNotMatch(other.url(), /\/signin/);
});

test("change the address, and take the change back", async () => {
  const page = await tab();
  await register(page, "first@example.com", "First");
  await page.getByRole("button", { name: "Make the account" }).click();
  await page.waitForURL("**/signin**");
  await enter(page, "first@example.com", password);
  await page.goto(`${cardea.issuer}/account/email`);
  await inspect(page, "email");
  await page.locator("#to").fill("second@example.com");
  await page.getByRole("button", { name: "Change the address" }).click();
  await page.getByRole("status").waitFor();
  await page.goto(await letter(page, "second@example.com", "/account/email/confirm"));
  await inspect(page, "confirm");
  await page.getByRole("button", { name: "Confirm" }).click();
  await page.getByRole("heading", { name: "Your address is confirmed" }).waitFor();
  assert.equal((await cardea.admin("GET", "/users/second@example.com")).emails[0].verified, true);
  const owner = await tab();
  await owner.goto(await letter(owner, "first@example.com", "/undo-email"));
  await inspect(owner, "undo");
  await owner.getByRole("button", { name: "Take the change back" }).click();
  await owner.waitForURL("**/set-password**");
  await owner.locator("#password").fill(another);
  await owner.locator("form .button").click();
  await owner.waitForURL("**/signin?flow=**");
  await enter(owner, "first@example.com", another);
  assert.doesNotMatch(owner.url(), /\/signin/);
  assert.equal((await cardea.admin("GET", "/users/first@example.com")).emails.length, 1);
});

test("accept terms, take the data along, leave and come back", async () => {
  const page = await tab();
  await register(page, "leaver@example.com", "Leaver");
  await page.getByRole("button", { name: "Make the account" }).click();
  await page.waitForURL("**/signin**");
  const made = await cardea.admin("POST", "/terms", { document: "terms", version: "1", title: "Terms of service", text: "Be kind.\n".repeat(60) });
  await enter(page, "leaver@example.com", password);
  assert.match(page.url(), /\/signin\/terms/);
  await inspect(page, "terms");
  await page.getByRole("button", { name: "Accept" }).click();
  await page.waitForURL((url) => !url.pathname.startsWith("/signin"));
  const { items } = await cardea.admin("GET", `/terms/${made.id}/acceptances`);
  assert.equal(items.length, 1);
  await cardea.admin("DELETE", `/terms/${made.id}`);

  await page.goto(`${cardea.issuer}/account/data`);
  await inspect(page, "data");
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
  const data = JSON.parse(await readFile(await file.path(), "utf8"));
  assert.equal(data.profile.emails[0].address, "leaver@example.com");
  assert.equal(data.accepted_terms[0].version, "1");

  await page.locator('input[name="sure"]').check();
  await page.getByRole("button", { name: "Delete the account" }).click();
  await page.getByRole("heading", { name: "Your account is to be deleted" }).waitFor();
  await inspect(page, "farewell");
  assert.ok((await cardea.admin("GET", "/users/leaver@example.com")).deletes_at);
  await enter(page, "leaver@example.com", password);
  assert.match(page.url(), /\/signin\/keep/);
  await inspect(page, "keep");
  await page.getByRole("button", { name: "Keep my account" }).click();
  await page.waitForURL((url) => !url.pathname.startsWith("/signin"));
  assert.equal((await cardea.admin("GET", "/users/leaver@example.com")).deletes_at, undefined);
});

test("accept an invitation", async () => {
  await cardea.admin("POST", "/invitations", { email: "guest@example.com", name: "Guest" });
  const page = await tab();
  await page.goto(await letter(page, "guest@example.com", "/invitation"));
  await inspect(page, "invitation");
  assert.equal(await page.locator("#name").inputValue(), "Guest");
  await page.locator("#password").fill(password);
  await page.getByRole("button", { name: "Make the account" }).click();
  await page.waitForURL("**/signin**");
  await enter(page, "guest@example.com", password);
  assert.doesNotMatch(page.url(), /\/signin/);
});
