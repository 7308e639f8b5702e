// Cardea's own pages: accessible, in two languages, and deaf to what is
// smuggled into them or sent from elsewhere.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import * as jose from "jose";
import { inspect, listen, openBrowser, signIn } from "./lib/browser.mjs";
import { freePort, person, startCardea } from "./lib/cardea.mjs";
import { authenticatorApp } from "./lib/totp.mjs";

let cardea, browser;
before(async () => { [cardea, browser] = await Promise.all([startCardea(), openBrowser()]); });
after(async () => { await browser?.close(); await cardea?.close(); });

const authorize = (params) => `${cardea.issuer}/oauth2/authorize?` + new URLSearchParams({
  response_type: "code", client_id: "reflecting", redirect_uri: "http://127.0.0.1:1/callback", scope: "openid",
  code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", code_challenge_method: "S256", state: "s", ...params,
});

// What an attacker would love to see as markup (WB-02).
const marker = `"'><img src=x onerror=window.pwned=1><script>window.pwned=1</script>`;

test("pages are accessible: sign-in, wrong password, error, account chooser, sign-out, home", async () => {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  const complaints = listen(page);
  await page.goto(`${cardea.issuer}/signin`);
  await signIn(page, { ...person, password: "not the password at all" });
  await page.getByRole("alert").first().waitFor();
  await inspect(page, "signin-wrong");
  await page.getByRole("link", { name: "Staying safe" }).click();
  await page.getByRole("heading", { name: "How to spot a false site" }).waitFor();
  await inspect(page, "advice");
  await page.goto(`${cardea.issuer}/oauth2/authorize?client_id=nobody`);
  await inspect(page, "error");
  await page.goto(`${cardea.issuer}/signin`);
  await signIn(page);
  await page.waitForLoadState();
  await inspect(page, "home");
  for (const path of ["accounts", "signout", "account/devices", "account/activity", "account/applications", "account/password", "account/profile"]) {
    await page.goto(`${cardea.issuer}/${path}`);
    await inspect(page, path.replace("/", "-"));
  }
  // The two refusals above are the only thing the console may mention.
  assert.deepEqual(complaints.filter((c) => !/status of 4\d\d/.test(c)), []);
  await context.close();
});

// A code by mail, in the browser that asked and in another, and where a development node shows the letter itself.
test("pages are accessible: a code by mail", async () => {
  await cardea.admin("PATCH", "/realm", { settings: { email_sign_in: "on" } });
  const [context, elsewhere] = [await browser.newContext({ locale: "en-GB" }), await browser.newContext({ locale: "de-DE" })];
  const [page, other] = [await context.newPage(), await elsewhere.newPage()];
  const complaints = [...listen(page), ...listen(other)];
  await page.goto(`${cardea.issuer}/signin`);
  await inspect(page, "signin-mail");
  await page.locator('input[name="identifier"]').fill(person.login);
  await page.locator('button[value="mail"]').click();
  await page.waitForURL(/signin\/code/);
  await inspect(page, "mailcode");
  const letters = await context.newPage();
  const letter = letters.locator(".list a");
  for (const end = Date.now() + 20_000; Date.now() < end && !(await letter.count()); ) await letters.goto(`${cardea.issuer}/dev/mail`);
  await inspect(letters, "postbox");
  await letter.first().click();
  await letters.locator("iframe").waitFor();
  await inspect(letters, "postbox-letter");
  const link = await letters.locator("pre a").first().getAttribute("href");
  await other.goto(link);
  await inspect(other, "mailcode-elsewhere");
  await page.goto(link);
  await page.locator('button[value="check"]').click();
  await page.waitForURL((url) => !url.pathname.startsWith("/signin"));

  // The same shows that an unusual sign-in is its owner's.
  await cardea.admin("PATCH", "/realm", { settings: { email_sign_in: "off", risk_new_device: "step_up" } });
  const unusual = await browser.newContext({ locale: "en-GB", userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0" });
  const third = await unusual.newPage();
  complaints.push(...listen(third));
  await third.goto(`${cardea.issuer}/signin`);
  await signIn(third);
  await third.waitForURL("**/signin/mailed**");
  await inspect(third, "mailed");
  await third.locator('button[value="send"]').click();
  await third.waitForURL("**/signin/code**");
  await inspect(third, "mailed-code");
  await cardea.admin("PATCH", "/realm", { settings: { risk_new_device: "inform" } });
  assert.deepEqual(complaints, []);
  await Promise.all([context.close(), elsewhere.close(), unusual.close()]);
});

// Everything that a second factor takes, and what is left for who has none that would do.
test("pages are accessible: second factors", async () => {
  const { id: user } = await cardea.admin("GET", `/users/${person.login}`);
  await cardea.admin("PATCH", "/realm", { settings: { remember_device: "720h" } });
  await cardea.admin("POST", "/clients", {
    id: "vault", name: "Vault", type: "web", first_party: true, scopes: ["openid"], redirect_uris: ["http://127.0.0.1:1/callback"], grant_types: ["authorization_code"],
    least_acr: "aal3", factors: ["password", "totp"],
  });
  const [context, elsewhere] = [await browser.newContext({ locale: "en-GB" }), await browser.newContext({ locale: "de-DE" })];
  const [page, other] = [await context.newPage(), await elsewhere.newPage()];
  const complaints = [listen(page), listen(other)];
  await page.goto(`${cardea.issuer}/account/factors`);
  await signIn(page);
  await page.waitForURL("**/account/factors");
  await page.locator('button[name="add"][value="totp"]').click();
  await page.waitForURL("**/signin/enrol**");
  const key = await page.locator(".secret").textContent();
  const app = authenticatorApp(key);
  await page.locator('input[name="code"]').fill("000000");
  await page.locator('button[value="add"]').click();
  await page.getByRole("alert").waitFor();
  await page.locator("summary").click();
  assert.equal(await page.locator(".secret").textContent(), key, "a wrong code leaves the key as it is");
  await inspect(page, "totp-enrol-wrong");
  await page.locator('input[name="code"]').fill(await app.next());
  await page.locator('button[value="add"]').click();
  await page.locator('button[value="later"]').waitFor();
  await page.locator('button[value="add"]').click();
  await page.locator(".codes").waitFor();
  await inspect(page, "recovery-codes");
  await page.locator(".codes ~ p a").click();
  await page.waitForURL("**/account/factors");
  await inspect(page, "factors");
  await page.locator('button[name="add"][value="recovery"]').click();
  await page.waitForURL("**/signin/enrol**");
  await inspect(page, "recovery-enrol-again");

  await other.goto(`${cardea.issuer}/signin`);
  await signIn(other);
  await other.waitForURL("**/signin/factor**");
  await other.locator('input[name="code"]').fill("000000");
  await other.locator('button[value="check"]').click();
  await other.getByRole("alert").waitFor();
  await inspect(other, "totp-wrong");
  await other.locator(".others a").click();
  await other.waitForURL("**by=recovery**");
  await other.locator('input[name="code"]').fill("no such code");
  await other.locator('button[value="check"]').click();
  await other.getByRole("alert").waitFor();
  await inspect(other, "recovery-wrong");

  await page.goto(authorize({ client_id: "vault" }));
  await page.waitForURL("**/signin/stuck**");
  await inspect(page, "stuck");
  assert.deepEqual(complaints.flat().filter((c) => !/status of 4(03|22)/.test(c)), []);
  const { items } = await cardea.admin("GET", `/users/${user}/credentials`);
  for (const one of items.filter((c) => !["password", "email"].includes(c.type))) await cardea.admin("DELETE", `/users/${user}/credentials/${one.id}`);
  await Promise.all([context.close(), elsewhere.close()]);
});

// What cannot go back to the application is told to the person: a request that was signed by nobody, or by somebody else
// (RFC 9101), that has no address any more (RFC 9126), that must be signed, or in detail of a kind that there is not (RFC 9396).
test("pages are accessible: requests that cannot be answered", async () => {
  const { privateKey, publicKey } = await jose.generateKeyPair("ES256");
  const jwk = { ...(await jose.exportJWK(publicKey)), kid: "k1", alg: "ES256", use: "sig" };
  const stranger = await jose.generateKeyPair("ES256");
  await cardea.admin("POST", "/clients", {
    id: "signing", name: "Signing application", type: "web", scopes: ["openid"], redirect_uris: ["http://127.0.0.1:1/callback"], grant_types: ["authorization_code"],
    jwks: JSON.stringify({ keys: [jwk] }), request_object_signing_alg: "ES256", require_signed_request_object: true,
  });
  const sign = (key, claims) => new jose.SignJWT({ client_id: "signing", response_type: "code", redirect_uri: "http://127.0.0.1:1/callback", scope: "openid", ...claims })
    .setProtectedHeader({ alg: "ES256", kid: "k1", typ: "oauth-authz-req+jwt" }).setIssuer("signing").setAudience(cardea.issuer).setIssuedAt().setNotBefore("0s").setExpirationTime("1m").sign(key);
  const at = (params) => `${cardea.issuer}/oauth2/authorize?` + new URLSearchParams({ client_id: "signing", ...params });
  for (const locale of ["en-GB", "de-DE"]) {
    const context = await browser.newContext({ locale });
    const page = await context.newPage();
    const complaints = listen(page);
    for (const [name, url] of [
      ["nobody", at({ request: "x.y.z" })],
      ["stranger", at({ request: await sign(stranger.privateKey) })],
      ["elsewhere", at({ request: await sign(privateKey, { redirect_uri: "http://127.0.0.1:1/another" }) })],
      ["gone", at({ request_uri: "urn:ietf:params:oauth:request_uri:gone" })],
      ["unregistered", at({ request_uri: "https://app.example/request" })],
      ["unsigned", at({ response_type: "code", redirect_uri: "http://127.0.0.1:1/another", scope: "openid" })],
    ]) {
      const response = await page.goto(url);
      assert.equal(response.status(), 400, name);
      assert.ok(page.url().startsWith(cardea.issuer), `${name} goes nowhere`);
      assert.equal(await page.locator("h1").count(), 1, name);
      if (locale === "en-GB") await inspect(page, `request-${name}`);
    }
    assert.deepEqual(complaints.filter((c) => !/status of 400/.test(c)), []);
    await context.close();
  }
});

test("pages speak the browser's language", async () => {
  const seen = new Map();
  for (const locale of ["en-GB", "de-DE"]) {
    const context = await browser.newContext({ locale });
    const page = await context.newPage();
    await page.goto(`${cardea.issuer}/signin`);
    seen.set(locale, { lang: await page.getAttribute("html", "lang"), title: await page.title() });
    await inspect(page, `signin-${locale}`);
    await context.close();
  }
  assert.match(seen.get("en-GB").lang, /^en/);
  assert.match(seen.get("de-DE").lang, /^de/);
  assert.notEqual(seen.get("en-GB").title, seen.get("de-DE").title);
});

test("whatever a request brings is text on the page, never markup (WB-02)", async () => {
  await cardea.admin("POST", "/clients", {
    id: "reflecting", name: marker, type: "web", scopes: ["openid", "profile"],
    redirect_uris: ["http://127.0.0.1:1/callback"], grant_types: ["authorization_code"],
  });
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  const intact = async (where) => {
    assert.equal(await page.evaluate(() => window.pwned), undefined, where);
    assert.equal(await page.locator('img[src="x"]').count(), 0, where);
  };
  for (const [where, url] of [
    ["login_hint and state", authorize({ login_hint: marker, state: marker })],
    ["unknown client", authorize({ client_id: marker })],
    ["redirect URI", authorize({ redirect_uri: "http://127.0.0.1/" + marker })],
    ["ui_locales", authorize({ ui_locales: marker })],
    ["flow", `${cardea.issuer}/signin?flow=${encodeURIComponent(marker)}`],
    ["link", `${cardea.issuer}/setup?link=${encodeURIComponent(marker)}`],
    ["register link", `${cardea.issuer}/register/finish?link=${encodeURIComponent(marker)}&flow=${encodeURIComponent(marker)}`],
    ["invitation", `${cardea.issuer}/invitation?link=${encodeURIComponent(marker)}`],
    ["undo", `${cardea.issuer}/undo-email?link=${encodeURIComponent(marker)}`],
    ["password link", `${cardea.issuer}/set-password?link=${encodeURIComponent(marker)}`],
    ["user code", `${cardea.issuer}/device?user_code=${encodeURIComponent(marker)}`],
    ["sign-out", `${cardea.issuer}/oauth2/logout?state=${encodeURIComponent(marker)}&post_logout_redirect_uri=${encodeURIComponent(marker)}`],
  ]) {
    await page.goto(url);
    await intact(where);
  }
  // A failed sign-in shows what was typed; the consent page shows the client's name.
  await page.goto(authorize({ scope: "openid profile" }));
  await page.locator('input[name="identifier"]').fill(marker);
  await page.locator('input[name="password"]').fill("wrong wrong wrong wrong");
  await page.locator('input[name="password"]').press("Enter");
  await page.getByRole("alert").first().waitFor();
  await intact("identifier");
  await signIn(page);
  await page.waitForURL("**/consent**");
  assert.ok((await page.textContent("body")).includes(marker), "the consent page names the client as it is");
  await intact("client name");
  await context.close();
});

test("another site cannot make a signed-in browser change anything (WB-03)", async () => {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  await page.goto(`${cardea.issuer}/signin`);
  await signIn(page);
  await page.waitForLoadState();

  const port = await freePort();
  const evil = createServer((request, response) => {
    const to = new URL(request.url, "http://evil").searchParams.get("to");
    response.setHeader("Content-Type", "text/html");
    response.end(`<form method="post" action="${to}"><input name="do" value="everywhere"><input name="account" value="all"></form>`);
  }).listen(port, "127.0.0.1");
  try {
    for (const path of ["/signout", "/accounts", "/consent", "/signin", "/setup", "/set-password", "/device", "/account/approvals",
      "/account/devices", "/account/applications", "/account/password", "/account/profile", "/forgot", "/register", "/register/finish",
      "/invitation", "/undo-email", "/console/playground", "/console/roles", "/account/email", "/account/email/confirm", "/account/data", "/account/delete"]) {
      const tab = await context.newPage();
      await tab.goto(`http://127.0.0.1:${port}/?to=${encodeURIComponent(cardea.issuer + path)}`);
      const [response] = await Promise.all([
        tab.waitForResponse((r) => r.url().startsWith(cardea.issuer + path)),
        tab.evaluate(() => document.forms[0].submit()),
      ]);
      await tab.close();
      assert.ok(response.status() >= 400 && response.status() < 500, `${path} answered ${response.status()}`);
    }
    await page.goto(`${cardea.issuer}/`);
    assert.match(await page.textContent("body"), /demo@example\.com|Demo/i, "still signed in");
  } finally {
    evil.close();
  }
  await context.close();
});
