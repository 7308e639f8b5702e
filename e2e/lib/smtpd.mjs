// Starts an SMTP server with TLS (python3-aiosmtpd) and reads what it was sent.
import { spawn } from "node:child_process";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "./cardea.mjs";
import { serverCertificate } from "./tls.mjs";

/** Starts the server with its files in a folder. env is what Cardea needs to send through it. */
export async function startMail(dir) {
  const { certFile, keyFile } = await serverCertificate(dir);
  const folder = join(dir, "mail");
  await mkdir(folder);
  const port = await freePort();
  const child = spawn("/usr/bin/python3", [join(import.meta.dirname, "smtpd.py"), String(port), certFile, keyFile, folder, "cardea", "let me in"],
    { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  await new Promise((ready, fail) => {
    child.stdout.on("data", (chunk) => { if (String(chunk).includes("ready")) ready(); });
    child.stderr.on("data", (chunk) => { log += chunk; });
    child.once("exit", () => fail(new Error(`the mail server ended:\n${log}`)));
  });
  return {
    port, certFile,
    env: {
      CARDEA_MAIL_SERVER: `localhost:${port}`, CARDEA_MAIL_TLS: "starttls", CARDEA_MAIL_CA_FILE: certFile, CARDEA_MAIL_FROM: "id@example.org",
      CARDEA_MAIL_USERNAME: "cardea", CARDEA_MAIL_PASSWORD: "let me in",
    },
    /** The messages so far, the oldest first. */
    async messages() {
      const names = (await readdir(folder)).filter((name) => name.endsWith(".eml")).sort();
      return Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
    },
    close: () => new Promise((done) => { child.once("exit", done); child.kill("SIGKILL"); }),
  };
}
