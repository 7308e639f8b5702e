// Headless Chromium now and then stops making frames for a page, for good, while its scripts go on: other projects
// meet it too, and neither time nor a reload brings the frames back. Playwright waits for two of them before it
// clicks, so that the click times out with nothing said but that it waits for the element to be stable. This reporter
// of node:test names the files that failed by that first, if nothing failed elsewhere, to be run once more in a new browser.

const waits = /waiting for element to be (visible, enabled|visible) and stable\s*$/;

/** Whether an error is a click that waited for a frame to the end. An element that moves is told of after it. */
export const stalled = (error) => error?.name === "TimeoutError" && waits.test(String(error.message).replace(/\u001b\[\d+m/g, ""));

export default async function* (events) {
  const failed = new Set(), again = new Set();
  for await (const { type, data } of events) {
    if (type !== "test:fail") continue;
    if (failed.has(data.file)) continue; // it may build on what failed before
    failed.add(data.file);
    if (stalled(data.details.error.cause ?? data.details.error)) again.add(data.file);
  }
  if (again.size === failed.size) for (const file of again) yield file + "\n";
}
