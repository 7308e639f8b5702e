// Applications whose callback leads on to yet another origin. Chromium holds
// every redirection after a form to the form-action of the page with the form,
// and that page cannot know where an application will lead.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { allow, inspect, listen, openBrowser, signIn } from "./lib/browser.mjs";
import { freePort, startCardea } from "./lib/cardea.mjs";

let cardea, browser, elsewhere, application;
before(async () => {
  [cardea, browser] = await Promise.all([startCardea(), openBrowser()]);
  elsewhere = await serve("http://localhost", (request, response) => response.setHeader("Content-Type", "text/html").end("<title>elsewhere</title>"));
  application = await serve("http://127.0.0.1", (request, response) => {
    const { pathname, search, searchParams } = new URL(request.url, application.origin);
    // To 204 a browser stays where it is.
    if (searchParams.get("state") === "slow" && !application.awake) return response.writeHead(204).end();
    response.writeHead(302, { Location: elsewhere.origin + pathname + search }).end();
  });
  const settings = {
    type: "web", scopes: ["openid", "profile"], grant_types: ["authorization_code"],
    redirect_uris: [`${application.origin}/callback`], post_logout_redirect_uris: [`${application.origin}/bye`],
  };
  await cardea.admin("POST", "/clients", { id: "own", name: "Own", first_party: true, ...settings });
  await cardea.admin("POST", "/clients", { id: "foreign", name: "Foreign", ...settings });
});
after(async () => {
  await browser?.close();
  application?.server.close();
  elsewhere?.server.close();
  await cardea?.close();
});

/** A web server that remembers what it was asked, on an origin of its own. */
async function serve(host, answer) {
  const port = await freePort();
  const seen = [];
  const server = createServer((request, response) => {
    seen.push({ method: request.method, url: request.url, referer: request.headers.referer });
    answer(request, response);
  });
  await new Promise((done) => server.listen(port, "127.0.0.1", done));
  return { server, seen, origin: `${host}:${port}` };
}

const authorize = (id, params) => `${cardea.issuer}/oauth2/authorize?` + new URLSearchParams({
  response_type: "code", client_id: id, redirect_uri: `${application.origin}/callback`, scope: "openid profile",
  code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", code_challenge_method: "S256", state: "it's;url=\"&", ...params,
});

/** Waits until the person is elsewhere, and gives what they were sent along with. */
async function arrival(page, path) {
  await page.waitForURL(`${elsewhere.origin}${path}?**`);
  const asked = application.seen.findLast((one) => one.url.startsWith(path));
  assert.deepEqual([asked.method, asked.referer], ["GET", undefined], "the application is opened like a link that tells nothing");
  return new URL(page.url()).searchParams;
}

for (const javaScriptEnabled of [true, false]) {
  test(`people arrive where the application leads, ${javaScriptEnabled ? "with" : "without"} scripts`, async () => {
    const context = await browser.newContext({ locale: "en-GB", javaScriptEnabled });
    const page = await context.newPage();
    const complaints = listen(page);
    const answered = async () => {
      const answer = await arrival(page, "/callback");
      assert.deepEqual([answer.get("state"), answer.get("iss")], ["it's;url=\"&", cardea.issuer]);
      return answer;
    };

    await page.goto(authorize("own"));
    await page.locator('button[name="do"][value="cancel"]').click();
    assert.equal((await answered()).get("error"), "access_denied", "cancelled at the sign-in");

    await page.goto(authorize("own"));
    await signIn(page);
    assert.ok((await answered()).has("code"), "signed in");

    await page.goto(authorize("own", { prompt: "select_account", response_mode: "query" }));
    await page.locator('button[name="do"][value="choose"]').click();
    assert.ok((await answered()).has("code"), "chose an account");

    await page.goto(authorize("foreign", { prompt: "consent" }));
    await page.locator('button[name="do"][value="deny"]').click();
    assert.equal((await answered()).get("error"), "access_denied", "did not agree");

    await page.goto(authorize("foreign", { prompt: "consent" }));
    await allow(page);
    assert.ok((await answered()).has("code"), "agreed");

    await page.goto(`${cardea.issuer}/oauth2/logout?` + new URLSearchParams({
      client_id: "foreign", post_logout_redirect_uri: `${application.origin}/bye`, state: "it's;url=\"&",
    }));
    await page.locator('button[name="do"][value="here"]').click();
    assert.equal((await arrival(page, "/bye")).get("state"), "it's;url=\"&", "signed out");
    await page.goto(authorize("own", { prompt: "none" }));
    assert.equal((await answered()).get("error"), "login_required", "really signed out");
    assert.deepEqual(complaints, []);
    await context.close();
  });
}

test("the page in between is usable, and no address to go back to holds a code", async () => {
  for (const locale of ["en-GB", "de-DE"]) {
    application.awake = false;
    const context = await browser.newContext({ locale });
    const page = await context.newPage();
    const complaints = listen(page);
    await page.goto(authorize("own", { state: "slow" }));
    await signIn(page);
    const link = page.getByRole("link", { name: locale === "de-DE" ? "Weiter" : "Continue" });
    await link.waitFor();
    assert.match(await page.locator("main").textContent(), new RegExp(new URL(application.origin).host));
    await inspect(page, `onward-${locale}`);
    application.awake = true;
    await link.click();
    assert.ok((await arrival(page, "/callback")).has("code"));

    const { currentIndex, entries } = await (await context.newCDPSession(page)).send("Page.getNavigationHistory");
    const before = entries.slice(0, currentIndex).map((entry) => entry.url);
    assert.deepEqual(before.filter((url) => url.includes("code=")), [], "addresses with a code to go back to");
    assert.deepEqual(complaints, []);
    await context.close();
  }
});

test("the page that leads on stays out of the history", async () => {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  await page.goto(authorize("own"));
  const form = page.url();
  await signIn(page);
  await arrival(page, "/callback");
  const { currentIndex, entries } = await (await context.newCDPSession(page)).send("Page.getNavigationHistory");
  assert.deepEqual(entries.slice(1).map((entry) => entry.url), [form, page.url()]);
  assert.equal(currentIndex, entries.length - 1);
  await context.close();
});
