// Answers a window that asks whether the person is still signed in as they were
// when it got its session_state (OpenID Connect Session Management 1.0, section
// 3.3): "unchanged", "changed" or "error". Whoever asks is named by the browser,
// not by the message.
(() => {
  "use strict";

  const cookie = document.currentScript.dataset.cookie;

  const browserState = () => {
    for (const part of document.cookie.split(";")) {
      const [name, value] = part.trim().split("=");
      if (name === cookie) return value;
    }
    return "";
  };

  const hash = async (text) => {
    const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
    return btoa(String.fromCharCode(...sum)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  };

  const judge = async (message, origin) => {
    const parts = /^([\x21-\x7e]{1,200}) ([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{22})$/.exec(message);
    if (typeof message !== "string" || !parts) return "error";
    const [, client, state, salt] = parts;
    return (await hash([client, origin, browserState(), salt].join(" "))) === state ? "unchanged" : "changed";
  };

  window.addEventListener("message", async (event) => {
    if (!event.source || event.source === window || event.origin === "null") return;
    event.source.postMessage(await judge(event.data, event.origin).catch(() => "error"), event.origin);
  });
})();
