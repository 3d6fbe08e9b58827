// Keeps the page current: asks the server for it again and puts the new content in place.
"use strict";
(() => {
  const EVERY = 5000;
  const live = document.getElementById("live");
  const note = document.getElementById("stale");
  const toggle = document.getElementById("toggle");
  let on = true;
  let updated = Date.now();

  function replace(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html").getElementById("live");
    if (!fresh || fresh.innerHTML === live.innerHTML) return;
    const focused = document.activeElement && live.contains(document.activeElement) ? document.activeElement.id : "";
    for (const open of live.querySelectorAll("details[id]")) {
      const same = fresh.querySelector("#" + CSS.escape(open.id));
      if (same) same.open = open.open;
    }
    live.replaceChildren(...fresh.childNodes);
    const again = focused && document.getElementById(focused);
    if (again) again.focus({ preventScroll: true });
  }

  async function refresh() {
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, signal: AbortSignal.timeout(10000) });
      if (!answer.ok) throw new Error("HTTP " + answer.status);
      replace(await answer.text());
      updated = Date.now();
      note.textContent = "";
    } catch (error) {
      note.textContent = "Not updated for " + Math.round((Date.now() - updated) / 1000) + " s: " + (error.message || "no answer");
    }
  }

  async function turn() {
    if (on && !document.hidden) await refresh();
    setTimeout(turn, EVERY);
  }

  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    on = !on;
    toggle.textContent = "Live updates: " + (on ? "on" : "off");
    if (on) refresh();
  });
  document.addEventListener("visibilitychange", () => { if (on && !document.hidden) refresh(); });

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("form[data-validate]")) return;
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      // Of an address with user and password in it, which fetch refuses, the page's own has neither.
      const action = location.origin + new URL(form.action).pathname;
      const answer = await fetch(action, { method: "POST", headers: { accept: "application/json" } });
      const said = await answer.json();
      await refresh();
      if (!answer.ok) note.textContent = said.detail;
    } catch (error) {
      note.textContent = "The probe could not be asked for: " + error.message;
    } finally {
      const current = document.querySelector("form[data-validate] button");
      if (current) { current.disabled = false; current.focus({ preventScroll: true }); }
    }
  });

  setTimeout(turn, EVERY);
})();
