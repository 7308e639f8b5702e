// What is run once more, and what is not: a fault of ours must never be taken for one of the browser.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser } from "./lib/browser.mjs";
import reporter, { stalled } from "./lib/stalled.mjs";

let browser;
before(async () => { browser = await openBrowser(); });
after(() => browser?.close());

/** The error of a click on a page's button. */
async function refusal(html) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.setContent(html);
  const error = await page.locator("button").click({ timeout: 700 }).then(() => null, (e) => e);
  await context.close();
  return error;
}

test("an element that is disabled, hidden, covered, moving or missing is a fault", async () => {
  for (const html of [
    "<button disabled>a</button>", "<button hidden>a</button>", "<p>nothing</p>", "<button>a</button><div style='position:fixed;inset:0'></div>",
    "<style>@keyframes go { to { margin-left: 900px } } button { animation: go 2s linear infinite alternate }</style><button>a</button>",
  ]) {
    const error = await refusal(html);
    assert.equal(error?.name, "TimeoutError", html);
    assert.equal(stalled(error), false, error.message);
  }
});

test("a page without frames is not", async () => {
  const { processInfo } = await (await browser.newBrowserCDPSession()).send("SystemInfo.getProcessInfo");
  const display = processInfo.find((p) => p.type === "GPU").id;
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.setContent("<button>a</button>");
  process.kill(display, "SIGSTOP"); // nobody draws
  const lost = await page.locator("button").click({ timeout: 700 }).then(() => null, (e) => e).finally(() => process.kill(display, "SIGCONT"));
  assert.ok(stalled(lost), lost?.message);
  await context.close();

  assert.deepEqual(await named(), []);
  assert.deepEqual(await named(["a", lost], ["a", new Error("what builds on it")], ["b", lost]), ["a", "b"]);
  assert.deepEqual(await named(["a", lost], ["b", new Error("wrong")]), []);
  assert.deepEqual(await named(["a", new Error("wrong")]), []);
  assert.deepEqual(await named(["a", new Error("wrong")], ["a", lost]), []); // it failed before the browser stalled
});

/** What the reporter says of failures. */
async function named(...failures) {
  const events = failures.map(([file, cause]) => ({ type: "test:fail", data: { file, details: { error: Object.assign(new Error("failed"), { cause }) } } }));
  let out = "";
  for await (const line of reporter(events)) out += line;
  return out.split("\n").filter(Boolean);
}
