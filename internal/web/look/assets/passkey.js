// Passkeys: what a page asks of the browser (WebAuthn Level 3). The options are
// in the page, and the answer is sent with its form, so that nothing is fetched.
(() => {
  "use strict";

  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const optional = (buffer) => (buffer ? text(buffer) : "");

  // Options as they are in the page have base64url where browsers want bytes.
  const decoded = (options) => {
    const named = (list) => (list ?? []).map((c) => ({ ...c, id: bytes(c.id) }));
    const o = { ...options, challenge: bytes(options.challenge) };
    if (o.user) o.user = { ...o.user, id: bytes(o.user.id) };
    if (o.allowCredentials) o.allowCredentials = named(o.allowCredentials);
    if (o.excludeCredentials) o.excludeCredentials = named(o.excludeCredentials);
    return o;
  };

  const encoded = (credential) => {
    const { response } = credential;
    return JSON.stringify({
      id: text(credential.rawId), rawId: text(credential.rawId), type: credential.type,
      response: {
        clientDataJSON: optional(response.clientDataJSON), attestationObject: optional(response.attestationObject),
        authenticatorData: optional(response.authenticatorData), signature: optional(response.signature), userHandle: optional(response.userHandle),
        transports: response.getTransports?.() ?? [],
      },
    });
  };

  // Devices are told what is accepted here, and what is not, so that they do not
  // offer what is gone. Browsers that know nothing of it are asked nothing.
  const signal = (name, value) => {
    const method = window.PublicKeyCredential?.[name];
    if (method) method.call(window.PublicKeyCredential, value).catch(() => {});
  };
  for (const { dataset } of document.querySelectorAll("[data-passkeys]")) {
    const { rpId, userId, allAcceptedCredentialIds, name, displayName } = JSON.parse(dataset.passkeys);
    signal("signalAllAcceptedCredentials", { rpId, userId, allAcceptedCredentialIds });
    signal("signalCurrentUserDetails", { rpId, userId, name, displayName });
  }
  for (const { dataset } of document.querySelectorAll("[data-passkey-gone]")) {
    signal("signalUnknownCredential", JSON.parse(dataset.passkeyGone));
  }

  // A challenge is good for five minutes; a page asks with it for a little less.
  const patience = 280_000;

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (!window.PublicKeyCredential) continue; // the page says so by itself
    const options = JSON.parse(form.dataset.options);
    const create = form.dataset.passkey === "create";
    const button = form.querySelector("[data-passkey-button]");
    const failed = form.querySelector("[data-passkey-failed]");
    const exists = form.querySelector("[data-passkey-exists]");
    for (const part of form.querySelectorAll("[data-passkey-without]")) part.hidden = true;
    for (const part of form.querySelectorAll("[data-passkey-with]")) part.hidden = false;
    form.hidden = false;

    let waiting; // the conditional request, which gives way to the button
    let stale = false;
    const ask = async (mediation) => {
      waiting?.abort();
      const own = new AbortController();
      waiting = own;
      const request = { publicKey: decoded(options), signal: own.signal, ...(mediation ? { mediation } : {}) };
      const credential = await (create ? navigator.credentials.create(request) : navigator.credentials.get(request));
      if (!credential || waiting !== own) return;
      form.elements.answer.value = encoded(credential);
      form.requestSubmit();
    };
    const again = () => location.replace(form.dataset.again);

    button.addEventListener("click", async () => {
      if (stale) return again();
      for (const part of [failed, exists]) if (part) part.hidden = true;
      button.disabled = true;
      try {
        await ask();
      } catch (error) {
        // Whoever turned back may try again; what went wrong is the browser's to say.
        const told = error.name === "InvalidStateError" && exists ? exists : failed;
        if (error.name !== "AbortError" && told) told.hidden = false;
      } finally {
        button.disabled = false;
      }
      if (!create && !stale) autofill();
    });

    // Passkeys are offered where the name is typed.
    const autofill = async () => {
      if (!form.hasAttribute("data-passkey-autofill") || form.dataset.sent) return;
      if (!(await window.PublicKeyCredential.isConditionalMediationAvailable?.())) return;
      ask("conditional").catch(() => {});
    };
    if (!create) autofill();

    setTimeout(() => {
      stale = true;
      waiting?.abort();
      // A page on which nobody has begun to type is asked for again when it is
      // looked at.
      const untouched = () => ![...document.querySelectorAll("input:not([type=hidden])")].some((i) => i.value !== i.defaultValue);
      const refresh = () => { if (!document.hidden && untouched() && !form.dataset.sent) again(); };
      document.addEventListener("visibilitychange", refresh);
      window.addEventListener("focus", refresh);
    }, patience);
  }
})();
