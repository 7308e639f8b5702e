// An authenticator app as other people wrote it: oathtool of OATH Toolkit.
import { execFileSync } from "node:child_process";

const period = 30;

/**
 * An app that knows a key in base32. next() is a code that it has not given yet, of the earliest time step that is still
 * accepted (RFC 6238, section 5.2), so that several can be used without waiting for the clock.
 */
export function authenticatorApp(key, algorithm = "SHA1") {
  let last = 0;
  return {
    async next() {
      for (;;) {
        const seconds = Date.now() / 1000;
        const present = Math.floor(seconds / period);
        const step = Math.max(last + 1, present - 1);
        const left = period - (seconds % period);
        // Neither of a step that is yet to come into the window, nor of one that may leave it on the way.
        if (step <= present + 1 && (step >= present || left > 3)) {
          last = step;
          return codeAt(key, algorithm, step);
        }
        await new Promise((done) => setTimeout(done, (left + 0.05) * 1000));
      }
    },
  };
}

function codeAt(key, algorithm, step) {
  const args = ["--base32", `--totp=${algorithm.toLowerCase()}`, "--digits=6", `--time-step-size=${period}s`, `--now=@${step * period}`, "-"];
  return execFileSync("oathtool", args, { input: key.replaceAll(" ", "") + "\n", encoding: "utf8" }).trim();
}
