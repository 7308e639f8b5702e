// A real Chromium, and what tests do with it again and again.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { chromium } from "playwright-core";
import { person } from "./cardea.mjs";

/** How Chromium is started: Debian's, as root, without the devices that test machines lack. */
export const launched = { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-quic"] };

export async function openBrowser() {
  const browser = await chromium.launch(launched);
  const open = browser.newContext.bind(browser);
  browser.newContext = async (options) => {
    const context = await open(options);
    context.setDefaultTimeout(20_000);
    return context;
  };
  return browser;
}

/** The ways in which every page must be usable. Of the other pair of size and scheme only contrast is judged: the rest is told by either. */
export const looks = [
  { name: "phone-light", viewport: { width: 320, height: 640 }, colorScheme: "light" },
  { name: "phone-dark", viewport: { width: 320, height: 640 }, colorScheme: "dark", only: ["color-contrast"] },
  { name: "desktop-light", viewport: { width: 1280, height: 800 }, colorScheme: "light", only: ["color-contrast"] },
  { name: "desktop-dark", viewport: { width: 1280, height: 800 }, colorScheme: "dark" },
];

/** Fails on anything axe calls serious or critical, on sideways scrolling and on blocked resources. */
export async function inspect(page, name) {
  for (const look of looks) {
    await page.setViewportSize(look.viewport);
    await page.emulateMedia({ colorScheme: look.colorScheme, reducedMotion: "reduce" });
    if (process.env.CARDEA_SCREENSHOTS) {
      mkdirSync(process.env.CARDEA_SCREENSHOTS, { recursive: true });
      await page.screenshot({ path: join(process.env.CARDEA_SCREENSHOTS, `${name}-${look.name}.png`), fullPage: true });
    }
    const axe = new AxeBuilder({ page }).setLegacyMode(true).options({ resultTypes: ["violations"] });
    if (look.only) axe.withRules(look.only);
    const { violations } = await axe.analyze();
    const grave = violations.filter((v) => v.impact === "serious" || v.impact === "critical");
    assert.deepEqual(grave.map((v) => `${v.id}: ${v.nodes[0].html}`), [], `${name} (${look.name})`);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= look.viewport.width, `${name} (${look.name}) is ${width} wide`);
  }
}

/** Collects what the console says about policy violations and script errors. */
export function listen(page) {
  const complaints = [];
  page.on("console", (message) => { if (message.type() === "error") complaints.push(message.text()); });
  page.on("pageerror", (error) => complaints.push(String(error)));
  return complaints;
}

/** Answers the sign-in page. */
export async function signIn(page, { login, password } = person) {
  await page.locator('input[name="identifier"]').fill(login);
  await page.locator('input[name="password"]').fill(password);
  await page.locator('button[name="do"][value="signin"]').click();
}

/** Allows what is asked after a sign-in, if anything is, on the way to an address. */
export async function allowOnTheWayTo(page, address) {
  await page.waitForURL((url) => url.pathname === "/consent" || url.href.startsWith(address));
  if (new URL(page.url()).pathname === "/consent") await allow(page);
}

export async function allow(page) {
  await page.locator('button[name="do"][value="allow"]').click();
}
