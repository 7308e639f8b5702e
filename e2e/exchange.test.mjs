// Token exchange (RFC 8693), assertions as grants (RFC 7523) and identity
// assertions (ID-JAG) with clients that other people wrote; the person signs in
// with a real browser.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as jose from "jose";
import * as oauth from "oauth4webapi";
import * as oidc from "openid-client";
import { openBrowser, signIn } from "./lib/browser.mjs";
import { startCardea } from "./lib/cardea.mjs";

const exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
const bearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const type = (name) => `urn:ietf:params:oauth:token-type:${name}`;
const redirect = "https://app.example/callback";
const [orders, stock, chat, login] = ["https://orders.example", "https://stock.example", "https://chat.example", "https://login.example"];

let cardea, browser, tokens, insecure;
const config = {}; // openid-client's, by client

before(async () => {
  [cardea, browser] = await Promise.all([startCardea(), openBrowser()]);
  insecure = { [oauth.allowInsecureRequests]: true };
  await register("shop", {
    name: "Shop", type: "web", first_party: true, redirect_uris: [redirect], grant_types: ["authorization_code", exchange],
    scopes: ["openid", "email", "read", "write"], resources: [orders, stock],
    identity_assertions: [{ issuer: chat, client_id: "shop-there", scopes: ["chat.read"], resources: [`${chat}/api`] }],
  });
  const api = { type: "service", resource_server: true, grant_types: ["client_credentials", exchange], scopes: ["read", "write"], resources: [orders, stock] };
  await register("orders", { name: "Orders", identifiers: [orders], token_exchange_delegation: true, ...api });
  await register("stock", { name: "Stock", identifiers: [stock], token_exchange_impersonation: true, ...api });
  await register("courier", { name: "Courier", type: "service", grant_types: [bearer], scopes: ["read"], resources: [stock] });
  tokens = await person();
});
after(async () => { await browser?.close(); await cardea?.close(); });

const secrets = {};

async function register(id, settings) {
  const { secret } = await cardea.admin("POST", "/clients", { id, ...settings });
  secrets[id] = secret;
  config[id] = await oidc.discovery(new URL(cardea.issuer), id, undefined, oidc.ClientSecretBasic(secret), { execute: [oidc.allowInsecureRequests] });
}

/** Signs the person in to the shop with a browser. */
async function person() {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  await page.route("https://app.example/**", (route) => route.fulfill({ status: 200, contentType: "text/html", body: "<title>application</title>" }));
  const verifier = oidc.randomPKCECodeVerifier();
  const state = oidc.randomState();
  await page.goto(oidc.buildAuthorizationUrl(config.shop, {
    redirect_uri: redirect, scope: "openid email read write", state,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
  }).href);
  await signIn(page);
  await page.waitForURL("https://app.example/**");
  const arrived = new URL(page.url());
  await context.close();
  return oidc.authorizationCodeGrant(config.shop, arrived, { pkceCodeVerifier: verifier, expectedState: state, idTokenExpected: true });
}

const own = async (id) => (await oidc.clientCredentialsGrant(config[id])).access_token;
const refused = (promise, error) => assert.rejects(promise, (e) => e.error === error || assert.fail(`${e.error}: ${e.error_description}`));

test("openid-client: an API acts for the person, and says so", async () => {
  const parameters = {
    subject_token: tokens.access_token, subject_token_type: type("access_token"),
    actor_token: await own("orders"), actor_token_type: type("access_token"), resource: stock, scope: "read",
  };
  const got = await oidc.genericGrantRequest(config.orders, exchange, parameters);
  assert.equal(got.issued_token_type, type("access_token"));
  assert.equal(got.refresh_token, undefined);
  const claims = jose.decodeJwt(got.access_token);
  assert.equal(claims.sub, tokens.claims().sub);
  assert.equal(claims.aud, stock);
  assert.equal(claims.scope, "read");
  assert.equal(claims.act.sub, jose.decodeJwt(parameters.actor_token).sub);
  const told = await oidc.tokenIntrospection(config.stock, got.access_token);
  assert.deepEqual([told.active, told.act.sub], [true, claims.act.sub]);

  // The API behind it goes on as the person; the actor stays.
  const further = await oidc.genericGrantRequest(config.stock, exchange, { subject_token: got.access_token, subject_token_type: type("access_token"), resource: stock });
  assert.equal(jose.decodeJwt(further.access_token).act.sub, claims.act.sub);

  await refused(oidc.genericGrantRequest(config.orders, exchange, { ...parameters, scope: "read write", resource: "https://elsewhere.example" }), "invalid_target");
  await refused(oidc.genericGrantRequest(config.orders, exchange, { subject_token: tokens.access_token, subject_token_type: type("access_token") }), "unauthorized_client");
  await refused(oidc.genericGrantRequest(config.stock, exchange, parameters), "unauthorized_client");
  await refused(oidc.genericGrantRequest(config.orders, exchange, { ...parameters, subject_token: tokens.id_token }), "invalid_request");
});

test("oauth4webapi: the exchanged token dies with the person's grant", async () => {
  const as = await oauth.processDiscoveryResponse(new URL(cardea.issuer), await oauth.discoveryRequest(new URL(cardea.issuer), insecure));
  assert.ok(as.grant_types_supported.includes(exchange) && as.grant_types_supported.includes(bearer));
  const mine = await person();
  const client = { client_id: "stock" };
  const response = await oauth.genericTokenEndpointRequest(as, client, oauth.ClientSecretBasic(secrets.stock), exchange,
    { subject_token: mine.access_token, subject_token_type: type("access_token"), audience: stock }, insecure);
  const got = await oauth.processGenericTokenEndpointResponse(as, client, response);
  const active = async () => (await oidc.tokenIntrospection(config.stock, got.access_token)).active;
  assert.equal(await active(), true);
  await cardea.admin("DELETE", `/grants/${jose.decodeJwt(mine.access_token).gid}`);
  assert.equal(await active(), false);
});

test("a trusted issuer's assertion is a grant, once", async () => {
  const { publicKey, privateKey } = await jose.generateKeyPair("ES256");
  const jwks = JSON.stringify({ keys: [{ ...(await jose.exportJWK(publicKey)), kid: "k1", alg: "ES256", use: "sig" }] });
  const issuer = await cardea.admin("POST", "/trusted-issuers", { issuer: login, jwks, uses: ["jwt_bearer", "id_jag"], scopes: ["read"] });
  const who = tokens.claims().sub;
  const link = await cardea.admin("POST", `/trusted-issuers/${issuer.id}/subjects`, { subject: "s-1", principal: who });
  const says = (typ, claims = {}) => new jose.SignJWT({ jti: crypto.randomUUID(), ...claims }).setProtectedHeader({ alg: "ES256", kid: "k1", typ })
    .setIssuer(login).setSubject("s-1").setAudience(cardea.issuer).setIssuedAt().setExpirationTime("2m").sign(privateKey);

  const assertion = await says("JWT");
  const got = await oidc.genericGrantRequest(config.courier, bearer, { assertion, scope: "read" });
  assert.equal(jose.decodeJwt(got.access_token).sub, who);
  assert.equal(jose.decodeJwt(got.access_token).aud, stock);
  await refused(oidc.genericGrantRequest(config.courier, bearer, { assertion }), "invalid_grant");

  const jag = await oidc.genericGrantRequest(config.courier, bearer, { assertion: await says("oauth-id-jag+jwt", { client_id: "courier", scope: "read" }) });
  assert.equal(jag.scope, "read");
  await refused(oidc.genericGrantRequest(config.courier, bearer, { assertion: await says("oauth-id-jag+jwt", { client_id: "shop" }) }), "invalid_grant");

  const active = async () => (await oidc.tokenIntrospection(config.stock, got.access_token)).active;
  assert.equal(await active(), true);
  await cardea.admin("DELETE", `/trusted-issuers/${issuer.id}/subjects/${link.id}`);
  assert.equal(await active(), false);
  await refused(oidc.genericGrantRequest(config.courier, bearer, { assertion: await says("JWT") }), "invalid_grant");
});

test("openid-client: an identity assertion for another domain", async () => {
  const metadata = config.shop.serverMetadata();
  assert.deepEqual(metadata.identity_chaining_requested_token_types_supported, [type("id-jag")]);
  assert.deepEqual(metadata.authorization_grant_profiles_supported, ["urn:ietf:params:oauth:grant-profile:id-jag"]);
  const parameters = {
    requested_token_type: type("id-jag"), audience: chat, resource: `${chat}/api`, scope: "chat.read",
    subject_token: tokens.id_token, subject_token_type: type("id_token"),
  };
  const got = await oidc.genericGrantRequest(config.shop, exchange, parameters);
  assert.equal(got.token_type, "n_a");
  assert.equal(got.issued_token_type, type("id-jag"));
  // As the other server would.
  const keys = jose.createRemoteJWKSet(new URL(metadata.jwks_uri));
  const { payload, protectedHeader } = await jose.jwtVerify(got.access_token, keys, { issuer: cardea.issuer, audience: chat, typ: "oauth-id-jag+jwt", requiredClaims: ["jti", "iat", "exp"] });
  assert.equal(protectedHeader.alg, "ES256");
  assert.deepEqual([payload.sub, payload.client_id, payload.scope, payload.resource, payload.email], [tokens.claims().sub, "shop-there", "chat.read", `${chat}/api`, "demo@example.com"]);
  await refused(oidc.genericGrantRequest(config.shop, exchange, { ...parameters, audience: login }), "invalid_target");
  await refused(oidc.genericGrantRequest(config.shop, exchange, { ...parameters, scope: "chat.write" }), "invalid_scope");
});
