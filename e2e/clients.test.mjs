// Relying parties that other people wrote, unmodified, each through a real
// browser sign-in.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as jose from "jose";
import * as oauth from "oauth4webapi";
import * as oidc from "openid-client";
import { openBrowser, signIn } from "./lib/browser.mjs";
import { startCardea } from "./lib/cardea.mjs";

const redirect = "https://app.example/callback";
const settings = {
  name: "Interop", type: "web", first_party: true, redirect_uris: [redirect], post_logout_redirect_uris: ["https://app.example/"],
  grant_types: ["authorization_code", "refresh_token"], scopes: ["openid", "profile", "email", "offline_access"],
};

let cardea, browser;
before(async () => { [cardea, browser] = await Promise.all([startCardea(), openBrowser()]); });
after(async () => { await browser?.close(); await cardea?.close(); });

/** Sends a fresh browser to an authorization URL and gives the answer's address. */
async function answerOf(url) {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  let answer;
  await page.route("https://app.example/**", (route) => {
    answer = route.request();
    return route.fulfill({ status: 200, contentType: "text/html", body: "<title>application</title>" });
  });
  await page.goto(url.href ?? url);
  await signIn(page);
  await page.waitForURL("https://app.example/**");
  const got = { url: new URL(answer.url()), method: answer.method(), body: answer.postData() };
  await context.close();
  return got;
}

test("openid-client: discovery, code with PKCE, userinfo, refresh, introspection, revocation, logout URL", async () => {
  const { client, secret } = await cardea.admin("POST", "/clients", { id: "openid-client", ...settings });
  const config = await oidc.discovery(new URL(cardea.issuer), client.id, { client_secret: secret }, oidc.ClientSecretBasic(secret), { execute: [oidc.allowInsecureRequests] });
  const verifier = oidc.randomPKCECodeVerifier();
  const [state, nonce] = [oidc.randomState(), oidc.randomNonce()];
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirect, scope: "openid profile email offline_access", state, nonce, max_age: "600",
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
  });
  const answer = await answerOf(url);
  assert.equal(answer.url.searchParams.get("iss"), cardea.issuer);
  const tokens = await oidc.authorizationCodeGrant(config, answer.url, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true, maxAge: 600 });
  const claims = tokens.claims();
  const info = await oidc.fetchUserInfo(config, tokens.access_token, claims.sub);
  assert.equal(info.email, "demo@example.com");

  const next = await oidc.refreshTokenGrant(config, tokens.refresh_token);
  assert.notEqual(next.refresh_token, tokens.refresh_token);
  await oidc.tokenRevocation(config, next.refresh_token);
  await assert.rejects(oidc.refreshTokenGrant(config, next.refresh_token), (e) => e.error === "invalid_grant");
  await assert.rejects(oidc.fetchUserInfo(config, next.access_token, claims.sub));
  const logout = oidc.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: "https://app.example/" });
  assert.equal(logout.origin, cardea.issuer);
});

test("openid-client: RS256 for those who ask for OpenID's defaults, form_post, private_key_jwt", async () => {
  const key = await jose.generateKeyPair("ES256", { extractable: true });
  const jwk = { ...(await jose.exportJWK(key.publicKey)), kid: "interop", alg: "ES256", use: "sig" };
  const { client } = await cardea.admin("POST", "/clients", {
    id: "openid-client-jwt", ...settings, openid_defaults: true, token_endpoint_auth_method: "private_key_jwt", jwks: JSON.stringify({ keys: [jwk] }),
  });
  const config = await oidc.discovery(new URL(cardea.issuer), client.id, { id_token_signed_response_alg: "RS256" },
    oidc.PrivateKeyJwt({ key: key.privateKey, kid: "interop" }), { execute: [oidc.allowInsecureRequests] });
  const verifier = oidc.randomPKCECodeVerifier();
  const state = oidc.randomState();
  const answer = await answerOf(oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirect, scope: "openid", state, response_mode: "form_post",
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
  }));
  assert.equal(answer.method, "POST");
  const request = new Request(redirect, { method: "POST", body: answer.body, headers: { "Content-Type": "application/x-www-form-urlencoded" } });
  const tokens = await oidc.authorizationCodeGrant(config, request, { pkceCodeVerifier: verifier, expectedState: state, idTokenExpected: true });
  assert.equal(jose.decodeProtectedHeader(tokens.id_token).alg, "RS256");
});

test("oauth4webapi: a public client with code and PKCE, its access token checked as RFC 9068 says", async () => {
  const { client: made } = await cardea.admin("POST", "/clients", { id: "oauth4webapi", ...settings, type: "native", token_endpoint_auth_method: "none" });
  const insecure = { [oauth.allowInsecureRequests]: true };
  const as = await oauth.processDiscoveryResponse(new URL(cardea.issuer), await oauth.discoveryRequest(new URL(cardea.issuer), { algorithm: "oauth2", ...insecure }));
  const client = { client_id: made.id };
  const verifier = oauth.generateRandomCodeVerifier();
  const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
  const url = new URL(as.authorization_endpoint);
  url.search = new URLSearchParams({
    client_id: made.id, redirect_uri: redirect, response_type: "code", scope: "openid email offline_access", state, nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
  });
  const answer = await answerOf(url);
  const params = oauth.validateAuthResponse(as, client, answer.url, state);
  const response = await oauth.authorizationCodeGrantRequest(as, client, oauth.None(), params, redirect, verifier, insecure);
  const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, { expectedNonce: nonce, requireIdToken: true });
  await oauth.validateApplicationLevelSignature(as, response, insecure);

  const keys = jose.createRemoteJWKSet(new URL(as.jwks_uri));
  const { payload, protectedHeader } = await jose.jwtVerify(tokens.access_token, keys, { issuer: cardea.issuer, typ: "at+jwt" });
  assert.equal(protectedHeader.alg, "ES256");
  assert.equal(payload.client_id, made.id);
  assert.ok(tokens.access_token.length <= 1024, `${tokens.access_token.length} bytes`);

  const refreshed = await oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, oauth.None(), tokens.refresh_token, insecure));
  assert.ok(refreshed.access_token);
});

test("oauth4webapi: client_credentials, introspection, revocation", async () => {
  const api = await cardea.admin("POST", "/clients", { id: "interop-api", name: "API", type: "service", resource_server: true, identifiers: ["https://api.example"] });
  for (const format of ["jwt", "opaque"]) {
    const made = await cardea.admin("POST", "/clients", {
      id: `worker-${format}`, name: "Worker", type: "service", grant_types: ["client_credentials"], scopes: ["read"], resources: ["https://api.example"], access_token_format: format,
    });
    const insecure = { [oauth.allowInsecureRequests]: true };
    const as = await oauth.processDiscoveryResponse(new URL(cardea.issuer), await oauth.discoveryRequest(new URL(cardea.issuer), insecure));
    const worker = { client_id: made.client.id };
    const auth = oauth.ClientSecretBasic(made.secret);
    const tokens = await oauth.processClientCredentialsResponse(as, worker, await oauth.clientCredentialsGrantRequest(as, worker, auth, { scope: "read" }, insecure));
    const server = { client_id: api.client.id };
    const ask = async () => oauth.processIntrospectionResponse(as, server, await oauth.introspectionRequest(as, server, oauth.ClientSecretBasic(api.secret), tokens.access_token, insecure));
    const alive = await ask();
    assert.equal(alive.active, true, format);
    assert.equal(alive.scope, "read");
    await oauth.processRevocationResponse(await oauth.revocationRequest(as, worker, auth, tokens.access_token, insecure));
    assert.deepEqual(await ask(), { active: false }, format);
  }
});
