/** Waits until a check, which may be a promise, says true; fails with what was awaited after patience in ms. */
export async function until(what, check, patience = 20_000) {
  for (const end = performance.now() + patience; performance.now() < end;) {
    if (await check()) return;
    await new Promise((done) => setTimeout(done, 10));
  }
  throw new Error(`${what}: not within ${patience} ms`);
}
