// Second factors in a real browser, with codes of an app that other people wrote: added, asked for, never taken twice, replaced
// by a code for recovery, and demanded by an application in the middle of a session.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as oidc from "openid-client";
import { listen, openBrowser, signIn } from "./lib/browser.mjs";
import { person, startCardea } from "./lib/cardea.mjs";
import { authenticatorApp } from "./lib/totp.mjs";

const redirect = "https://app.example/callback";

let cardea, browser, config;
before(async () => {
  [cardea, browser] = await Promise.all([startCardea(), openBrowser()]);
  const { client, secret } = await cardea.admin("POST", "/clients", {
    id: "bank", name: "Bank", type: "web", first_party: true, redirect_uris: [redirect], grant_types: ["authorization_code"], scopes: ["openid"],
  });
  config = await oidc.discovery(new URL(cardea.issuer), client.id, undefined, oidc.ClientSecretBasic(secret), { execute: [oidc.allowInsecureRequests] });
});
after(async () => { await browser?.close(); await cardea?.close(); });

async function tab() {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  await page.route("https://app.example/**", (route) => route.fulfill({ status: 200, contentType: "text/html", body: "<title>application</title>" }));
  return { context, page };
}

/**
 * Asks for a sign-in as the application does; the answer is claims of the ID token, once the browser is back. With prompt=none
 * that is at once.
 */
async function ask(page, more) {
  const verifier = oidc.randomPKCECodeVerifier();
  const state = oidc.randomState();
  const { href } = oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirect, scope: "openid", state, ...more,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
  });
  let back;
  if (more?.prompt === "none") back = (await page.context().request.get(href, { maxRedirects: 0 })).headers().location;
  else await page.goto(href);
  return async () => {
    if (!back) await page.waitForURL("https://app.example/**");
    const tokens = await oidc.authorizationCodeGrant(config, new URL(back ?? page.url()), { pkceCodeVerifier: verifier, expectedState: state, idTokenExpected: true });
    return tokens.claims();
  };
}

const at = (page, path) => page.waitForURL((url) => url.pathname === path);

async function answer(page, code) {
  await page.locator('input[name="code"]').fill(code);
  await page.locator('button[name="do"][value="check"]').click();
}

/** The app of a page that adds one, which has read the key there. */
async function addApp(page, algorithm, name) {
  await page.getByText("I can’t scan it").click();
  const uri = new URL(await page.getByRole("link", { name: "Open in an app" }).getAttribute("href"));
  assert.equal(uri.searchParams.get("algorithm"), algorithm);
  const key = (await page.locator(".secret").textContent()).replaceAll(" ", "");
  assert.equal(uri.searchParams.get("secret"), key, "both ways say the same");
  const app = authenticatorApp(key, algorithm);
  await page.locator('input[name="name"]').fill(name);
  await page.locator('input[name="code"]').fill(await app.next());
  await page.locator('button[name="do"][value="add"]').click();
  return app;
}

let app;
let codes;

test("an authenticator app is added after the password, and codes for recovery are offered", async () => {
  const { context, page } = await tab();
  const complaints = listen(page);
  await page.goto(`${cardea.issuer}/account/factors`);
  await signIn(page);
  await at(page, "/account/factors");
  await page.locator('button[name="add"][value="totp"]').click();
  await at(page, "/signin/enrol");
  app = await addApp(page, "SHA1", "Old phone");
  await page.getByRole("heading", { name: "Get recovery codes" }).waitFor();
  await page.locator('button[name="do"][value="add"]').click();
  await page.locator(".codes li").first().waitFor();
  codes = await page.locator(".codes li").allTextContents();
  assert.equal(new Set(codes).size, 10);
  await page.getByRole("link", { name: "I have kept them" }).click();
  await at(page, "/account/factors");
  assert.match(await page.textContent("main"), /Old phone/);
  assert.deepEqual(complaints, []);

  await page.goto(`${cardea.issuer}/signout`);
  await page.locator('main button[name="do"]').first().click();
  await page.waitForLoadState();
  await page.goto(`${cardea.issuer}/account`);
  await at(page, "/signin");
  await context.close();
});

test("a code opens a sign-in once", async () => {
  const one = await tab();
  const claims = await ask(one.page);
  await signIn(one.page);
  await at(one.page, "/signin/factor");
  const code = await app.next();
  await answer(one.page, code);
  const got = await claims();
  assert.equal(got.acr, "aal2", "a second factor counts, whether or not it was asked for");
  assert.deepEqual([...got.amr].sort(), ["mfa", "otp", "pwd"]);
  await one.context.close();

  const again = await tab();
  await again.page.goto(`${cardea.issuer}/account`);
  await signIn(again.page);
  await at(again.page, "/signin/factor");
  await answer(again.page, code);
  await again.page.getByRole("alert").waitFor();
  assert.equal(new URL(again.page.url()).pathname, "/signin/factor", "a code that was used opens nothing");
  await again.page.goto(`${cardea.issuer}/account`);
  await at(again.page, "/signin");
  await again.context.close();
});

test("a code for recovery opens a sign-in once", async () => {
  for (const [code, opens] of [[codes[0], true], [codes[0], false], [codes[1].toLowerCase(), true]]) {
    const { context, page } = await tab();
    await page.goto(`${cardea.issuer}/account`);
    await signIn(page);
    await at(page, "/signin/factor");
    await page.getByRole("link", { name: "Recovery code" }).click();
    await page.getByRole("heading", { name: "Enter a recovery code" }).waitFor();
    await answer(page, code);
    if (opens) await at(page, "/account");
    else await page.getByRole("alert").filter({ hasText: "Try another one" }).waitFor();
    await context.close();
  }
});

test("an application demands a second factor in the middle of a session", async () => {
  // Somebody with nothing but a password, until the bank asks for more.
  await forget();
  const { context, page } = await tab();
  const plain = await ask(page);
  await signIn(page);
  const before = await plain();
  assert.equal(before.acr, "aal1");

  const raised = await ask(page, { acr_values: "aal2" });
  await at(page, "/signin/enrol");
  assert.match(await page.textContent("main"), /Bank/, "the page says who wants it");
  const choice = page.getByRole("link", { name: "Authenticator app" });
  if (await choice.count()) await choice.click();
  app = await addApp(page, "SHA1", "New phone");
  await page.getByRole("heading", { name: "Get recovery codes" }).waitFor();
  await page.locator('button[name="do"][value="later"]').click();
  const after = await raised();
  assert.equal(after.acr, "aal2");
  assert.equal(after.sub, before.sub);
  assert.ok(after.auth_time >= before.auth_time);

  // It holds for the session; another session of the same person has yet to show it.
  assert.equal((await (await ask(page, { acr_values: "aal2", prompt: "none" }))()).acr, "aal2");
  await context.close();

  const other = await tab();
  await other.page.goto(`${cardea.issuer}/signin`);
  const asked = await ask(other.page, { acr_values: "aal2" });
  await signIn(other.page);
  await at(other.page, "/signin/factor");
  await answer(other.page, await app.next());
  assert.equal((await asked()).acr, "aal2");
  await other.context.close();
});

test("apps with SHA-256 and SHA-512 prove as much", async () => {
  for (const algorithm of ["SHA256", "SHA512"]) {
    await forget();
    await cardea.admin("PATCH", "/realm", { settings: { totp_algorithm: algorithm } });
    const { context, page } = await tab();
    await page.goto(`${cardea.issuer}/account/factors`);
    await signIn(page);
    await at(page, "/account/factors");
    await page.locator('button[name="add"][value="totp"]').click();
    await at(page, "/signin/enrol");
    const strong = await addApp(page, algorithm, algorithm);
    await page.locator('button[name="do"][value="later"]').click();
    await at(page, "/account/factors");
    await context.close();

    const other = await tab();
    await other.page.goto(`${cardea.issuer}/account`);
    await signIn(other.page);
    await at(other.page, "/signin/factor");
    await answer(other.page, await strong.next());
    await at(other.page, "/account");
    await other.context.close();
  }
});

/** Takes all second factors from the person, as an operator does for who lost them. */
async function forget() {
  const { id } = await cardea.admin("GET", `/users/${person.login}`);
  const { items } = await cardea.admin("GET", `/users/${id}/credentials`);
  for (const one of items.filter((c) => c.type !== "password")) await cardea.admin("DELETE", `/users/${id}/credentials/${one.id}`);
}
