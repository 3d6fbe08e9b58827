// Keeps a page current: whenever the server tells of a change, and now and then without, it asks for the page again and
// puts what is data-live in place of its former self. What somebody types into is not, and stays.
"use strict";
(() => {
  const SLOWLY = 15000;  // without any event
  const ASIDE = 30000;  // where nobody looks, for the title and the icon of the tab
  const LEAST = 1000;  // between two refreshes
  const SILENT = 40000;  // heartbeats come every 15 s
  const note = document.getElementById("stale") || document.createElement("span");
  const toggle = document.getElementById("toggle");
  const events = document.body.dataset.events;
  let on = true;
  let updated = Date.now();
  let ahead = Date.now() - 1000 * Number(document.body.dataset.now);  // this clock before the server's
  let etag = "";
  let source = null;
  let heard = 0;
  let asked = 0;
  let planned = null;

  // As web/formatters.py has it.
  function span(seconds) {
    for (const [size, unit, until] of [[1, "s", 120], [60, "min", 7200], [3600, "h", 172800]]) {
      if (seconds < until) return Math.max(0, seconds / size).toFixed(0) + " " + unit;
    }
    return (seconds / 86400).toFixed(0) + " d";
  }

  function age() {
    const now = Date.now() - ahead;
    for (const each of document.querySelectorAll("time[data-ago], time[data-for]")) {
      const text = span((now - Date.parse(each.dateTime)) / 1000) + ("ago" in each.dataset ? " ago" : "");
      if (each.textContent !== text) each.textContent = text;
    }
  }

  function without(element) {
    const bare = element.cloneNode(true);
    for (const each of bare.querySelectorAll("time[data-ago], time[data-for]")) each.textContent = "";
    for (const each of bare.querySelectorAll("details[open]")) each.open = false;
    for (const each of bare.querySelectorAll(".changed")) each.classList.remove("changed");
    return bare.outerHTML;
  }

  function place(fresh) {
    const former = document.getElementById(fresh.id);
    if (!former || without(former) === without(fresh)) return;
    const focused = document.activeElement && former.contains(document.activeElement) ? document.activeElement.id : "";
    for (const open of former.querySelectorAll("details[id]")) {
      const same = fresh.querySelector("#" + CSS.escape(open.id));
      if (same) same.open = open.open;
    }
    const added = document.importNode(fresh, true);
    const before = new Map();
    for (const row of former.querySelectorAll(".row")) before.set(row.querySelector("a").id, row.className);
    for (const row of added.querySelectorAll(".row")) {
      const was = before.get(row.querySelector("a").id);
      if (was !== undefined && was.replace(" changed", "") !== row.className) row.classList.add("changed");
    }
    former.replaceWith(added);
    const again = focused && document.getElementById(focused);
    if (again) again.focus({ preventScroll: true });
  }

  function replace(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    ahead = Date.now() - 1000 * Number(fresh.body.dataset.now);
    document.title = fresh.title;
    const icon = document.getElementById("icon");
    const wanted = fresh.getElementById("icon").getAttribute("href");
    if (icon.getAttribute("href") !== wanted) icon.setAttribute("href", wanted);
    let before = null;
    for (const each of fresh.querySelectorAll("[data-live]")) {
      if (before && !document.getElementById(each.id)) before.after(document.importNode(each, true));
      else place(each);
      before = document.getElementById(each.id);
    }
    for (const each of document.querySelectorAll("[data-live]")) if (!fresh.getElementById(each.id)) each.remove();
  }

  async function refresh() {
    asked = Date.now();
    try {
      const headers = { accept: "text/html" };
      if (etag) headers["if-none-match"] = etag;
      const answer = await fetch(location.href, { headers, signal: AbortSignal.timeout(10000) });
      if (answer.status !== 304) {
        if (!answer.ok) throw new Error("HTTP " + answer.status);
        replace(await answer.text());
        etag = answer.headers.get("etag") || "";
      }
      updated = Date.now();
      note.textContent = "";
    } catch (error) {
      note.textContent = "Not updated for " + span((Date.now() - updated) / 1000) + ": " + (error.message || "no answer");
    }
    age();
  }

  // One at a time, and none sooner than a second after the last.
  function plan() {
    if (planned !== null || !on) return;
    planned = setTimeout(async () => {
      await refresh();
      planned = null;
    }, Math.max(0, asked + LEAST - Date.now()));
  }

  function listen() {
    if (source) source.close();
    source = null;
    // A browser has six connections to a server: pages nobody looks at leave theirs to others.
    if (!events || !on || document.hidden) return;
    heard = Date.now();
    source = new EventSource(events);
    for (const name of ["summary", "status", "probe", "incident", "maintenance", "announcement", "configuration"]) {
      source.addEventListener(name, () => { heard = Date.now(); plan(); });
    }
    source.addEventListener("error", plan);
    for (const name of ["open", "heartbeat"]) source.addEventListener(name, () => { heard = Date.now(); });
  }

  function attend() {
    if (!on) return;
    if (document.hidden) {
      if (Date.now() - asked > ASIDE) plan();
      return;
    }
    age();
    const lost = source === null || source.readyState === EventSource.CLOSED;
    if (events && (lost || Date.now() - heard > SILENT)) listen();
    const soon = note.textContent || document.querySelector("[data-soon]");
    if (soon || Date.now() - Math.max(asked, updated) > SLOWLY) plan();
  }

  if (toggle) {
    toggle.hidden = false;
    toggle.addEventListener("click", () => {
      on = !on;
      toggle.textContent = on ? "Live" : "Paused";
      toggle.setAttribute("aria-pressed", String(on));
      listen();
      plan();
    });
  }
  document.addEventListener("visibilitychange", () => {
    listen();
    if (!document.hidden) plan();
  });

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

  const filters = document.getElementById("filters");
  if (filters && innerWidth <= 640 && !("used" in filters.dataset)) filters.open = false;
  age();
  listen();
  setInterval(attend, 2500);
})();
