// The console, as an operator meets it: policies are written, asked, planned and applied, and roles given, with a
// script and without, on a phone and at twice the size, in two languages, and beside somebody who is no operator.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { inspect, listen, openBrowser, signIn } from "./lib/browser.mjs";
import { person, startCardea } from "./lib/cardea.mjs";
import { until } from "./lib/until.mjs";

let cardea, browser, me;
before(async () => {
  [cardea, browser] = await Promise.all([startCardea(), openBrowser()]);
  me = (await cardea.admin("GET", `/users/${person.login}`)).id;
  await cardea.admin("PUT", `/operators/${me}`, { role: "admin" });
  await cardea.admin("PATCH", "/realm", { settings: { operator_acr: "aal1" } });
});
after(async () => { await browser?.close(); await cardea?.close(); });

/** Opens a page of the console in a new browser, signing in on the way. */
async function open(path, options = {}, who = person) {
  const context = await browser.newContext({ locale: "en-GB", ...options });
  const page = await context.newPage();
  await page.goto(cardea.issuer + path);
  await signIn(page, who);
  await page.waitForURL("**" + path);
  return { context, page };
}

const ask = async (page, [subjectType, subject], action, [resourceType, resource]) => {
  await page.locator("#st").fill(subjectType);
  await page.locator("#si").fill(subject);
  await page.locator("#ac").fill(action);
  await page.locator("#rt").fill(resourceType);
  await page.locator("#ri").fill(resource);
};
const schema = "schema.cedarschema";

test("a folder is written, judged while it is typed, asked, planned and applied", async () => {
  const { context, page } = await open("/console/playground");
  const complaints = listen(page);
  await page.getByText("Valid: 2 policies, 10 roles").waitFor();
  await inspect(page, "playground-fresh");

  // A mistake is told with its place while it is typed, and the way there is a click.
  await page.getByRole("button", { name: "policies/classified.cedar", exact: true }).click();
  const area = page.locator(".file.on textarea");
  const text = await area.inputValue();
  await area.fill(text.replace("principal has guest && principal.guest", "principal.gest"));
  await page.getByText("1 problem").waitFor();
  assert.match(await page.locator("#problems a").first().textContent(), /^policies\/classified\.cedar:\d+:\d+$/);
  await inspect(page, "playground-problem");
  await page.getByRole("button", { name: schema, exact: true }).click();
  await page.locator("#problems a").first().click();
  assert.equal(await page.evaluate(() => document.activeElement === document.querySelector(".file.on textarea") && document.activeElement.selectionStart > 0), true);

  // What was written is there after a reload.
  await page.reload();
  await page.getByText("Here is what you were writing.").waitFor();
  await page.getByText("1 problem").waitFor();
  await page.locator('.file.on textarea').fill(text);
  await page.getByText("Valid: 2 policies").waitFor();

  // Questions are answered on the facts of a test, with the way drawn and told.
  await ask(page, ["user", "ben"], "edit", ["document", "roadmap"]);
  await page.locator("#wo").selectOption("tests/sharing.yaml: a group edits, and so do the groups inside");
  await page.getByRole("button", { name: "Ask", exact: true }).last().click();
  await page.locator(".verdict.yes").waitFor();
  assert.deepEqual(await page.locator("#path-words li").allTextContents(), [
    "user ben is a member of group design", "group design is a member of group staff", "group staff is editor of folder plans", "document roadmap is inside folder plans",
  ]);
  assert.equal(await page.locator(".sketch .node").count(), 5);
  await inspect(page, "playground-allowed");

  await page.locator("#wo").selectOption("tests/sharing.yaml: secret documents take two factors");
  await page.locator("#si").fill("ada");
  await page.locator("details summary", { hasText: "Context and properties" }).click();
  await page.locator("#cx").fill('{"acr": "aal1"}');
  await page.getByText("Not yet: a sign-in of the level aal2 would be allowed.").waitFor();
  assert.match(await page.locator("#answer").textContent(), /secrets-take-two-factors[\s\S]*policies\/classified\.cedar:\d+[\s\S]*secret documents take a sign-in with two factors/);
  assert.ok((await page.locator("#path-words li").allTextContents()).includes("user ada is owner of workspace acme"), "the role that is held is told of");
  await inspect(page, "playground-stepup");

  // It is applied as planned.
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  await page.getByRole("button", { name: "Apply this plan" }).waitFor();
  await inspect(page, "playground-plan");
  await page.locator("#why").fill("the first policies");
  await page.getByRole("button", { name: "Apply this plan" }).click();
  await page.getByText("Version 1 counts from now on.").waitFor();
  const version = await cardea.admin("GET", "/access/policy/versions/current");
  assert.deepEqual([version.number, version.message, version.by.id], [1, "the first policies", me]);
  assert.ok(version.plan, "applied with the hash of the plan");
  assert.deepEqual(complaints, []);
  await context.close();
});

test("who types faster than the server answers is not told of a failure", async () => {
  const { context, page } = await open("/console/playground");
  const held = [];
  await page.route("**/console/playground", (route) => { held.push(route); });
  const area = page.locator(".file.on textarea");
  const text = await area.inputValue();
  for (const [i, more] of ["// one\n", "// two\n"].entries()) {
    await area.fill(text + more);
    await until("it is judged", () => held.length > i);
  }
  await held[1].continue();
  await page.locator("form:not([aria-busy])").waitFor();
  assert.equal(await page.locator("#notice .bad").count(), 0);

  // What does fail is told, until something is answered.
  await area.fill(text + "// three\n");
  await until("it is judged", () => held.length > 2);
  await held[2].abort();
  await page.locator("#notice [role=alert]").waitFor();
  await area.fill(text + "// four\n");
  await until("it is judged", () => held.length > 3);
  await held[3].continue();
  await page.locator("#notice [role=alert]").waitFor({ state: "detached" });
  await context.close();
});

test("without scripts, at 320 pixels and twice the size: check, ask, plan, and what is refused keeps the draft", async () => {
  const { context, page } = await open("/console/playground", { javaScriptEnabled: false, viewport: { width: 320, height: 640 }, deviceScaleFactor: 2 });
  const file = page.locator('[data-path="policies/classified.cedar"] textarea');
  const text = await file.inputValue();
  await file.fill(text.replace("unless", "unlesss"));
  await page.getByRole("button", { name: "Check" }).click();
  await page.locator("#problems .problems li").first().waitFor();
  await file.fill(text + "// kept\n");
  await ask(page, ["user", "ada"], "read", ["document", "roadmap"]);
  await page.locator("#ri").press("Enter");
  await page.locator(".verdict.no").waitFor();
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 320);
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  await page.getByRole("button", { name: "Apply this plan" }).waitFor();

  // Somebody else's sign-out: the draft stays on the page, and goes on after the next sign-in.
  const { items } = await cardea.admin("GET", `/sessions?user=${me}`);
  for (const one of items) await cardea.admin("DELETE", `/sessions/${one.id}`);
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByRole("heading", { name: "Your draft is safe" }).waitFor();
  const [other] = await Promise.all([context.waitForEvent("page"), page.getByRole("link", { name: "Sign in again" }).click()]);
  await signIn(other);
  await other.getByText("Close this tab and go on where you were").waitFor();
  await other.close();
  await page.getByRole("button", { name: "I’m signed in, go on" }).click();
  await page.getByText("Valid: 2 policies").waitFor();
  assert.ok((await file.inputValue()).endsWith("// kept\n"));
  await context.close();
});

test("what takes a stronger sign-in says so, and the draft waits for it", async () => {
  const { context, page } = await open("/console/playground");
  await page.getByRole("button", { name: schema, exact: true }).click();
  await page.locator(".file.on textarea").press("ControlOrMeta+Home");
  await page.locator(".file.on textarea").pressSequentially("// a remark\n");
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  const apply = page.getByRole("button", { name: "Apply this plan" });
  await apply.waitFor();
  await cardea.admin("PATCH", "/realm", { settings: { operator_acr: "aal2" } });
  try {
    await apply.click();
    const again = page.locator("#notice").getByRole("link", { name: "Sign in again" });
    await again.waitFor();
    await inspect(page, "playground-again");
    const [stronger] = await Promise.all([context.waitForEvent("page"), again.click()]);
    await stronger.waitForURL("**/signin/**"); // where a second factor is added
    await stronger.close();
    await cardea.admin("PATCH", "/realm", { settings: { operator_acr: "aal1" } });
    const [other] = await Promise.all([context.waitForEvent("page"), again.click()]);
    await other.getByText("Close this tab").waitFor();
    await inspect(other, "console-back");
    await other.close();
    await apply.click();
    await page.getByText("Version 2 counts from now on.").waitFor();
    assert.match(await page.locator(".file.on textarea").inputValue(), /^\/\/ a remark\n/);
  } finally {
    await cardea.admin("PATCH", "/realm", { settings: { operator_acr: "aal1" } });
  }
  await context.close();
});

test("roles are given, found, shown in a plan and taken, as the command does it", async () => {
  const { context, page } = await open("/console/roles");
  const complaints = listen(page);
  for (const [who, role, type, what, until] of [["ada", "owner", "workspace", "acme"], ["cleo", "viewer", "document", "roadmap", "2099-07-01T09:30"], [me, "editor", "folder", "plans"]]) {
    await page.locator("#gst").fill("user");
    await page.locator("#gsi").fill(who);
    await page.locator("#gr").fill(role);
    await page.locator("#got").fill(type);
    await page.locator("#goi").fill(what);
    if (until) await page.locator("#gu").fill(until);
    await page.getByRole("button", { name: "Give", exact: true }).click();
    await page.getByText("It counts from now on, everywhere.").waitFor();
  }
  await inspect(page, "roles");
  const { items } = await cardea.admin("GET", "/access/relations?relation=viewer");
  assert.deepEqual(items.map((t) => [t.subject.id, t.object.id, t.expires_at]), [["cleo", "roadmap", "2099-07-01T09:30:00Z"]]);
  await page.locator(".type", { hasText: "document" }).getByRole("link", { name: "viewer" }).click();
  await page.waitForURL("**relation=viewer**");
  assert.equal(await page.locator(".held li").count(), 1);
  await page.getByRole("button", { name: "Remove: cleo viewer roadmap" }).click();
  await page.getByText("It counts no more, anywhere.").waitFor();
  await page.getByText("Nothing matches.").waitFor();
  const { items: events } = await cardea.admin("GET", "/events?action=access.change");
  assert.equal(events[0].actor.id, me);

  // A question on the facts of now.
  await page.goto(`${cardea.issuer}/console/playground`);
  await ask(page, ["user", me], "create", ["folder", "plans"]);
  await page.locator(".verdict.yes").waitFor();
  assert.match(await page.locator("#path-words").textContent(), new RegExp(`${me}.*is editor of folder plans`));
  await inspect(page, "playground-now");
  assert.deepEqual(complaints, []);
  await context.close();
});

test("a plan names who gains and who loses, as far as a page goes", async () => {
  const { secret } = await cardea.admin("POST", "/clients", { id: "pep", name: "Documents", type: "service", grant_types: ["client_credentials"], scopes: ["cardea:decide"] });
  const people = Array.from({ length: 57 }, (_, i) => `reader-${String(i).padStart(2, "0")}`);
  await cardea.admin("POST", "/access/changes", { add: people.map((id) => ({ subject: { type: "user", id }, relation: "viewer", object: { type: "document", id: "closed" } })) });
  const response = await fetch(`${cardea.issuer}/access/v1/evaluations`, {
    method: "POST", headers: { "Content-Type": "application/json", Authorization: "Basic " + Buffer.from(`pep:${secret}`).toString("base64") },
    body: JSON.stringify({ action: { name: "read" }, resource: { type: "document", id: "closed" }, evaluations: ["zoe", ...people].map((id) => ({ subject: { type: "user", id } })) }),
  });
  const answers = (await response.json()).evaluations;
  assert.deepEqual([answers.length, answers.filter((one) => one.decision).length], [58, 57]);
  await until("the decisions are written down", async () => (await cardea.admin("GET", "/access/decisions?subject_id=zoe")).items.length === 1);

  const { context, page } = await open("/console/playground");
  await page.getByRole("button", { name: "policies/classified.cedar", exact: true }).click();
  const area = page.locator(".file.on textarea");
  await area.fill(await area.inputValue() + `
@id("zoe-reads") permit (principal == user::"zoe", action == Action::"read", resource);
@id("closed") @reason("closed for now") forbid (principal, action == Action::"read", resource == document::"closed") unless { principal == user::"zoe" };
`);
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  await page.getByText("and 7 more; the command").waitFor();
  assert.deepEqual((await page.locator("#plan .figure strong").allTextContents()).slice(0, 3), ["1", "57", "0"]);
  const lists = page.locator("#plan .effects");
  assert.match(await lists.nth(0).textContent(), /user zoe\s+read\s+document closed[\s\S]*asked 1 time/);
  assert.equal(await lists.nth(1).locator("li").count(), 50);
  assert.match(await lists.nth(1).locator("li").first().textContent(), /user reader-00[\s\S]*closed for now/);
  await inspect(page, "playground-effects");
  await context.close();
});

/** Goes through a page by the Tab key, and gives what it met. */
async function walk(page) {
  const met = [];
  let stays = 0; // a date takes the key several times
  await page.locator("body").click({ position: { x: 1, y: 1 } });
  for (;;) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const e = document.activeElement;
      if (!e || e === document.body) return null;
      const style = getComputedStyle(e), box = e.getBoundingClientRect();
      const ring = (x) => { const s = getComputedStyle(x); return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0; };
      return { id: e.id || (e.tagName === "BUTTON" && e.name ? e.name + " " + e.value : e.name) || e.textContent.trim() || e.href, tag: e.tagName, seen: box.width > 0 && box.height > 0 && style.visibility === "visible",
        ring: ring(e) || ring(e.closest(".text.on") ?? e), same: window.last === (window.last = e), again: e.dataset.met === "1" || ((e.dataset.met = "1"), false) };
    });
    if (at?.same) {
      assert.ok(++stays < 10, `${at.id} lets nobody go on`);
      continue;
    }
    if (!at || at.again) return met;
    stays = 0;
    met.push(at);
    assert.ok(met.length < 300, "the way has an end");
  }
}

test("both pages are used by the keyboard alone", async () => {
  const { context, page } = await open("/console/playground");
  await page.getByText("Valid: 2 policies").waitFor();
  for (const [path, first, last] of [["/console/playground", ["si", "ac", "rt", "ri"], "do plan"], ["/console/roles", ["gst", "gsi", "gr", "got", "goi"], "do add"]]) {
    await page.goto(cardea.issuer + path);
    const met = await walk(page);
    assert.deepEqual(met.filter((one) => !one.seen || !one.ring), [], `${path}: what has the focus shows it`);
    const ids = met.map((one) => one.id);
    assert.deepEqual(first.map((id) => ids.indexOf(id)).filter((at, i, all) => at < 0 || i > 0 && at <= all[i - 1]), [], `${path}: ${ids.join(" ")}`);
    assert.ok(ids.includes(last), `${path}: no way to ${last}: ${ids.join(" ")}`);
  }
  const fill = async (field, ...texts) => {
    await page.locator(field).focus();
    for (const [i, text] of texts.entries()) {
      if (i > 0) await page.keyboard.press("Tab");
      await page.keyboard.type(text);
    }
    await page.keyboard.press("Enter");
  };
  await fill("#gst", "user", "kim", "viewer", "document", "roadmap");
  await page.getByText("It counts from now on, everywhere.").waitFor();
  await page.goto(`${cardea.issuer}/console/playground`);
  await fill("#st", "user", "kim", "read", "document", "roadmap");
  await page.locator(".verdict.yes").waitFor();
  await context.close();
});

test("a viewer looks and asks, and changes nothing; others see none of it, in either language", async () => {
  await cardea.admin("PUT", `/operators/${me}`, { role: "viewer" });
  const { context, page } = await open("/console/playground", { locale: "de-DE" });
  await page.getByText("Ihre Rolle erlaubt Ansehen und Fragen").waitFor();
  await inspect(page, "playground-viewer-de");
  await ask(page, ["user", "nobody"], "read", ["document", "roadmap"]);
  await page.getByText("keine Richtlinie erlaubt das").waitFor();
  await page.goto(`${cardea.issuer}/console/roles`);
  await page.getByRole("heading", { name: "Rollen und Zuteilungen" }).waitFor();
  assert.equal(await page.locator('button[value="add"], button[value="remove"]').count(), 0);
  await inspect(page, "roles-viewer-de");
  await cardea.admin("DELETE", `/operators/${me}`);
  await page.goto(`${cardea.issuer}/console/playground`);
  await page.getByRole("heading", { name: "Diese Seite ist für Betreiber" }).waitFor();
  await inspect(page, "console-nobody");
  await context.close();
});
