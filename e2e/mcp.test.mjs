// The official TypeScript SDK of the Model Context Protocol, which knows only
// the address of an MCP server, against examples/mcp-server and a real browser.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join, resolve as absolute } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import * as jose from "jose";
import { allow, inspect, listen, openBrowser, signIn } from "./lib/browser.mjs";
import { answers, freePort, startCardea } from "./lib/cardea.mjs";
import { until } from "./lib/until.mjs";

const run = promisify(execFile);
const root = absolute(import.meta.dirname ?? ".", "..");
const redirect = "http://127.0.0.1:43110/callback";
const who = { client_name: "Far Away Assistant", redirect_uris: [redirect], token_endpoint_auth_method: "none", grant_types: ["authorization_code"], response_types: ["code"] };

let dir, cardea, browser, server, documents, resource, address;
const served = { document: undefined };

before(async () => {
  dir = await mkdtemp(join(tmpdir(), "cardea-mcp-"));
  const [key, cert, binary] = ["key.pem", "cert.pem", "mcp-server"].map((name) => join(dir, name));
  await run("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-keyout", key, "-out", cert,
    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
  const path = `${process.env.PATH}:/usr/local/go/bin`;
  await run("go", ["build", "-o", binary, "./examples/mcp-server"], { cwd: root, env: { ...process.env, PATH: path } });
  // The document of the client, at an https address that Cardea trusts.
  documents = createServer({ key: await readFile(key), cert: await readFile(cert) }, (request, response) => {
    const found = served.document && request.url === "/client.json";
    response.writeHead(found ? 200 : 404, { "Content-Type": "application/json", "Cache-Control": "max-age=60" }).end(JSON.stringify(found ? served.document : {}));
  });
  await new Promise((done) => documents.listen(0, "127.0.0.1", done));
  address = `https://localhost:${documents.address().port}/client.json`;
  served.document = { client_id: address, ...who };

  [cardea, browser] = await Promise.all([startCardea({ SSL_CERT_FILE: cert }), openBrowser()]);
  const port = await freePort();
  resource = `http://localhost:${port}/mcp`;
  const notes = await cardea.admin("POST", "/clients", { id: "notes", name: "Notes", type: "service", resource_server: true, identifiers: [resource] });
  await cardea.admin("PATCH", "/realm", { settings: {
    client_id_metadata_documents: "on", registration: "open", registration_scopes: "openid notes:read notes:write", registration_resources: `${resource} ${cardea.api}`,
  } });
  server = spawn(binary, [], { stdio: "inherit", env: {
    ...process.env, CARDEA_ISSUER: cardea.issuer, MCP_RESOURCE: resource, MCP_LISTEN: `127.0.0.1:${port}`, MCP_CLIENT_ID: notes.client.id, MCP_CLIENT_SECRET: notes.secret,
  } });
  await answers(`http://localhost:${port}/.well-known/oauth-protected-resource/mcp`, server);
});
after(async () => {
  server?.kill("SIGTERM");
  documents?.close();
  await browser?.close();
  await cardea?.close();
  if (dir) await rm(dir, { recursive: true, force: true });
});

/** What the SDK asks of an application; it remembers, as an application would. */
function application(clientMetadataUrl) {
  const kept = {};
  return {
    kept, clientMetadataUrl, redirectUrl: redirect, clientMetadata: who,
    clientInformation: () => kept.client, saveClientInformation: (client) => { kept.client = client; },
    tokens: () => kept.tokens, saveTokens: (tokens) => { kept.tokens = tokens; },
    codeVerifier: () => kept.verifier, saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
    redirectToAuthorization: (url) => { kept.asked = url; },
  };
}

const connection = (provider) => new StreamableHTTPClientTransport(new URL(resource), { authProvider: provider });

/** A person in a browser who is asked what an application wants. */
async function person() {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  const complaints = listen(page);
  await page.route("http://127.0.0.1:43110/**", (route) => route.fulfill({ status: 200, contentType: "text/html", body: "<title>application</title>" }));
  let signedIn = false;
  return {
    /** Goes where the application sends people, checks what the page says, agrees, and gives the code. */
    async agree(url, name, ...said) {
      await page.goto(url.href);
      if (!signedIn) await signIn(page);
      signedIn = true;
      await page.waitForURL("**/consent**");
      const text = await page.locator("main").innerText();
      for (const words of said) assert.ok(text.includes(words), `the consent page does not say ${words}:\n${text}`);
      if (name) await inspect(page, name);
      await allow(page);
      await page.waitForURL("http://127.0.0.1:43110/**");
      assert.deepEqual(complaints, []);
      return new URL(page.url()).searchParams.get("code");
    },
    close: () => context.close(),
  };
}

test("an MCP client that knows only the server's address calls a tool, and steps up for another", async () => {
  const provider = application(address);
  const ada = await person();
  let transport = connection(provider);
  await assert.rejects(new Client({ name: "e2e", version: "1" }).connect(transport), UnauthorizedError);
  assert.equal(provider.kept.client.client_id, address, "it is its document");
  assert.equal(provider.kept.asked.searchParams.get("resource"), resource);
  assert.equal(provider.kept.asked.searchParams.get("scope"), "notes:read");
  await transport.finishAuth(await ada.agree(provider.kept.asked, "consent-mcp", "Far Away Assistant", "goes by its address at localhost", "Notes", resource, "notes:read"));
  const claims = jose.decodeJwt(provider.kept.tokens.access_token);
  assert.equal([claims.aud].flat().join(), resource, "for this server alone");
  assert.equal(claims.client_id, address);

  transport = connection(provider);
  const client = new Client({ name: "e2e", version: "1" });
  await client.connect(transport);
  assert.deepEqual((await client.listTools()).tools.map((tool) => tool.name), ["list_notes", "add_note"]);
  assert.match((await client.callTool({ name: "list_notes", arguments: {} })).content[0].text, /no notes/);

  // Another API does not take the token, nor does Cardea.
  const bearer = { headers: { Authorization: `Bearer ${provider.kept.tokens.access_token}` } };
  for (const elsewhere of [`${cardea.api}/clock`, `${cardea.issuer}/oauth2/userinfo`, `${cardea.issuer}/api/v1/me`]) {
    const { status } = await fetch(elsewhere, bearer);
    assert.ok(status === 401 || status === 403, `${elsewhere} answers ${status}`);
  }

  // The other tool needs more: the person is asked for it, and then it works.
  await assert.rejects(client.callTool({ name: "add_note", arguments: { text: "buy hinges" } }), UnauthorizedError);
  assert.equal(provider.kept.asked.searchParams.get("scope"), "notes:read notes:write");
  await transport.finishAuth(await ada.agree(provider.kept.asked, undefined, "notes:write", "Notes"));
  assert.equal((await client.callTool({ name: "add_note", arguments: { text: "buy hinges" } })).content[0].text, "Noted.");
  assert.match((await client.callTool({ name: "list_notes", arguments: {} })).content[0].text, /buy hinges/);

  // The document vanishes: nothing new for anybody, what was given goes on.
  const before = served.document;
  served.document = undefined;
  assert.match((await client.callTool({ name: "list_notes", arguments: {} })).content[0].text, /buy hinges/);
  served.document = before;

  // Ended by an operator, the token dies at the MCP server, which hears of it by the stream.
  const { items } = await cardea.admin("GET", `/clients?limit=200`);
  const row = items.find((one) => one.id === address);
  assert.equal(row.source, "document");
  await cardea.admin("POST", `/clients/${row.principal}/disable`);
  let refused;
  await until("the MCP server refuses the token", async () => {
    refused = await fetch(resource, { method: "POST", headers: { ...bearer.headers, "Content-Type": "application/json" }, body: "{}" });
    return refused.status === 401;
  });
  assert.match(refused.headers.get("WWW-Authenticate"), /resource_metadata="http:\/\/localhost:\d+\/\.well-known\/oauth-protected-resource\/mcp"/);
  await client.close();
  await ada.close();
});

test("an MCP client without a document registers itself", async () => {
  const provider = application(undefined);
  const ada = await person();
  const transport = connection(provider);
  await assert.rejects(new Client({ name: "e2e", version: "1" }).connect(transport), UnauthorizedError);
  assert.match(provider.kept.client.client_id, /^cli_/);
  await transport.finishAuth(await ada.agree(provider.kept.asked, undefined, "Far Away Assistant", "registered itself", "Notes"));
  const client = new Client({ name: "e2e", version: "1" });
  await client.connect(connection(provider));
  assert.match((await client.callTool({ name: "list_notes", arguments: {} })).content[0].text, /notes|hinges/);
  await client.close();
  await ada.close();
});
