// Apache as Debian ships it, in a folder of a test's own.
import { spawn } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { answers } from "./cardea.mjs";

const common = ["mpm_event", "authn_core", "authz_core", "authz_user", "dir", "mime", "include", "filter"];

/**
 * Starts Apache below server.dir with more modules than the common ones, more configuration and pages by their path, in
 * which server-side includes work. It is ready when base answers. Call close() in the end, before the server's folder goes.
 */
export async function startApache(server, base, { modules, config, pages, via = fetch }) {
  const dir = join(server.dir, "apache");
  for (const [path, text] of Object.entries({ "index.html": "<h1>public</h1>", ...pages })) {
    await mkdir(dirname(join(dir, "www", path)), { recursive: true });
    await writeFile(join(dir, "www", path), text);
  }
  await chmod(server.dir, 0o755); // Apache's workers are another user
  await writeFile(join(dir, "apache.conf"), `
ServerRoot ${dir}
ServerName localhost
PidFile ${dir}/pid
Mutex pthread
Listen 127.0.0.1:${new URL(base).port}
${[...common, ...modules].map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join("\n")}
User www-data
Group www-data
ErrorLog ${dir}/error.log
DocumentRoot ${dir}/www
TypesConfig /dev/null
AddType text/html .html
DirectoryIndex index.html index.shtml
AddType text/html .shtml
AddOutputFilter INCLUDES .shtml
<Directory ${dir}/www>
  Options +Includes
  Require all granted
</Directory>
${config}
`);
  const child = spawn("/usr/sbin/apache2", ["-f", join(dir, "apache.conf"), "-DFOREGROUND"], { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => { log += chunk; });
  const ended = new Promise((done) => child.once("exit", done));
  const close = async () => {
    child.kill("SIGTERM");
    await ended;
  };
  try {
    await answers(base, child, via);
  } catch (error) {
    await close();
    throw new Error(`${error.message}\n${log}`);
  }
  return { close };
}
