// Sender-constrained tokens (RFC 9449) with clients that other people wrote,
// through a real browser sign-in.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as jose from "jose";
import * as oauth from "oauth4webapi";
import * as oidc from "openid-client";
import { openBrowser, signIn } from "./lib/browser.mjs";
import { startCardea } from "./lib/cardea.mjs";

const redirect = "https://app.example/callback";
const settings = {
  name: "Bound", type: "web", first_party: true, redirect_uris: [redirect], dpop_bound_access_tokens: true,
  grant_types: ["authorization_code", "refresh_token"], scopes: ["openid", "email", "offline_access"],
};

let cardea, browser;
before(async () => { [cardea, browser] = await Promise.all([startCardea(), openBrowser()]); });
after(async () => { await browser?.close(); await cardea?.close(); });

/** Sends a fresh browser to an authorization URL and gives the address it ends at. */
async function arrive(url) {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  await page.route("https://app.example/**", (route) => route.fulfill({ status: 200, contentType: "text/html", body: "<title>application</title>" }));
  await page.goto(url.href);
  await signIn(page);
  await page.waitForURL("https://app.example/**");
  const arrived = new URL(page.url());
  await context.close();
  return arrived;
}

const userinfo = (token, scheme) => fetch(`${cardea.issuer}/oauth2/userinfo`, { headers: { Authorization: `${scheme} ${token}` } });

test("openid-client: a public client's tokens are worth nothing without its key", async () => {
  const { client } = await cardea.admin("POST", "/clients", { id: "bound-native", ...settings, type: "native", token_endpoint_auth_method: "none" });
  const config = await oidc.discovery(new URL(cardea.issuer), client.id, undefined, oidc.None(), { execute: [oidc.allowInsecureRequests] });
  assert.ok(config.serverMetadata().dpop_signing_alg_values_supported.includes("ES256"));
  const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair("ES256"));
  const verifier = oidc.randomPKCECodeVerifier();
  const state = oidc.randomState();
  const answer = await arrive(oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirect, scope: "openid email offline_access", state, dpop_jkt: await DPoP.calculateThumbprint(),
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
  }));
  const tokens = await oidc.authorizationCodeGrant(config, answer, { pkceCodeVerifier: verifier, expectedState: state, idTokenExpected: true }, undefined, { DPoP });
  assert.equal(tokens.token_type, "dpop");
  assert.equal(jose.decodeJwt(tokens.access_token).cnf.jkt, await DPoP.calculateThumbprint());
  const info = await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub, { DPoP });
  assert.equal(info.email, "demo@example.com");

  assert.equal((await userinfo(tokens.access_token, "Bearer")).status, 401, "as a bearer token");
  assert.equal((await userinfo(tokens.access_token, "DPoP")).status, 401, "without a proof");
  const thief = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair("ES256"));
  await assert.rejects(oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub, { DPoP: thief }), "with another key");

  await assert.rejects(oidc.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP: thief }), (e) => e.error === "invalid_grant");
  const next = await oidc.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
  assert.equal(next.token_type, "dpop");
});

test("openid-client: a code is bound to the key that the authorization request names", async () => {
  const { client, secret } = await cardea.admin("POST", "/clients", { id: "bound-code", ...settings });
  const config = await oidc.discovery(new URL(cardea.issuer), client.id, { client_secret: secret }, oidc.ClientSecretBasic(secret), { execute: [oidc.allowInsecureRequests] });
  const [mine, other] = await Promise.all([1, 2].map(async () => oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair("ES256"))));
  const verifier = oidc.randomPKCECodeVerifier();
  const state = oidc.randomState();
  const answer = await arrive(oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirect, scope: "openid", state, dpop_jkt: await mine.calculateThumbprint(),
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
  }));
  const checks = { pkceCodeVerifier: verifier, expectedState: state, idTokenExpected: true };
  await assert.rejects(oidc.authorizationCodeGrant(config, answer, checks, undefined, { DPoP: other }), (e) => e.error === "invalid_grant");
  const tokens = await oidc.authorizationCodeGrant(config, answer, checks, undefined, { DPoP: mine });
  assert.equal(tokens.token_type, "dpop");
});

test("oauth4webapi: client_credentials with a nonce of the server's", async () => {
  const made = await cardea.admin("POST", "/clients", {
    id: "bound-worker", name: "Worker", type: "service", grant_types: ["client_credentials"], scopes: ["read"], resources: ["https://api.example"],
    dpop_bound_access_tokens: true, dpop_require_nonce: true,
  });
  const insecure = { [oauth.allowInsecureRequests]: true };
  const as = await oauth.processDiscoveryResponse(new URL(cardea.issuer), await oauth.discoveryRequest(new URL(cardea.issuer), insecure));
  const client = { client_id: made.client.id };
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair("ES256"));
  const ask = () => oauth.clientCredentialsGrantRequest(as, client, oauth.ClientSecretBasic(made.secret), { scope: "read" }, { ...insecure, DPoP });
  let refused;
  try {
    await oauth.processClientCredentialsResponse(as, client, await ask());
  } catch (error) {
    refused = error;
  }
  assert.ok(refused && oauth.isDPoPNonceError(refused), `the first proof has no nonce: ${refused}`);
  const tokens = await oauth.processClientCredentialsResponse(as, client, await ask());
  assert.equal(tokens.token_type, "dpop");
});
