// Certificates of a test's own, and fetch that shows them.
import { execFile } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { Agent, fetch } from "undici";

const run = promisify(execFile);

/** Makes a P-256 key and a certificate for it in dir, signed by an issuer of the same making or by itself. */
export async function certificate(dir, name, { issuer, extensions = [] } = {}) {
  const [certFile, keyFile] = [join(dir, `${name}.crt`), join(dir, `${name}.key`)];
  await run("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", `/CN=${name}`,
    "-keyout", keyFile, "-out", certFile, ...(issuer ? ["-CA", issuer.certFile, "-CAkey", issuer.keyFile] : []),
    ...extensions.flatMap((extension) => ["-addext", extension])]);
  const [cert, key] = await Promise.all([readFile(certFile, "utf8"), readFile(keyFile, "utf8")]);
  const { raw, publicKey } = new X509Certificate(cert);
  return { cert, key, certFile, keyFile, publicKey, thumbprint: createHash("sha256").update(raw).digest("base64url") };
}

/** A certificate for localhost. */
export const serverCertificate = (dir) => certificate(dir, "localhost", { extensions: ["subjectAltName=DNS:localhost"] });

/** A fetch that trusts ca and shows a certificate, or none. Call close() in the end. */
export function fetchWith(ca, { cert, key } = {}) {
  const dispatcher = new Agent({ connect: { ca, cert, key } });
  const via = (url, options) => fetch(url, { ...options, dispatcher });
  via.close = () => dispatcher.close();
  return via;
}
