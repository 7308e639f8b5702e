// Apache's mod_oauth2, which other people wrote, in front of an API: it takes
// access tokens from whom they were issued to, and from nobody else. (Version
// 3.3.1 does not look at the ath of a proof, so nothing here is about that.)
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import * as jose from "jose";
import * as oauth from "oauth4webapi";
import { startApache } from "./lib/apache.mjs";
import { freePort, startCardea } from "./lib/cardea.mjs";
import { certificate, fetchWith } from "./lib/tls.mjs";

const api = "https://api.example";
const settings = { type: "service", grant_types: ["client_credentials"], scopes: ["read"], resources: [api] };
const page = `<!--#echo var="REMOTE_USER" -->`;

let cardea, apache, base, as;
const open = [];

/** A fetch of a client that shows a certificate, or none. */
function connection(pair) {
  const via = fetchWith(cardea.ca, pair);
  open.push(via);
  return via;
}

before(async () => {
  cardea = await startCardea({}, { tls: true });
  base = `https://localhost:${await freePort()}`;
  const guard = (path, kind, scheme) => `
<Location ${path}>
  AuthType oauth2
  OAuth2TokenVerify jwks_uri ${cardea.issuer}/oauth2/jwks jwks_uri.ssl_verify=false&verify.exp=required&verify.iat=skip&type=${kind}
  OAuth2AcceptTokenIn header name=Authorization&type=${scheme}
  Require oauth2_claim aud:${api}
</Location>`;
  apache = await startApache(cardea, base, {
    via: cardea.fetch,
    modules: ["ssl", "socache_shmcb", "oauth2"],
    pages: { "dpop/index.shtml": page, "lax/index.shtml": page, "mtls/index.shtml": page, "plain/index.shtml": page },
    config: `
SSLEngine on
SSLCertificateFile ${cardea.dir}/localhost.crt
SSLCertificateKeyFile ${cardea.dir}/localhost.key
SSLVerifyClient optional_no_ca
SSLOptions +StdEnvVars +ExportCertData
${guard("/dpop/", "dpop", "DPoP")}
${guard("/lax/", "dpop", "Bearer")}
${guard("/mtls/", "mtls", "Bearer")}
${guard("/plain/", "bearer", "Bearer")}`,
  });
  const issuer = new URL(cardea.issuer);
  as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { [oauth.customFetch]: cardea.fetch }));
});

after(async () => {
  await apache?.close();
  await Promise.all(open.map((via) => via.close()));
  await cardea?.close();
});

async function clientCredentials(client, authentication, options) {
  const response = await oauth.clientCredentialsGrantRequest(as, client, authentication, { scope: "read" }, options);
  return (await oauth.processClientCredentialsResponse(as, client, response)).access_token;
}

test("mod_oauth2: a token that is bound to a key passes with its proof", async () => {
  const { client: { id }, secret } = await cardea.admin("POST", "/clients", { id: "bound-to-key", name: "Key", ...settings, dpop_bound_access_tokens: true });
  const bearer = await cardea.admin("POST", "/clients", { id: "bearer", name: "Bearer", ...settings });
  const via = { [oauth.customFetch]: cardea.fetch };
  const client = { client_id: id };
  const keys = await oauth.generateKeyPair("ES256");
  const DPoP = oauth.DPoP(client, keys);
  const token = await clientCredentials(client, oauth.ClientSecretBasic(secret), { ...via, DPoP });
  const unbound = await clientCredentials({ client_id: bearer.client.id }, oauth.ClientSecretBasic(bearer.secret), via);
  const { sub } = jose.decodeJwt(token);

  const ask = async (path, headers) => {
    const response = await cardea.fetch(base + path, { headers });
    return [response.status, response.ok ? (await response.text()).trim() : undefined];
  };
  const hash = (text) => createHash("sha256").update(text).digest("base64url");
  const proof = async (by = keys, more = {}) => new jose.SignJWT({ htm: "GET", htu: `${base}/dpop/`, ath: hash(token), jti: crypto.randomUUID(), ...more })
    .setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk: await jose.exportJWK(by.publicKey) }).setIssuedAt().sign(by.privateKey);
  const refused = [401, undefined];

  assert.deepEqual(await ask("/dpop/", {}), refused, "no token");
  assert.deepEqual(await ask("/dpop/", { Authorization: `DPoP ${token}` }), refused, "no proof");
  const fresh = await proof();
  assert.deepEqual(await ask("/dpop/", { Authorization: `DPoP ${token}`, DPoP: fresh }), [200, sub]);
  assert.deepEqual(await ask("/dpop/", { Authorization: `DPoP ${token}`, DPoP: fresh }), refused, "the same proof again");
  assert.deepEqual(await ask("/dpop/", { Authorization: `DPoP ${token}`, DPoP: await proof() }), [200, sub], "another proof");
  assert.deepEqual(await ask("/dpop/", { Authorization: `DPoP ${token}`, DPoP: await proof(await oauth.generateKeyPair("ES256")) }), refused, "another key's proof");
  assert.deepEqual(await ask("/dpop/", { Authorization: `DPoP ${token}`, DPoP: await proof(keys, { htu: `${base}/else/` }) }), refused, "a proof for elsewhere");
  assert.deepEqual(await ask("/dpop/", { Authorization: `DPoP ${token}`, DPoP: await proof(keys, { htm: "POST" }) }), refused, "a proof for another method");
  assert.deepEqual(await ask("/dpop/", { Authorization: `Bearer ${token}`, DPoP: await proof() }), refused, "as a bearer token");
  assert.deepEqual(await ask("/lax/", { Authorization: `Bearer ${token}` }), refused, "as a bearer token, where those are taken");
  assert.deepEqual(await ask("/dpop/", { Authorization: `DPoP ${unbound}`, DPoP: await proof(keys, { ath: hash(unbound) }) }), refused, "a token that is bound to nothing");
  assert.equal((await ask("/plain/", { Authorization: `Bearer ${unbound}` }))[0], 200, "which is good elsewhere");
  const forged = `${token.slice(0, -8)}AAAAAAAA`;
  assert.deepEqual(await ask("/dpop/", { Authorization: `DPoP ${forged}`, DPoP: await proof(keys, { ath: hash(forged) }) }), refused, "another signature");
});

test("mod_oauth2: a token that is bound to a certificate passes where that is shown", async () => {
  const ca = await certificate(cardea.dir, "clients");
  const [mine, other] = await Promise.all(["orders", "billing"].map((name) => certificate(cardea.dir, name, { issuer: ca, extensions: ["basicConstraints=CA:FALSE", "extendedKeyUsage=clientAuth"] })));
  const made = await cardea.admin("POST", "/clients", {
    id: "bound-to-certificate", name: "Certificate", ...settings, token_endpoint_auth_method: "tls_client_auth",
    tls_client_auth_subject_dn: "CN=orders", tls_client_ca: ca.cert, tls_client_certificate_bound_access_tokens: true,
  });
  const bearer = await cardea.admin("POST", "/clients", { id: "bearer-too", name: "Bearer", ...settings });
  const client = { client_id: made.client.id, use_mtls_endpoint_aliases: true };
  const token = await clientCredentials(client, oauth.TlsClientAuth(), { [oauth.customFetch]: connection(mine) });
  const unbound = await clientCredentials({ client_id: bearer.client.id }, oauth.ClientSecretBasic(bearer.secret), { [oauth.customFetch]: cardea.fetch });
  const { sub, cnf } = jose.decodeJwt(token);
  assert.equal(cnf["x5t#S256"], mine.thumbprint);

  const ask = async (pair, shown, path = "/mtls/") => {
    const response = await connection(pair)(base + path, { headers: { Authorization: `Bearer ${shown}` } });
    return [response.status, response.ok ? (await response.text()).trim() : undefined];
  };
  assert.deepEqual(await ask(undefined, token), [401, undefined], "no certificate");
  assert.deepEqual(await ask(mine, token), [200, sub]);
  assert.deepEqual(await ask(other, token), [401, undefined], "another's certificate");
  assert.deepEqual(await ask(undefined, token), [401, undefined], "no certificate, after it was taken");
  assert.deepEqual(await ask(mine, unbound), [401, undefined], "a token that is bound to nothing");
  assert.equal((await ask(mine, unbound, "/plain/"))[0], 200, "which is good elsewhere");
});
