// Apache with mod_auth_openidc, as Debian ships it, protecting a page.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startApache } from "./lib/apache.mjs";
import { openBrowser, signIn } from "./lib/browser.mjs";
import { freePort, startCardea } from "./lib/cardea.mjs";

let cardea, browser, apache, base;

before(async () => {
  [cardea, browser] = await Promise.all([startCardea(), openBrowser()]);
  const port = await freePort();
  base = `http://localhost:${port}`;
  const { client, secret } = await cardea.admin("POST", "/clients", {
    id: "apache", name: "Apache", type: "web", first_party: true, redirect_uris: [`${base}/protected/callback`],
    post_logout_redirect_uris: [`${base}/`], grant_types: ["authorization_code"], scopes: ["openid", "profile", "email"],
    // The module sends no code challenge for the default method unless told to, and asks for OpenID's RS256.
    openid_defaults: true,
  });
  apache = await startApache(cardea, base, {
    modules: ["auth_openidc"],
    pages: { "protected/index.shtml": `<h1>Welcome <!--#echo var="REMOTE_USER" --></h1>` },
    config: `
LogLevel auth_openidc:info
OIDCProviderMetadataURL ${cardea.issuer}/.well-known/openid-configuration
OIDCClientID ${client.id}
OIDCClientSecret ${secret}
OIDCRedirectURI ${base}/protected/callback
OIDCCryptoPassphrase ${"0123456789abcdef".repeat(2)}
OIDCScope "openid profile email"
OIDCPKCEMethod S256
OIDCRemoteUserClaim email
<Location /protected/>
  AuthType openid-connect
  Require valid-user
</Location>`,
  });
});

after(async () => {
  await apache?.close();
  await browser?.close();
  await cardea?.close();
});

test("Apache's mod_auth_openidc signs a person in", async () => {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  await page.goto(base + "/protected/");
  assert.ok(page.url().startsWith(cardea.issuer), page.url());
  await signIn(page);
  await page.waitForURL(base + "/protected/**");
  assert.equal(await page.textContent("h1"), "Welcome demo@example.com");
  await context.close();
});
