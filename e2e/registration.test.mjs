// Dynamic client registration (RFC 7591) and its management (RFC 7592) with
// clients that other people wrote, and the consent page of a stranger.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as oauth from "oauth4webapi";
import * as oidc from "openid-client";
import { allow, inspect, listen, openBrowser, signIn } from "./lib/browser.mjs";
import { startCardea } from "./lib/cardea.mjs";

const redirect = "https://app.example/callback";
const insecure = { execute: [oidc.allowInsecureRequests] };

let cardea, browser;
before(async () => { [cardea, browser] = await Promise.all([startCardea(), openBrowser()]); });
after(async () => { await browser?.close(); await cardea?.close(); });

const setting = (settings) => cardea.admin("PATCH", "/realm", { settings });

test("openid-client registers itself with an operator's token and signs somebody in", async () => {
  await setting({ registration: "off" });
  const before = await oidc.discovery(new URL(cardea.issuer), "nobody", undefined, oidc.None(), insecure);
  assert.equal(before.serverMetadata().registration_endpoint, undefined, "announced while it is off");
  await setting({ registration: "initial_access_token" });
  const { token } = await cardea.admin("POST", "/initial-access-tokens", { name: "e2e", uses: 1, expires_in: 600 });
  const metadata = { client_name: "Perfect Stranger", redirect_uris: [redirect], grant_types: ["authorization_code", "refresh_token"], scope: "openid email", token_endpoint_auth_method: "client_secret_post" };
  await assert.rejects(oidc.dynamicClientRegistration(new URL(cardea.issuer), metadata, undefined, insecure), "without the token");
  const config = await oidc.dynamicClientRegistration(new URL(cardea.issuer), metadata, undefined, { ...insecure, initialAccessToken: token });
  const me = config.clientMetadata();
  assert.match(me.client_id, /^cli_/);
  assert.equal(me.id_token_signed_response_alg, "RS256");
  await assert.rejects(oidc.dynamicClientRegistration(new URL(cardea.issuer), metadata, undefined, { ...insecure, initialAccessToken: token }), "a second time");

  const verifier = oidc.randomPKCECodeVerifier();
  const state = oidc.randomState();
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  const complaints = listen(page);
  await page.route("https://app.example/**", (route) => route.fulfill({ status: 200, contentType: "text/html", body: "<title>application</title>" }));
  await page.goto(oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirect, scope: "openid email", state, code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
  }).href);
  await signIn(page);
  await page.waitForURL("**/consent**");
  await page.getByText("This application registered itself.").waitFor();
  await inspect(page, "consent-registered");
  await allow(page);
  await page.waitForURL("https://app.example/**");
  assert.deepEqual(complaints, []);
  const tokens = await oidc.authorizationCodeGrant(config, new URL(page.url()), { pkceCodeVerifier: verifier, expectedState: state, idTokenExpected: true });
  assert.equal(tokens.claims().aud, me.client_id);
  await context.close();

  // It manages itself with its own token.
  const at = (method, token, body) => fetch(me.registration_client_uri, {
    method, headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" }, body: body && JSON.stringify(body),
  });
  const changed = await (await at("PUT", me.registration_access_token, { ...metadata, client_id: me.client_id, client_name: "Renamed" })).json();
  assert.equal(changed.client_name, "Renamed");
  assert.equal((await at("GET", me.registration_access_token)).status, 401, "the old token");
  assert.equal((await at("DELETE", changed.registration_access_token)).status, 204);
  assert.equal((await at("GET", changed.registration_access_token)).status, 401, "after the end");
});

test("oauth4webapi registers where registration is open", async () => {
  await setting({ registration: "open" });
  const options = { [oauth.allowInsecureRequests]: true };
  const as = await oauth.processDiscoveryResponse(new URL(cardea.issuer), await oauth.discoveryRequest(new URL(cardea.issuer), options));
  const made = await oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(as, {
    client_name: "Page", redirect_uris: [redirect], token_endpoint_auth_method: "none",
  }, options));
  assert.equal(made.client_secret, undefined);
  assert.equal(made.token_endpoint_auth_method, "none");
  await assert.rejects(oauth.dynamicClientRegistrationRequest(as, { redirect_uris: ["http://app.example/callback"] }, options)
    .then(oauth.processDynamicClientRegistrationResponse), (e) => e.error === "invalid_redirect_uri");
});

test("openid-client authenticates with a secret that it never shows", async () => {
  const made = await cardea.admin("POST", "/clients", {
    id: "signs-with-secret", name: "Worker", type: "service", grant_types: ["client_credentials"], scopes: ["read"], resources: ["https://api.example"],
    token_endpoint_auth_method: "client_secret_jwt",
  });
  const config = await oidc.discovery(new URL(cardea.issuer), made.client.id, undefined, oidc.ClientSecretJwt(made.secret), insecure);
  assert.ok(config.serverMetadata().token_endpoint_auth_methods_supported.includes("client_secret_jwt"));
  const tokens = await oidc.clientCredentialsGrant(config, { scope: "read" });
  assert.ok(tokens.access_token);
  const wrong = await oidc.discovery(new URL(cardea.issuer), made.client.id, undefined, oidc.ClientSecretJwt(made.secret + "x"), insecure);
  await assert.rejects(oidc.clientCredentialsGrant(wrong, { scope: "read" }), (e) => e.error === "invalid_client");
  // Two live for a rotation.
  const next = await cardea.admin("POST", `/clients/${made.client.id}/secrets`, {});
  const rotated = await oidc.discovery(new URL(cardea.issuer), made.client.id, undefined, oidc.ClientSecretJwt(next.secret), insecure);
  assert.ok((await oidc.clientCredentialsGrant(rotated, { scope: "read" })).access_token);
  assert.ok((await oidc.clientCredentialsGrant(config, { scope: "read" })).access_token);
});
