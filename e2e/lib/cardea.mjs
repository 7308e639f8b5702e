// Starts the real binary for a test file: `cardea dev` on free ports, with its
// demonstration, an automation client for the admin API and a known person.
import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { fetchWith, serverCertificate } from "./tls.mjs";

const run = promisify(execFile);
export const binary = resolve(process.env.CARDEA_BIN ?? join(import.meta.dirname ?? ".", "../../bin/cardea"));
export const person = { login: "demo@example.com", password: "turquoise walrus on a bicycle" };

/** A port that nobody uses at the moment. */
export function freePort() {
  return new Promise((done, fail) => {
    const server = createServer().once("error", fail).listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

/**
 * Starts `cardea dev` in a folder of its own, with more of an environment. With tls it serves https, and asks for clients'
 * certificates at a second address; ca is then the certificate to trust. fetch reaches it either way. Call close() in the end.
 */
export async function startCardea(more = {}, { tls = false } = {}) {
  const dir = await mkdtemp(join(tmpdir(), "cardea-e2e-"));
  const [port, appPort, apiPort] = [await freePort(), await freePort(), await freePort()];
  const issuer = `${tls ? "https" : "http"}://localhost:${port}`;
  const own = tls ? await serverCertificate(dir) : undefined;
  const via = tls ? fetchWith(own.cert) : fetch;
  const asking = tls ? await freePort() : undefined;
  const passwordFile = join(dir, "password");
  await writeFile(passwordFile, person.password + "\n", { mode: 0o600 });
  const env = {
    ...process.env,
    ...more,
    CARDEA_ISSUER: issuer,
    CARDEA_LISTEN: `127.0.0.1:${port}`,
    CARDEA_DATA: join(dir, "data"),
    CARDEA_DEMO_APP_LISTEN: `127.0.0.1:${appPort}`,
    CARDEA_DEMO_API_LISTEN: `127.0.0.1:${apiPort}`,
    ...(tls ? {
      CARDEA_TLS_CERT_FILE: own.certFile, CARDEA_TLS_KEY_FILE: own.keyFile, SSL_CERT_FILE: own.certFile, // the demonstration trusts it, too
      CARDEA_MTLS_LISTEN: `127.0.0.1:${asking}`, CARDEA_MTLS_URL: `https://localhost:${asking}`,
    } : {}),
  };
  const automation = JSON.parse((await run(binary, ["setup", "--automation", "--output", "json"], { env })).stdout);
  const child = spawn(binary, ["dev", "--password-file", passwordFile], { env, stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => { log += chunk; });
  const ended = new Promise((done) => child.once("exit", done));

  const server = {
    issuer, app: `http://localhost:${appPort}`, api: `http://localhost:${apiPort}`, dir, env, ca: own?.cert, fetch: via,
    log: () => log,
    async close() {
      child.kill("SIGTERM");
      await ended;
      await via.close?.();
      await rm(dir, { recursive: true, force: true });
    },
    /** Calls the admin API as the automation client. */
    async admin(method, path, body) {
      const token = await adminToken(issuer, automation, via);
      const response = await via(`${issuer}/api/v1${path}`, {
        method,
        headers: { Authorization: `Bearer ${token}`, ...(body ? { "Content-Type": "application/json" } : {}) },
        body: body ? JSON.stringify(body) : undefined,
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
      return text ? JSON.parse(text) : undefined;
    },
  };
  try {
    await answers(`${issuer}/readyz`, child, via);
    await answers(server.app, child);
  } catch (error) {
    child.kill("SIGKILL");
    throw new Error(`${error.message}\n${log}`);
  }
  return server;
}

async function adminToken(issuer, automation, via) {
  const response = await via(`${issuer}/oauth2/token`, {
    method: "POST",
    headers: { Authorization: "Basic " + Buffer.from(`${encodeURIComponent(automation.client_id)}:${encodeURIComponent(automation.client_secret)}`).toString("base64") },
    body: new URLSearchParams({ grant_type: "client_credentials", scope: "cardea:admin", resource: `${issuer}/api/v1` }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`admin token: ${JSON.stringify(answer)}`);
  return answer.access_token;
}

/** Waits until an address answers 200, for ten seconds at most. */
export async function answers(url, child, via = fetch) {
  for (const end = Date.now() + 10_000; Date.now() < end;) {
    if (child && child.exitCode !== null) throw new Error(`ended with ${child.exitCode} before ${url} answered`);
    try {
      if ((await via(url)).ok) return;
    } catch { /* not listening yet */ }
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error(`${url} does not answer`);
}
