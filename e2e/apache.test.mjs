// Apache with mod_auth_openidc, as Debian ships it, protecting a page.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openBrowser, signIn } from "./lib/browser.mjs";
import { answers, freePort, startCardea } from "./lib/cardea.mjs";

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
  const dir = join(cardea.dir, "apache");
  await mkdir(join(dir, "www/protected"), { recursive: true });
  await chmod(cardea.dir, 0o755); // Apache's workers are another user
  await writeFile(join(dir, "www/index.html"), "<h1>public</h1>");
  const modules = "/usr/lib/apache2/modules";
  await writeFile(join(dir, "apache.conf"), `
ServerRoot ${dir}
ServerName localhost
PidFile ${dir}/pid
Mutex pthread
Listen 127.0.0.1:${port}
LoadModule mpm_event_module ${modules}/mod_mpm_event.so
LoadModule authn_core_module ${modules}/mod_authn_core.so
LoadModule authz_core_module ${modules}/mod_authz_core.so
LoadModule authz_user_module ${modules}/mod_authz_user.so
LoadModule dir_module ${modules}/mod_dir.so
LoadModule mime_module ${modules}/mod_mime.so
LoadModule include_module ${modules}/mod_include.so
LoadModule filter_module ${modules}/mod_filter.so
LoadModule auth_openidc_module ${modules}/mod_auth_openidc.so
User www-data
Group www-data
ErrorLog ${dir}/error.log
LogLevel auth_openidc:info
DocumentRoot ${dir}/www
TypesConfig /dev/null
AddType text/html .html
DirectoryIndex index.html index.shtml
AddType text/html .shtml
AddOutputFilter INCLUDES .shtml
<Directory ${dir}/www>
  Options +Includes
  Require all granted
</Directory>
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
</Location>
`);
  await writeFile(join(dir, "www/protected/index.shtml"), `<h1>Welcome <!--#echo var="REMOTE_USER" --></h1>`);
  apache = spawn("/usr/sbin/apache2", ["-f", join(dir, "apache.conf"), "-DFOREGROUND"], { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  for (const stream of [apache.stdout, apache.stderr]) stream.on("data", (chunk) => { log += chunk; });
  await answers(base, apache).catch((error) => { throw new Error(`${error.message}\n${log}`); });
});

after(async () => {
  if (apache) {
    const ended = new Promise((done) => apache.once("exit", done));
    apache.kill("SIGTERM");
    await ended;
  }
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
