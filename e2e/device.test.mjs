// The device authorization grant (RFC 8628): clients that other people wrote
// wait while a person uses the page in a real browser.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as jose from "jose";
import * as oauth from "oauth4webapi";
import * as oidc from "openid-client";
import { allow, inspect, listen, openBrowser, signIn } from "./lib/browser.mjs";
import { startCardea } from "./lib/cardea.mjs";

let cardea, browser;
before(async () => {
  [cardea, browser] = await Promise.all([startCardea(), openBrowser()]);
  await cardea.admin("POST", "/clients", {
    id: "television", name: "Television in the living room", type: "native", token_endpoint_auth_method: "none",
    grant_types: ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"], scopes: ["openid", "email", "offline_access"],
  });
});
after(async () => { await browser?.close(); await cardea?.close(); });

const television = () => oidc.discovery(new URL(cardea.issuer), "television", undefined, oidc.None(), { execute: [oidc.allowInsecureRequests] });

/** A fresh browser on somebody's phone. */
async function phone() {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  return { context, page, complaints: listen(page) };
}

test("openid-client waits until a person has typed the code, signed in and agreed", async () => {
  const config = await television();
  assert.equal(config.serverMetadata().device_authorization_endpoint, `${cardea.issuer}/oauth2/device_authorization`);
  const asked = await oidc.initiateDeviceAuthorization(config, { scope: "openid email offline_access" });
  assert.match(asked.user_code, /^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$/);
  const polling = oidc.pollDeviceAuthorizationGrant(config, asked);

  const { context, page, complaints } = await phone();
  await page.goto(asked.verification_uri);
  await inspect(page, "device");
  await page.getByLabel("Code on your device").fill("bbbb bbbb");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("alert").waitFor();
  await inspect(page, "device-wrong");
  await page.getByLabel("Code on your device").fill(asked.user_code.toLowerCase().replace("-", " "));
  await page.getByRole("button", { name: "Continue" }).click();
  await signIn(page);
  await page.waitForURL("**/consent**");
  const words = await page.textContent("main");
  for (const said of ["Television in the living room", asked.user_code, "127.0.0.1", "just now", "another device"]) {
    assert.ok(words.includes(said), `the consent page says ${said}: ${words}`);
  }
  await inspect(page, "device-consent");
  await allow(page);
  await page.getByRole("heading", { name: "Your device is connected" }).waitFor();
  await inspect(page, "device-allowed");
  assert.deepEqual(complaints.filter((c) => !/status of 422/.test(c)), []);
  await context.close();

  const tokens = await polling;
  assert.equal(tokens.claims().aud, "television");
  assert.ok(tokens.refresh_token);
  const info = await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
  assert.equal(info.email, "demo@example.com");
  const next = await oidc.refreshTokenGrant(config, tokens.refresh_token);
  assert.equal(jose.decodeJwt(next.access_token).client_id, "television");
});

test("oauth4webapi: a code from a link is compared, a refusal arrives, and a code is good once", async () => {
  const insecure = { [oauth.allowInsecureRequests]: true };
  const as = await oauth.processDiscoveryResponse(new URL(cardea.issuer), await oauth.discoveryRequest(new URL(cardea.issuer), insecure));
  const client = { client_id: "television" };
  const begin = async () => oauth.processDeviceAuthorizationResponse(as, client,
    await oauth.deviceAuthorizationRequest(as, client, oauth.None(), { scope: "openid" }, insecure));
  const poll = async (code) => {
    const response = await oauth.deviceCodeGrantRequest(as, client, oauth.None(), code, insecure);
    try {
      return await oauth.processDeviceCodeResponse(as, client, response);
    } catch (error) {
      return error.error ?? String(error);
    }
  };
  const refused = await begin();
  assert.equal(await poll(refused.device_code), "authorization_pending");
  assert.equal(await poll(refused.device_code), "slow_down");

  const { context, page, complaints } = await phone();
  await page.goto(refused.verification_uri_complete);
  assert.ok((await page.textContent("main")).includes(refused.user_code));
  await inspect(page, "device-compare");
  await page.getByRole("button", { name: "Continue" }).click();
  await signIn(page);
  await page.waitForURL("**/consent**");
  await page.locator('button[name="do"][value="deny"]').click();
  await page.getByRole("heading", { name: "Nothing was allowed" }).waitFor();
  await inspect(page, "device-denied");
  assert.equal(await poll(refused.device_code), "access_denied");

  // Signed in already, and with the keyboard alone.
  const allowed = await begin();
  await page.goto(allowed.verification_uri);
  await page.keyboard.type(allowed.user_code);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/consent**");
  await allow(page);
  await page.getByRole("heading", { name: "Your device is connected" }).waitFor();
  const tokens = await poll(allowed.device_code);
  assert.ok(tokens.access_token);
  assert.equal(await poll(allowed.device_code), "invalid_grant");

  // A request that was answered is closed, also for whoever still has the page.
  const raced = await begin();
  const second = await context.newPage();
  for (const tab of [page, second]) {
    await tab.goto(raced.verification_uri_complete);
    await tab.getByRole("button", { name: "Continue" }).click();
    await tab.waitForURL("**/consent**");
  }
  await allow(page);
  await page.getByRole("heading", { name: "Your device is connected" }).waitFor();
  await second.locator('button[name="do"][value="deny"]').click();
  await second.getByRole("heading", { name: "This request is closed" }).waitFor();
  await inspect(second, "device-closed");
  assert.ok((await poll(raced.device_code)).access_token);
  assert.deepEqual(complaints, []);
  await context.close();
});

test("openid-client: somebody is asked by the back channel and decides on a page of their own", async () => {
  const { client, secret } = await cardea.admin("POST", "/clients", {
    id: "call-centre", name: "Call centre", type: "web", grant_types: ["urn:openid:params:grant-type:ciba", "refresh_token"], scopes: ["openid", "email", "offline_access"],
  });
  const config = await oidc.discovery(new URL(cardea.issuer), client.id, undefined, oidc.ClientSecretBasic(secret), { execute: [oidc.allowInsecureRequests] });
  assert.ok(config.serverMetadata().backchannel_token_delivery_modes_supported.includes("poll"));
  const ask = (message) => oidc.initiateBackchannelAuthentication(config, { scope: "openid email offline_access", login_hint: "demo@example.com", binding_message: message });
  const asked = await ask("Ticket 4711");
  const polling = oidc.pollBackchannelAuthenticationGrant(config, asked);

  const { context, page, complaints } = await phone();
  await page.goto(`${cardea.issuer}/account/approvals`);
  await signIn(page);
  await page.getByRole("heading", { name: "Requests for you" }).waitFor();
  const words = await page.textContent("main");
  for (const said of ["Call centre", "Ticket 4711", "See your email address", "127.0.0.1"]) assert.ok(words.includes(said), `the page says ${said}: ${words}`);
  const second = await ask("Ticket 4712");
  await page.goto(`${cardea.issuer}/`);
  await page.getByRole("link", { name: "2 requests wait for you" }).click();
  await inspect(page, "approvals");
  const one = page.locator("section", { hasText: "Ticket 4711" });
  await one.getByRole("button", { name: "Allow" }).click();
  await page.getByRole("status").waitFor();
  await inspect(page, "approvals-allowed");
  const tokens = await polling;
  assert.equal(tokens.claims().aud, "call-centre");
  const info = await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
  assert.equal(info.email, "demo@example.com");

  await page.locator("section", { hasText: "Ticket 4712" }).getByRole("button", { name: "Refuse" }).click();
  await page.getByText("You have refused it.").waitFor();
  await inspect(page, "approvals-none");
  await assert.rejects(oidc.pollBackchannelAuthenticationGrant(config, second), (e) => e.error === "access_denied");
  assert.deepEqual(complaints, []);
  await context.close();
});
