// The back channel (OpenID Connect CIBA) with a client of its own https address,
// and a person who decides at /account/approvals in a real browser.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:https";
import { join } from "node:path";
import { after, before, test } from "node:test";
import * as jose from "jose";
import * as oidc from "openid-client";
import { inspect, listen, openBrowser, signIn } from "./lib/browser.mjs";
import { freePort, startCardea } from "./lib/cardea.mjs";

const notification = "8d67dc78-7faa-4d41-aabd-67707b374255";
const ciba = "urn:openid:params:grant-type:ciba";

let cardea, browser, phone, page, complaints;
before(async () => {
  [cardea, browser] = await Promise.all([startCardea({}, { tls: true }), openBrowser()]);
  phone = await browser.newContext({ locale: "en-GB", ignoreHTTPSErrors: true });
  page = await phone.newPage();
  complaints = listen(page);
  await page.goto(`${cardea.issuer}/account/approvals`);
  await signIn(page);
  await page.waitForURL("**/account/approvals");
});
after(async () => { await browser?.close(); await cardea?.close(); });

/** A bank: a client with an https address at which it is told. */
async function bank(id, mode) {
  const [cert, key] = await Promise.all(["crt", "key"].map((kind) => readFile(join(cardea.dir, `localhost.${kind}`)))); // which Cardea trusts
  const told = [];
  let refuse = 0;
  const waiting = [];
  const server = createServer({ cert, key }, async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    if (refuse > 0) {
      refuse--;
      return response.writeHead(503).end();
    }
    const heard = { path: request.url, method: request.method, type: request.headers["content-type"], bearer: request.headers.authorization, body: JSON.parse(body) };
    (waiting.shift() ?? ((h) => told.push(h)))(heard);
    response.writeHead(204).end();
  });
  const port = await freePort();
  await new Promise((done) => server.listen(port, "localhost", done));
  const made = await cardea.admin("POST", "/clients", {
    id, name: "Bank on the telephone", type: "web", grant_types: [ciba, "refresh_token"], scopes: ["openid", "email", "offline_access"], resources: ["https://bank.example/api"], authorization_details_types: mode === "ping" ? ["payment"] : [],
    backchannel_token_delivery_mode: mode, backchannel_client_notification_endpoint: `https://localhost:${port}/told`,
  });
  const config = await oidc.discovery(new URL(cardea.issuer), id, undefined, oidc.ClientSecretBasic(made.secret), { [oidc.customFetch]: cardea.fetch });
  config[oidc.customFetch] = cardea.fetch;
  return {
    config, told,
    refuse: (times) => { refuse = times; },
    ask: (more) => oidc.initiateBackchannelAuthentication(config, {
      scope: "openid email offline_access", login_hint: "demo@example.com", client_notification_token: notification, ...more,
    }),
    /** What it is told next, within half a minute. */
    next: () => told.length ? Promise.resolve(told.shift()) : new Promise((done, fail) => {
      waiting.push(done);
      setTimeout(() => fail(new Error("nothing arrived within half a minute")), 30_000).unref();
    }),
    close: () => { server.closeAllConnections(); server.close(); },
  };
}

/** Decides the one request that waits. */
async function decide(button, message) {
  await page.goto(`${cardea.issuer}/account/approvals`);
  const asked = page.locator("section.asked", { hasText: message });
  await asked.getByRole("button", { name: button }).click();
  await page.getByRole("status").waitFor();
}

test("ping: the client is told that there is an answer, and fetches it", async () => {
  await cardea.admin("PUT", "/authorization-detail-types/payment", {
    schema: JSON.stringify({ required: ["amount", "to"], properties: { amount: { type: "string" }, to: { type: "string" } } }), words: { en: "Pay {amount} to {to}" },
  });
  const client = await bank("bank-ping", "ping");
  const details = [{ type: "payment", amount: "123.50 EUR", to: "Merchant <A>", iban: "DE02100100109307118603" }];
  const asked = await client.ask({ binding_message: "W4-SCT", authorization_details: JSON.stringify(details), resource: "https://bank.example/api" });
  assert.ok(asked.auth_req_id && asked.interval === 5);
  await page.goto(`${cardea.issuer}/account/approvals`);
  const words = await page.textContent("main");
  for (const said of ["Bank on the telephone", "W4-SCT", "Pay 123.50 EUR to Merchant <A>", "https://bank.example/api", "email address", "127.0.0.1", "just now"]) {
    assert.ok(words.includes(said), `the page says ${said}: ${words}`);
  }
  await page.locator("summary").click();
  await inspect(page, "approvals-details");
  assert.deepEqual(client.told, [], "nothing is told before the decision");
  await decide("Allow", "W4-SCT");
  const heard = await client.next();
  assert.deepEqual(heard, { path: "/told", method: "POST", type: "application/json", bearer: `Bearer ${notification}`, body: { auth_req_id: asked.auth_req_id } });
  const tokens = await oidc.pollBackchannelAuthenticationGrant(client.config, asked);
  assert.equal(tokens.claims().aud, "bank-ping");
  assert.equal(jose.decodeJwt(tokens.access_token).client_id, "bank-ping");
  assert.deepEqual(tokens.authorization_details, details);
  assert.ok((await oidc.refreshTokenGrant(client.config, tokens.refresh_token)).refresh_token);

  const refused = await client.ask({ binding_message: "NO-NO" });
  await decide("Refuse", "NO-NO");
  assert.equal((await client.next()).body.auth_req_id, refused.auth_req_id);
  await assert.rejects(oidc.pollBackchannelAuthenticationGrant(client.config, refused), (e) => e.error === "access_denied");
  client.close();
});

test("push: the client is told all, once it can hear", async () => {
  const client = await bank("bank-push", "push");
  const asked = await client.ask({ binding_message: "R2-D2" });
  client.refuse(1);
  await decide("Allow", "R2-D2");
  const { body, bearer } = await client.next();
  assert.equal(bearer, `Bearer ${notification}`);
  assert.equal(body.auth_req_id, asked.auth_req_id);
  const keys = jose.createLocalJWKSet(await (await cardea.fetch(`${cardea.issuer}/oauth2/jwks`)).json());
  const { payload } = await jose.jwtVerify(body.id_token, keys, { issuer: cardea.issuer, audience: "bank-push" });
  assert.equal(payload["urn:openid:params:jwt:claim:auth_req_id"], asked.auth_req_id);
  assert.ok(payload["urn:openid:params:jwt:claim:rt_hash"] && payload.at_hash);
  const info = await oidc.fetchUserInfo(client.config, body.access_token, payload.sub);
  assert.equal(info.email, "demo@example.com");
  assert.ok((await oidc.refreshTokenGrant(client.config, body.refresh_token)).access_token);

  const refused = await client.ask({ binding_message: "C-3PO" });
  await decide("Refuse", "C-3PO");
  assert.deepEqual(Object.keys((await client.next()).body).sort(), ["auth_req_id", "error", "error_description"], refused.auth_req_id);
  assert.deepEqual(client.told, []);
  assert.deepEqual(complaints, []);
  client.close();
});
