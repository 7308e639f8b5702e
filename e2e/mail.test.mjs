// Mail through an SMTP server that other people wrote, with TLS and authentication.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startCardea } from "./lib/cardea.mjs";
import { startMail } from "./lib/smtpd.mjs";
import { serverCertificate } from "./lib/tls.mjs";

let dir, mail, cardea;

before(async () => {
  dir = await mkdtemp(join(tmpdir(), "cardea-mail-"));
  mail = await startMail(dir);
  cardea = await startCardea(mail.env);
});
after(async () => {
  await cardea?.close();
  await mail?.close();
  await rm(dir, { recursive: true, force: true });
});

const outcome = async (job, of = cardea) => {
  for (const end = Date.now() + 20_000; Date.now() < end;) {
    const now = await of.admin("GET", `/jobs/${job.id}`);
    if (now.state === "done" || now.state === "dead" || now.last_error) return now;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error("the letter has no outcome");
};

test("a letter goes through STARTTLS and AUTH, as text and HTML", async () => {
  const job = await outcome(await cardea.admin("POST", "/mail-tests", { to: "ada@example.com" }));
  assert.equal(job.state, "done", job.last_error);
  const [message] = await mail.messages();
  for (const line of ["X-Mail-From: id@example.org", "X-Rcpt-To: ada@example.com", "Auto-Submitted: auto-generated", `Message-ID: <${job.id}@example.org>`,
    "Content-Type: multipart/alternative", "Content-Type: text/plain; charset=UTF-8", "Content-Type: text/html; charset=UTF-8"]) {
    assert.ok(message.includes(line), `${line} is missing in\n${message}`);
  }
  assert.doesNotMatch(message, /go-mail/);
});

test("an unknown recipient ends it, a full mailbox is tried again", async () => {
  const gone = await outcome(await cardea.admin("POST", "/mail-tests", { to: "nobody@example.com" }));
  assert.equal(gone.state, "dead");
  assert.match(gone.last_error, /: 550/);
  const full = await outcome(await cardea.admin("POST", "/mail-tests", { to: "full@example.com" }));
  assert.equal(full.state, "waiting");
  assert.match(full.last_error, /: 452/);
  assert.ok(!full.last_error.includes("full@example.com"));
});

test("a certificate of another authority, and a wrong password, send nothing", async () => {
  const other = await mkdtemp(join(dir, "other-"));
  const { certFile } = await serverCertificate(other);
  const before = (await mail.messages()).length;
  for (const [env, words] of [[{ CARDEA_MAIL_CA_FILE: certFile }, /certificate/], [{ CARDEA_MAIL_PASSWORD: "not this" }, /answers 5/]]) {
    const wrong = await startCardea({ ...mail.env, ...env });
    try {
      const job = await outcome(await wrong.admin("POST", "/mail-tests", { to: "ada@example.com" }), wrong);
      assert.match(job.last_error, words);
      assert.ok(!wrong.log().includes("not this"));
    } finally {
      await wrong.close();
    }
  }
  assert.equal((await mail.messages()).length, before);
});

test("where no server is named, letters are shown on a page", async () => {
  const shown = await startCardea({ CARDEA_MAIL_SERVER: "" });
  try {
    assert.match(shown.log(), /\/dev\/mail/);
    await outcome(await shown.admin("POST", "/mail-tests", { to: "ada@example.com" }), shown);
    const list = await (await fetch(`${shown.issuer}/dev/mail`)).text();
    const [, path] = list.match(/href="(\/dev\/mail\/[^"]+)"/);
    const letter = await fetch(shown.issuer + path);
    assert.match(await letter.text(), /An operator of/);
    assert.match((await fetch(`${shown.issuer}${path}/html`)).headers.get("content-security-policy"), /sandbox/);
  } finally {
    await shown.close();
  }
  assert.equal((await fetch(`${cardea.issuer}/dev/mail`)).status, 404);
});
