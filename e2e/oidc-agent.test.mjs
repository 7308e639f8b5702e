// oidc-agent (Debian's package) registers itself, signs somebody in through a
// real browser, and gets tokens for the command line from then on.
import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { allow, openBrowser, signIn } from "./lib/browser.mjs";
import { freePort, startCardea } from "./lib/cardea.mjs";

const run = promisify(execFile);
let cardea, browser, home, agent, env;
before(async () => {
  [cardea, browser] = await Promise.all([startCardea(), openBrowser()]);
  await cardea.admin("PATCH", "/realm", { settings: { registration: "initial_access_token" } });
  home = await mkdtemp(join(tmpdir(), "cardea-oidc-agent-"));
  env = { ...process.env, HOME: home, OIDC_CONFIG_DIR: join(home, "oidc-agent"), OIDC_ENCRYPTION_PW: "a password of the agent" };
  const said = execFileSync("oidc-agent", [], { env }).toString();
  env.OIDC_SOCK = /OIDC_SOCK=([^;]+);/.exec(said)[1];
  agent = Number(/OIDCD_PID=(\d+);/.exec(said)[1]);
});
after(async () => {
  if (agent) process.kill(agent);
  await browser?.close();
  await cardea?.close();
  if (home) await rm(home, { recursive: true, force: true });
});

test("oidc-agent registers itself and gets tokens", async () => {
  const { token } = await cardea.admin("POST", "/initial-access-tokens", { name: "oidc-agent", uses: 1, expires_in: 600 });
  const generate = spawn("oidc-gen", ["-v", "--issuer", cardea.issuer, "--access-token", token, "--scope", "openid email offline_access", "--flow=code", "--no-scheme",
    `--port=${await freePort()}`, "--no-url-call", "--prompt=none", "--confirm-default", "--pw-env", "command-line"], { env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  const ended = new Promise((done) => generate.once("exit", done));
  const asked = new Promise((found, fail) => {
    for (const stream of [generate.stdout, generate.stderr]) {
      stream.on("data", (chunk) => {
        said += chunk;
        const url = /https?:\/\/\S+\/oauth2\/authorize\?\S+/.exec(said);
        if (url) found(url[0]);
      });
    }
    ended.then(() => fail(new Error(`oidc-gen ended:\n${said}`)));
  });
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  await page.goto(await asked);
  await signIn(page);
  await page.waitForURL("**/consent**");
  await page.getByText("This application registered itself.").waitFor();
  await allow(page);
  assert.equal(await ended, 0, said);
  await context.close();

  const access = (await run("oidc-token", ["command-line"], { env })).stdout.trim();
  const info = await fetch(`${cardea.issuer}/oauth2/userinfo`, { headers: { Authorization: `Bearer ${access}` } });
  assert.equal((await info.json()).email, "demo@example.com");
  const again = (await run("oidc-token", ["--force-new", "command-line"], { env })).stdout.trim();
  assert.notEqual(again, access, "a refreshed token");
  const { items } = await cardea.admin("GET", "/clients?limit=200");
  assert.ok(items.some((one) => one.source === "registration" && one.name.startsWith("oidc-agent")));
});

test("oidc-agent is connected as a device that has no browser", async () => {
  const { secret } = await cardea.admin("POST", "/clients", {
    id: "terminal", name: "Terminal", type: "web", grant_types: ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
    scopes: ["openid", "email", "offline_access"],
  });
  const generate = spawn("oidc-gen", ["-v", "--manual", "--issuer", cardea.issuer, "--client-id", "terminal", `--client-secret=${secret}`, "--scope", "openid email offline_access",
    "--redirect-url=http://localhost:8080", "--flow=device", "--no-scheme", "--no-url-call", "--prompt=none", "--confirm-default", "--pw-env", "by-device"], { env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  const ended = new Promise((done) => generate.once("exit", done));
  const asked = new Promise((found, fail) => {
    for (const stream of [generate.stdout, generate.stderr]) {
      stream.on("data", (chunk) => {
        said += chunk;
        const code = /\b([A-Z]{4}-[A-Z]{4})\b/.exec(said);
        if (code) found(code[1]);
      });
    }
    ended.then(() => fail(new Error(`oidc-gen ended:\n${said}`)));
  });
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  await page.goto(`${cardea.issuer}/device?user_code=${await asked}`);
  await page.getByRole("button", { name: "Continue" }).click();
  await signIn(page);
  await page.waitForURL("**/consent**");
  await allow(page);
  assert.equal(await ended, 0, said);
  await context.close();
  const access = (await run("oidc-token", ["by-device"], { env })).stdout.trim();
  const info = await fetch(`${cardea.issuer}/oauth2/userinfo`, { headers: { Authorization: `Bearer ${access}` } });
  assert.equal((await info.json()).email, "demo@example.com");
});
