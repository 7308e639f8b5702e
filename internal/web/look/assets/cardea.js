// Small comforts. Every page works without this file.
(() => {
  "use strict";

  // A button that shows the password while it is typed.
  for (const field of document.querySelectorAll("[data-reveal]")) {
    const input = field.querySelector("input");
    const button = field.querySelector("button");
    const hide = () => {
      input.type = "password";
      button.setAttribute("aria-pressed", "false");
    };
    button.hidden = false;
    field.classList.add("revealing");
    button.addEventListener("click", () => {
      const show = input.type === "password";
      input.type = show ? "text" : "password";
      button.setAttribute("aria-pressed", String(show));
      input.focus();
    });
    input.form.addEventListener("submit", hide);
  }

  // A form is sent once, however often its button is pressed.
  for (const form of document.querySelectorAll("form[method=post]")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) {
        event.preventDefault();
        return;
      }
      form.dataset.sent = "yes";
      form.setAttribute("aria-busy", "true");
    });
  }
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      form.removeAttribute("aria-busy");
    }
  });

  // The page that hands an answer to an application sends itself.
  const handover = document.querySelector("form[data-handover]");
  if (handover) handover.submit();

  // The page that tells applications of a sign-out goes on when all have
  // answered, which is when the page's own load event comes, or soon.
  const leaving = document.querySelector("a[data-leaving]");
  if (leaving) {
    const go = () => location.replace(leaving.href);
    window.addEventListener("load", go);
    setTimeout(go, 5000);
  }
})();
