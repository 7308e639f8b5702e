// An edge beside a program in Node: the real one, which follows the real server, asked by js/edge over its socket; and
// the client's own tests, before an edge that answers as each wants.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Edge } from "../js/edge/index.js";
import "../js/edge/index.test.js";
import { binary, startCardea } from "./lib/cardea.mjs";
import { until } from "./lib/until.mjs";

let dir, cardea, child, edge;
before(async () => {
  [dir, cardea] = await Promise.all([mkdtemp(join(tmpdir(), "cardea-edge-")), startCardea()]);
  const folder = new URL("../examples/policies/payments/", import.meta.url);
  const names = (await readdir(folder, { recursive: true })).filter((name) => /\.(cedar|cedarschema|yaml)$/.test(name));
  const files = await Promise.all(names.map(async (name) => ({ path: name, text: await readFile(new URL(name, folder), "utf8") })));
  await cardea.admin("POST", "/access/policy/versions", { files });
  await cardea.admin("POST", "/access/changes", {
    add: [{ subject: user("ada"), relation: "approver", object: { type: "account", id: "a1" } }, ...["p1", "p2"].map((id) => ({ subject: payment(id), relation: "parent", object: { type: "account", id: "a1" } }))],
    set: [set(user("ada"), "limit", 500), ...["p1", "p2"].flatMap((id) => [set(payment(id), "status", "active"), set(payment(id), "amount", 100), set(payment(id), "entered_by", { type: "user", id: "bob" })])],
  });
  const { secret } = await cardea.admin("POST", "/clients", { id: "till-edge", name: "Edge of the till", type: "service", grant_types: ["client_credentials"], scopes: ["cardea:edge"] });
  await writeFile(join(dir, "secret"), secret, { mode: 0o600 });
  const socket = join(dir, "s");
  child = spawn(binary, ["edge", "--issuer", cardea.issuer, "--client", "till-edge", "--secret-file", join(dir, "secret"), "--dir", join(dir, "data"), "--listen", "unix:" + socket],
    { stdio: ["ignore", "inherit", "inherit"] });
  edge = new Edge({ socket });
  await until("the edge decides", async () => {
    try { return (await edge.decide(approve("p1"))).allowed; } catch { return false; }
  });
});
after(async () => {
  edge?.close();
  child?.kill();
  await cardea?.close();
  await rm(dir, { recursive: true });
});

const user = (id) => ({ type: "user", id });
const payment = (id) => ({ type: "payment", id });
const set = (entity, name, value) => ({ entity, name, value });
const approve = (id, more) => ({ subject: user("ada"), action: "approve", resource: payment(id), ...more });

test("a real edge decides beside the program, and follows what the server was told", async () => {
  const ids = async () => { const all = []; for await (const id of edge.resources({ ...approve(), resource: { type: "payment" } })) all.push(id); return all; };
  assert.deepEqual((await ids()).sort(), ["p1", "p2"]);
  const { revision } = await cardea.admin("POST", "/access/changes", { set: [set(payment("p1"), "status", "canceled")] });
  const now = await edge.decide(approve("p1", { minRevision: revision }));
  assert.equal(now.allowed, false);
  assert.ok(now.reasons.some((reason) => reason.policy === "only-active-payments-move"), JSON.stringify(now));
  assert.deepEqual((await edge.decideAll([approve("p1"), approve("p2")])).map((one) => one.allowed), [false, true]);
  assert.deepEqual(await ids(), ["p2"]);
  await cardea.close();
  assert.equal((await edge.decide(approve("p2"))).allowed, true, "it goes on when it is cut off");
});
