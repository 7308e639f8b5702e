// FAPI 2.0 with clients that other people wrote, through a real browser: the
// Security Profile (PAR, private_key_jwt and DPoP, or mutual TLS), Message Signing (JAR, JARM),
// and requests in detail (RAR) on the page that people see.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import * as jose from "jose";
import * as oauth from "oauth4webapi";
import * as oidc from "openid-client";
import { allow, inspect, listen, openBrowser, signIn } from "./lib/browser.mjs";
import { startCardea } from "./lib/cardea.mjs";
import { certificate, fetchWith } from "./lib/tls.mjs";

const redirect = "https://app.example/callback";
const settings = {
  name: "Bank", type: "web", profile: "fapi2", first_party: true, redirect_uris: [redirect], token_endpoint_auth_method: "private_key_jwt",
  grant_types: ["authorization_code", "refresh_token"], scopes: ["openid", "email", "offline_access"],
};

let cardea, browser;
before(async () => { [cardea, browser] = await Promise.all([startCardea(), openBrowser()]); });
after(async () => { await browser?.close(); await cardea?.close(); });

/** Registers a client of the profile and gives what it has. */
async function bank(id, alg, more = {}) {
  const { privateKey, publicKey } = await jose.generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await jose.exportJWK(publicKey)), kid: id, alg, use: "sig" };
  const { client } = await cardea.admin("POST", "/clients", { id, ...settings, jwks: JSON.stringify({ keys: [jwk] }), ...more });
  return { id: client.id, key: { key: privateKey, kid: id } };
}

async function configure({ id, key }, metadata = {}) {
  return oidc.discovery(new URL(cardea.issuer), id, { ...metadata }, oidc.PrivateKeyJwt(key), { execute: [oidc.allowInsecureRequests] });
}

/** Sends a fresh browser to an authorization URL and gives the address it ends at. */
async function arrive(url, onTheWay = signIn) {
  const context = await browser.newContext({ locale: "en-GB", ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await page.route("https://app.example/**", (route) => route.fulfill({ status: 200, contentType: "text/html", body: "<title>application</title>" }));
  await page.goto(url.href ?? url);
  await onTheWay(page);
  await page.waitForURL("https://app.example/**");
  const arrived = new URL(page.url());
  await context.close();
  return arrived;
}

const challenge = async (verifier) => ({ code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256" });

for (const alg of ["ES256", "PS256"]) {
  test(`openid-client: FAPI 2.0 Security Profile with PAR, private_key_jwt (${alg}) and DPoP`, async () => {
    const client = await bank(`bank-${alg.toLowerCase()}`, alg);
    const config = await configure(client);
    const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair("ES256"));
    const verifier = oidc.randomPKCECodeVerifier();
    const state = oidc.randomState();
    const ask = { redirect_uri: redirect, scope: "openid email offline_access", state, ...(await challenge(verifier)) };
    const url = await oidc.buildAuthorizationUrlWithPAR(config, ask, { DPoP });
    assert.deepEqual([...url.searchParams.keys()].sort(), ["client_id", "request_uri"]);
    const answer = await arrive(url);
    assert.equal(answer.searchParams.get("iss"), cardea.issuer);

    const checks = { pkceCodeVerifier: verifier, expectedState: state, idTokenExpected: true };
    const thief = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair("ES256"));
    await assert.rejects(oidc.authorizationCodeGrant(config, answer, checks, undefined, { DPoP: thief }), (e) => e.error === "invalid_grant", "with another key than the one shown");
    await assert.rejects(oidc.authorizationCodeGrant(config, answer, checks), (e) => e.error === "invalid_request", "without a key");
    const tokens = await oidc.authorizationCodeGrant(config, answer, checks, undefined, { DPoP });
    assert.equal(tokens.token_type, "dpop");
    assert.equal(jose.decodeJwt(tokens.access_token).cnf.jkt, await DPoP.calculateThumbprint());
    assert.equal((await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub, { DPoP })).email, "demo@example.com");
    await assert.rejects(oidc.refreshTokenGrant(config, tokens.refresh_token), (e) => e.error === "invalid_request", "a refresh without a key");
    assert.equal((await oidc.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })).token_type, "dpop");

    // What is left out is refused where it is left out.
    const direct = await fetch(oidc.buildAuthorizationUrl(config, ask), { redirect: "manual" });
    assert.equal(new URL(direct.headers.get("location")).searchParams.get("error"), "invalid_request", "not pushed");
    const { code_challenge, code_challenge_method, ...bare } = ask;
    await assert.rejects(oidc.buildAuthorizationUrlWithPAR(config, bare), (e) => e.error === "invalid_request", "without PKCE");
    const again = await fetch(url, { redirect: "manual" });
    assert.equal(again.status, 400, "the same request again");
  });
}

test("openid-client: FAPI 2.0 Security Profile with PAR and mutual TLS", async (t) => {
  const secure = await startCardea({}, { tls: true });
  const open = [];
  t.after(async () => {
    await Promise.all(open.map((via) => via.close()));
    await secure.close();
  });
  const connection = (pair) => {
    const via = fetchWith(secure.ca, pair);
    open.push(via);
    return via;
  };
  const ca = await certificate(secure.dir, "clients");
  const issued = (name) => certificate(secure.dir, name, { issuer: ca, extensions: ["basicConstraints=CA:FALSE", "extendedKeyUsage=clientAuth"] });
  const itself = (name) => certificate(secure.dir, name);
  const keys = ({ publicKey }, kid) => JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid, alg: "ES256", use: "sig" }] });

  for (const { method, make, registered } of [
    { method: "tls_client_auth", make: issued, registered: () => ({ tls_client_auth_subject_dn: "CN=tls_client_auth", tls_client_ca: ca.cert }) },
    { method: "self_signed_tls_client_auth", make: itself, registered: (pair) => ({ jwks: keys(pair, "self") }) },
  ]) {
    await t.test(method, async () => {
      const [mine, other] = [await make(method), await make(`not-${method.slice(0, 4)}`)];
      const { client } = await secure.admin("POST", "/clients", {
        id: method.replaceAll("_", "-"), ...settings, token_endpoint_auth_method: method, tls_client_certificate_bound_access_tokens: true, ...registered(mine),
      });
      const as = (pair) => oidc.discovery(new URL(secure.issuer), client.id, { use_mtls_endpoint_aliases: true }, oidc.TlsClientAuth(), { [oidc.customFetch]: connection(pair) });
      const [config, thief, bare] = [await as(mine), await as(other), await as()];
      const verifier = oidc.randomPKCECodeVerifier();
      const state = oidc.randomState();
      const ask = { redirect_uri: redirect, scope: "openid email offline_access", state, ...(await challenge(verifier)) };
      for (const [who, wrong] of Object.entries({ thief, bare })) {
        await assert.rejects(oidc.buildAuthorizationUrlWithPAR(wrong, ask), (e) => e.error === "invalid_client", `pushed by ${who}`);
      }
      const answer = await arrive(await oidc.buildAuthorizationUrlWithPAR(config, ask));
      assert.equal(answer.searchParams.get("iss"), secure.issuer);

      const checks = { pkceCodeVerifier: verifier, expectedState: state, idTokenExpected: true };
      await assert.rejects(oidc.authorizationCodeGrant(thief, answer, checks), (e) => e.error === "invalid_client", "with another certificate");
      await assert.rejects(oidc.authorizationCodeGrant(bare, answer, checks), (e) => e.error === "invalid_client", "without a certificate");
      const tokens = await oidc.authorizationCodeGrant(config, answer, checks);
      assert.equal(tokens.token_type, "bearer");
      assert.deepEqual(jose.decodeJwt(tokens.access_token).cnf, { "x5t#S256": mine.thumbprint });
      const { sub } = tokens.claims();
      assert.equal((await oidc.fetchUserInfo(config, tokens.access_token, sub)).email, "demo@example.com");
      for (const [who, wrong] of Object.entries({ thief, bare })) {
        await assert.rejects(oidc.fetchUserInfo(wrong, tokens.access_token, sub), (e) => e.status === 401, `userinfo for ${who}`);
        await assert.rejects(oidc.refreshTokenGrant(wrong, tokens.refresh_token), (e) => e.error === "invalid_client", `a refresh by ${who}`);
      }
      const next = await oidc.refreshTokenGrant(config, tokens.refresh_token);
      assert.deepEqual(jose.decodeJwt(next.access_token).cnf, { "x5t#S256": mine.thumbprint });
    });
  }
});

test("openid-client: FAPI 2.0 Message Signing with JAR and JARM", async () => {
  const client = await bank("bank-signing", "PS256", {
    require_signed_request_object: true, require_signed_authorization_responses: true, request_object_signing_alg: "PS256", authorization_signed_response_alg: "PS256",
  });
  const config = await configure(client, { authorization_signed_response_alg: "PS256" });
  oidc.useJwtResponseMode(config);
  const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair("ES256"));
  const verifier = oidc.randomPKCECodeVerifier();
  const [state, nonce] = [oidc.randomState(), oidc.randomNonce()];
  const ask = { redirect_uri: redirect, scope: "openid email", state, nonce, ...(await challenge(verifier)) };
  await assert.rejects(oidc.buildAuthorizationUrlWithPAR(config, ask, { DPoP }), (e) => e.error === "invalid_request", "pushed and not signed");
  const { searchParams } = await oidc.buildAuthorizationUrlWithJAR(config, ask, client.key);
  const answer = await arrive(await oidc.buildAuthorizationUrlWithPAR(config, searchParams, { DPoP }));
  assert.deepEqual([...answer.searchParams.keys()], ["response"]);
  assert.equal(jose.decodeProtectedHeader(answer.searchParams.get("response")).alg, "PS256");
  const tokens = await oidc.authorizationCodeGrant(config, answer, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }, undefined, { DPoP });
  assert.equal(tokens.token_type, "dpop");
});

test("oauth4webapi: JAR by value and JARM, with a client that has a secret", async () => {
  const { privateKey, publicKey } = await jose.generateKeyPair("ES256", { extractable: true });
  const jwk = { ...(await jose.exportJWK(publicKey)), kid: "jar", alg: "ES256" };
  const { client, secret } = await cardea.admin("POST", "/clients", {
    id: "signing-app", ...settings, profile: undefined, token_endpoint_auth_method: "client_secret_basic", jwks: JSON.stringify({ keys: [jwk] }), request_object_signing_alg: "ES256",
  });
  const insecure = { [oauth.allowInsecureRequests]: true };
  const as = await oauth.processDiscoveryResponse(new URL(cardea.issuer), await oauth.discoveryRequest(new URL(cardea.issuer), insecure));
  assert.equal(as.request_parameter_supported, true);
  assert.ok(as.response_modes_supported.includes("jwt"));
  const app = { client_id: client.id, authorization_signed_response_alg: "ES256" };
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const request = await oauth.issueRequestObject(as, app, {
    client_id: client.id, redirect_uri: redirect, response_type: "code", scope: "openid", state, response_mode: "jwt",
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
  }, { key: privateKey, kid: "jar" });
  const url = new URL(as.authorization_endpoint);
  url.search = new URLSearchParams({ client_id: client.id, request, scope: "openid email" });
  const params = await oauth.validateJwtAuthResponse(as, app, await arrive(url), state, insecure);
  const response = await oauth.authorizationCodeGrantRequest(as, app, oauth.ClientSecretBasic(secret), params, redirect, verifier, insecure);
  const tokens = await oauth.processAuthorizationCodeResponse(as, app, response, { requireIdToken: true });
  assert.equal(tokens.scope, "openid", "what stands beside the object counts for nothing");
});

test("openid-client: a payment is agreed to in words (RAR)", async () => {
  await cardea.admin("PUT", "/authorization-detail-types/payment_initiation", {
    schema: JSON.stringify({ required: ["instructedAmount", "creditorName"], properties: { instructedAmount: { required: ["amount", "currency"] }, creditorName: { type: "string" } } }),
    words: { en: "Pay {instructedAmount.amount} {instructedAmount.currency} to {creditorName}", de: "{instructedAmount.amount} {instructedAmount.currency} an {creditorName} zahlen" },
  });
  const client = await bank("payments", "ES256", { name: "Payments", first_party: false, authorization_details_types: ["payment_initiation"] });
  const config = await configure(client);
  assert.deepEqual(config.serverMetadata().authorization_details_types_supported, ["payment_initiation"]);
  const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair("ES256"));
  const verifier = oidc.randomPKCECodeVerifier();
  const state = oidc.randomState();
  const details = [{ type: "payment_initiation", instructedAmount: { amount: "123.50", currency: "EUR" }, creditorName: "Merchant <A>", creditorAccount: { iban: "DE02100100109307118603" } }];
  const url = await oidc.buildAuthorizationUrlWithPAR(config, { redirect_uri: redirect, scope: "openid", state, authorization_details: JSON.stringify(details), ...(await challenge(verifier)) }, { DPoP });
  const answer = await arrive(url, async (page) => {
    const complaints = listen(page);
    await signIn(page);
    await page.getByText("Pay 123.50 EUR to Merchant <A>").waitFor();
    await inspect(page, "consent-details");
    await page.locator("summary").press("Enter");
    await page.getByText("DE02100100109307118603").waitFor();
    await inspect(page, "consent-details-open");
    assert.deepEqual(complaints, []);
    await allow(page);
  });
  const tokens = await oidc.authorizationCodeGrant(config, answer, { pkceCodeVerifier: verifier, expectedState: state, idTokenExpected: true }, undefined, { DPoP });
  assert.deepEqual(tokens.authorization_details, details);
  // The token keeps within 1 KiB and names what it could not carry.
  assert.ok(tokens.access_token.length <= 1024, `${tokens.access_token.length} bytes`);
  const hash = createHash("sha256").update(JSON.stringify(tokens.authorization_details)).digest("base64url");
  assert.equal(jose.decodeJwt(tokens.access_token).authorization_details_hash, hash);
  assert.deepEqual((await oidc.tokenIntrospection(config, tokens.access_token)).authorization_details, details);
});
