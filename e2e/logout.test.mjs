// Sign-out as applications learn of it: by frames (OpenID Connect Front-Channel
// Logout 1.0), by a request from server to server (Back-Channel Logout 1.0), and
// by asking a frame of Cardea's (Session Management 1.0). In a real Chromium.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import * as jose from "jose";
import { chromium } from "playwright-core";
import { inspect, launched, listen, openBrowser, signIn } from "./lib/browser.mjs";
import { freePort, startCardea } from "./lib/cardea.mjs";
import { until } from "./lib/until.mjs";

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

let cardea, browser, one, two;
before(async () => {
  [cardea, browser] = await Promise.all([startCardea(), openBrowser()]);
  // One shares the site of Cardea, the other does not.
  one = await application("one", "localhost");
  two = await application("two", "127.0.0.1");
});
after(async () => {
  await browser?.close();
  for (const app of [one, two]) app?.server.closeAllConnections(), app?.server.close();
  await cardea?.close();
});

/** An application: it redeems codes, has a page with the frame that tells of the session, and notes how it is told. */
async function application(id, host) {
  const port = await freePort();
  const app = { id, origin: `http://${host}:${port}`, framed: [], posted: [], frame: "<title>out</title>" };
  app.server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, app.origin);
    const html = (body) => response.setHeader("Content-Type", "text/html").end(`<!doctype html>${body}`);
    if (pathname === "/callback") {
      app.sessionState = searchParams.get("session_state");
      const answer = await fetch(`${cardea.issuer}/oauth2/token`, {
        method: "POST",
        body: new URLSearchParams({ grant_type: "authorization_code", client_id: id, code: searchParams.get("code"), redirect_uri: `${app.origin}/callback`, code_verifier: verifier }),
      });
      app.idToken = (await answer.json()).id_token;
      app.claims = app.idToken && jose.decodeJwt(app.idToken);
      return html("<title>welcome</title><main>welcome</main>");
    }
    if (pathname === "/frontchannel") {
      app.framed.push({ iss: searchParams.get("iss"), sid: searchParams.get("sid"), referer: request.headers.referer });
      if (app.silent) return; // never answers
      return html(app.frame);
    }
    if (pathname === "/backchannel") {
      let body = "";
      for await (const chunk of request) body += chunk;
      app.posted.push(new URLSearchParams(body).get("logout_token"));
      return response.writeHead(app.refuses ? 503 : 204).end();
    }
    if (pathname === "/bye") return html(`<title>bye</title><main>bye ${searchParams.get("state") ?? ""}</main>`);
    if (pathname === "/watch") {
      return html(`<title>watch</title><iframe id="op" src="${cardea.issuer}/checksession"></iframe><script>
        const frame = document.getElementById("op");
        const ready = new Promise((done) => frame.addEventListener("load", done));
        window.ask = async (message) => {
          await ready;
          return new Promise((done) => {
            window.addEventListener("message", (event) => { if (event.origin === ${JSON.stringify(cardea.issuer)}) done(event.data); }, { once: true });
            frame.contentWindow.postMessage(message, ${JSON.stringify(cardea.issuer)});
          });
        };</script>`);
    }
    response.writeHead(pathname === "/favicon.ico" ? 204 : 404).end();
  });
  await new Promise((done) => app.server.listen(port, host === "localhost" ? "localhost" : "127.0.0.1", done));
  await cardea.admin("POST", "/clients", {
    id, name: id, type: "spa", first_party: true, scopes: ["openid"], grant_types: ["authorization_code"], redirect_uris: [`${app.origin}/callback`],
    post_logout_redirect_uris: [`${app.origin}/bye`], frontchannel_logout_uri: `${app.origin}/frontchannel`, frontchannel_logout_session_required: true,
    backchannel_logout_uri: `${app.origin}/backchannel`,
  });
  return app;
}

const authorize = (app, params) => `${cardea.issuer}/oauth2/authorize?` + new URLSearchParams({
  response_type: "code", client_id: app.id, redirect_uri: `${app.origin}/callback`, scope: "openid", state: "s", code_challenge: challenge, code_challenge_method: "S256", ...params,
});

/** A browser that is signed in to both applications. */
async function signedIn(options, context) {
  context ??= await browser.newContext({ locale: "en-GB", ...options });
  const page = await context.newPage();
  for (const app of [one, two]) Object.assign(app, { framed: [], posted: [], silent: false, refuses: false, frame: "<title>out</title>" });
  await page.goto(authorize(one));
  await signIn(page);
  await page.waitForURL(`${one.origin}/callback?**`);
  await page.goto(authorize(two));
  await page.waitForURL(`${two.origin}/callback?**`);
  assert.ok(one.claims?.sid && two.claims?.sid && one.claims.sid !== two.claims.sid, "each application knows the session by a name of its own");
  return { context, page };
}

const leave = (app) => `${cardea.issuer}/oauth2/logout?` + new URLSearchParams({ id_token_hint: app.idToken, post_logout_redirect_uri: `${app.origin}/bye`, state: "it's \"&" });

const toldByFrames = (app) => assert.deepEqual(app.framed, [{ iss: cardea.issuer, sid: app.claims.sid, referer: undefined }], `${app.id} is told in a frame, once`);

for (const javaScriptEnabled of [true, false]) {
  test(`applications are told in frames, and the browser goes on, ${javaScriptEnabled ? "with" : "without"} scripts`, async () => {
    const { context, page } = await signedIn({ javaScriptEnabled });
    const complaints = listen(page);
    const began = Date.now();
    await page.goto(leave(one), { waitUntil: "commit" });
    await page.waitForURL(`${one.origin}/bye?**`);
    const took = Date.now() - began;
    if (javaScriptEnabled) assert.ok(took < 4_000, `with scripts it goes on when all have answered, not after ${took} ms`);
    assert.equal(new URL(page.url()).searchParams.get("state"), "it's \"&");
    toldByFrames(one);
    toldByFrames(two);
    assert.deepEqual(complaints, []);
    await page.goto(authorize(one, { prompt: "none" }));
    await page.waitForURL(`${one.origin}/callback?error=login_required**`);
    await context.close();
  });
}

test("an application that hangs, and one that wants the whole window, change nothing", async () => {
  const { context, page } = await signedIn();
  one.silent = true;
  two.frame = "<script>try { top.location = 'https://evil.example/'; } catch {} open('https://evil.example/'); alert(1)</script>";
  const dialogs = [];
  page.on("dialog", (dialog) => { dialogs.push(dialog.message()); dialog.dismiss(); });
  const began = Date.now();
  await page.goto(leave(two), { waitUntil: "commit" });
  await page.waitForURL(`${two.origin}/bye?**`);
  assert.ok(Date.now() - began > 3_000, "it waited for the one that hangs");
  assert.deepEqual(dialogs, []);
  assert.equal(context.pages().length, 1, "no window was opened");
  toldByFrames(two);
  await context.close();
});

test("the page in between is usable, in both languages", async () => {
  for (const locale of ["en-GB", "de-DE"]) {
    const { context, page } = await signedIn({ locale, javaScriptEnabled: true });
    one.silent = two.silent = true;
    // Without its script the page waits for the frames.
    await page.route("**/assets/cardea.*.js", (route) => route.abort());
    await page.goto(leave(one), { waitUntil: "commit" });
    const link = page.getByRole("link", { name: locale === "de-DE" ? "Weiter" : "Continue" });
    await link.waitFor();
    await inspect(page, `leaving-${locale}`);
    await link.click();
    await page.waitForURL(`${one.origin}/bye?**`);
    await context.close();
  }
});

test("applications are told from server to server, until they have heard it", async () => {
  const { context, page } = await signedIn();
  two.refuses = true;
  await page.goto(leave(one), { waitUntil: "commit" });
  await until("both are told", () => one.posted.length > 0 && two.posted.length > 0);
  const keys = jose.createRemoteJWKSet(new URL(`${cardea.issuer}/oauth2/jwks`));
  for (const app of [one, two]) {
    const { payload } = await jose.jwtVerify(app.posted[0], keys, { issuer: cardea.issuer, audience: app.id, typ: "logout+jwt" });
    assert.deepEqual([payload.sub, payload.sid, payload.events, payload.nonce], [app.claims.sub, app.claims.sid, { "http://schemas.openid.net/event/backchannel-logout": {} }, undefined]);
  }
  two.refuses = false;
  await until("the one that refused is told again", () => two.posted.length === 2);
  assert.notEqual(jose.decodeJwt(two.posted[0]).jti, jose.decodeJwt(two.posted[1]).jti);
  const { items } = await cardea.admin("GET", "/jobs?kind=backchannel-logout&target=two");
  assert.ok(items[0].attempts >= 2 && items[0].subject.startsWith("ses_"), JSON.stringify(items[0]));
  await context.close();
});

/** A browser that lets frames have the cookies of their sites, as not all do by default. */
async function withCookiesInFrames() {
  const folder = await mkdtemp(join(tmpdir(), "cardea-profile-"));
  await mkdir(join(folder, "Default"));
  await writeFile(join(folder, "Default/Preferences"), JSON.stringify({ profile: { block_third_party_cookies: false, cookie_controls_mode: 0 } }));
  const context = await chromium.launchPersistentContext(folder, { ...launched, locale: "en-GB" });
  context.setDefaultTimeout(20_000);
  context.on("close", () => rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  return context;
}

test("where cookies of other sites are kept out of frames, an application on another site hears \"changed\"", async () => {
  const { context } = await signedIn();
  const watch = await context.newPage();
  await watch.goto(`${two.origin}/watch`);
  assert.equal(await watch.evaluate((text) => window.ask(text), `two ${two.sessionState}`), "changed");
  await context.close();
});

test("a frame of Cardea's tells whether somebody is still signed in", async () => {
  const { context, page } = await signedIn({}, await withCookiesInFrames());
  const [stateOfOne, stateOfTwo] = [one.sessionState, two.sessionState];
  for (const [app, state] of [[one, stateOfOne], [two, stateOfTwo]]) {
    const watch = await context.newPage();
    const complaints = listen(watch);
    await watch.goto(`${app.origin}/watch`);
    const ask = (message) => watch.evaluate((text) => window.ask(text), message);
    assert.equal(await ask(`${app.id} ${state}`), "unchanged", app.id);
    assert.equal(await ask(`other ${state}`), "changed", "another client");
    assert.equal(await ask(`${app.id} ${app === one ? stateOfTwo : stateOfOne}`), "changed", "another's state");
    for (const junk of ["", "x", `${app.id} ${state} more`, `${app.id} x.y`]) assert.equal(await ask(junk), "error", JSON.stringify(junk));
    assert.equal(await watch.evaluate(() => window.ask({ not: "a text" })), "error");
    assert.deepEqual(complaints, []);
    await watch.close();
  }
  const watch = await context.newPage();
  await watch.goto(`${one.origin}/watch`);
  const ask = (message) => watch.evaluate((text) => window.ask(text), message);
  await page.goto(authorize(one, { prompt: "login" }));
  await page.locator('input[name="password"]').fill("turquoise walrus on a bicycle");
  await page.locator('button[name="do"]').first().click();
  await page.waitForURL(`${one.origin}/callback?**`);
  assert.equal(await ask(`one ${stateOfOne}`), "unchanged", "the same person proved again who they are");
  await page.goto(leave(one), { waitUntil: "commit" });
  await page.waitForURL(`${one.origin}/bye?**`);
  assert.equal(await ask(`one ${stateOfOne}`), "changed", "after the sign-out");
  await context.close();
});

test("no other page of ours can be framed", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${one.origin}/bye`);
  for (const [path, shown] of [["/checksession", true], ["/signin", false], ["/", false], ["/signedout", false]]) {
    const loaded = await page.evaluate(async (url) => {
      const frame = document.body.appendChild(document.createElement("iframe"));
      const done = new Promise((resolve) => frame.addEventListener("load", resolve));
      frame.src = url;
      await done;
      return frame.contentWindow.length >= 0;
    }, cardea.issuer + path);
    assert.ok(loaded);
    const frame = page.frames().at(-1);
    assert.equal(!frame.url().startsWith("chrome-error:"), shown, path);
  }
  await context.close();
});
