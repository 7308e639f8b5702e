// Asks the API through the application ten times a second and shows what it
// says. Without this script the page still works: the button is a form.
"use strict";

const at = (id) => document.getElementById(id);
const title = at("live-title");
let calls = 0;
let began = 0; // when the button was pressed
let refusedAfter = 0;

function set(state, heading, note) {
  at("live").className = "live " + state;
  if (title.textContent !== heading) title.textContent = heading;
  if (note && at("note").textContent !== note) at("note").textContent = note;
}

async function ask() {
  let answer;
  try {
    const response = await fetch("/clock", { headers: { Accept: "application/json" } });
    answer = await response.json();
  } catch {
    set("broken", "The application does not answer", "Is cardea dev still running?");
    return;
  }
  if (answer.status === 200) {
    calls += 1;
    at("calls").textContent = calls;
    at("check").textContent = answer.checked_in_us + " µs";
    at("clock").textContent = new Date(answer.time).toISOString().slice(11, 21);
    if (!began) set("live", "The API lets you in", "It checks your access token on every call.");
  } else if (answer.status === 401) {
    at("clock").textContent = "refused";
    at("revoke").hidden = true;
    at("again").hidden = false;
    if (began && !refusedAfter) refusedAfter = performance.now() - began;
    set("dead", "Access is gone", began ? "" : answer.error || "The token no longer counts.");
  } else {
    set("broken", "No answer to trust", answer.error);
  }
}

at("revoke").addEventListener("submit", async (event) => {
  event.preventDefault();
  at("revoke").querySelector("button").disabled = true;
  began = performance.now();
  try {
    const response = await fetch("/revoke", { method: "POST", headers: { Accept: "application/json" } });
    const result = await response.json();
    if (result.error) {
      set("broken", "Something went wrong", result.error);
      at("revoke").querySelector("button").disabled = false;
      began = 0;
      return;
    }
    at("took").textContent = result.refused_ms + " ms";
    at("note").textContent = "The API refused your token " + result.refused_ms +
      " ms after the button. Cardea had made sure of it after " + result.acknowledged_ms + " ms.";
  } catch {
    set("broken", "The application does not answer", "Is cardea dev still running?");
  }
});

ask();
setInterval(ask, 100);
