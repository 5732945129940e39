/* Keeps a page with panels fresh: one request brings all of them in one snapshot.
   It asks only when somebody can see the answer and is not in the middle of something, slows down while the
   server is away, and always says how old the figures are. The last good figures stay. */
"use strict";
(() => {
  const pulse = document.getElementById("pulse");
  if (!pulse) return;
  const live = document.getElementById("live");
  const stamp = document.getElementById("as-of");
  const panels = document.getElementById("panels");
  const note = document.getElementById("stale-note");
  const toggle = document.getElementById("live-toggle");
  const choice = document.getElementById("live-interval");
  const SLOWEST = 8;
  const FRESH = 3000;

  let interval = Number(remembered("interval")) || Number(choice.value);
  let paused = remembered("paused") === "true";
  let failures = 0;
  let asking = false;
  let received = Date.now();
  let due = later();
  let leaving = false;

  choice.value = String(interval);
  if (!choice.value) choice.value = String(interval = 30);

  function remembered(key) {
    try { return localStorage.getItem(`makegood.live.${key}`); } catch { return null; }
  }
  function remember(key, value) {
    try { localStorage.setItem(`makegood.live.${key}`, String(value)); } catch { /* private mode: only this page */ }
  }
  // A tenth either way, so that many consoles do not ask at the same instant.
  function later() {
    const wait = interval * 1000 * Math.min(2 ** failures, SLOWEST);
    return Date.now() + wait * (0.9 + Math.random() * 0.2);
  }
  function busy() {
    if (document.querySelector("dialog[open], [popover]:popover-open, [data-sending]")) return true;
    const field = document.activeElement;
    if (field?.matches("input, select, textarea") && panels.contains(field)) return true;
    const selection = getSelection();
    return Boolean(selection && !selection.isCollapsed && panels.contains(selection.anchorNode));
  }
  function ask() {
    asking = true;
    pulse.dispatchEvent(new Event("poll"));
    if (!pulse.matches("[data-asked]")) asking = false;
  }
  function age() {
    const seconds = Math.max(0, Math.round((Date.now() - received) / 1000));
    if (seconds < 2) return "just now";
    if (seconds < 120) return `${seconds} s ago`;
    return seconds < 7200 ? `${Math.floor(seconds / 60)} min ago` : `${Math.floor(seconds / 3600)} h ago`;
  }
  function show() {
    const late = !paused && Date.now() - received > interval * 2500;
    const stale = failures > 0 || late;
    live.dataset.state = stale ? "stale" : paused ? "paused" : "live";
    stamp.textContent = `${stale ? "Stale: updated" : paused ? "Paused, updated" : "Updated"} ${age()}`;
    panels.toggleAttribute("data-stale", stale);
    note.toggleAttribute("data-shown", failures > 0);
    toggle.setAttribute("aria-pressed", String(paused));
    toggle.lastElementChild.textContent = paused ? "Resume" : "Pause";
    toggle.querySelector("use").setAttribute("href", paused ? toggle.dataset.play : toggle.dataset.pause);
  }
  function tick() {
    show();
    if (!asking && !paused && !document.hidden && Date.now() >= due && !busy()) ask();
  }

  const health = () => panels.querySelector("[data-health]")?.dataset.health;
  let before = health();
  // What a refresh changed is marked once, where it stands; ages of things change always and are not news.
  let cells = [];
  const noted = () => [...panels.querySelectorAll("td, dd, .stat-value")].filter((cell) => !cell.querySelector("time"));
  function mark() {
    for (const [cell, text] of cells) {
      if (!cell.isConnected || cell.textContent === text) continue;
      cell.classList.add("changed");
      setTimeout(() => cell.classList.remove("changed"), 1700);
    }
    cells = [];
  }
  pulse.addEventListener("htmx:before:request", () => { pulse.dataset.asked = ""; });
  pulse.addEventListener("htmx:after:request", () => { cells = noted().map((cell) => [cell, cell.textContent]); });
  pulse.addEventListener("htmx:finally:request", (event) => {
    const { ctx } = event.detail;
    asking = false;
    delete pulse.dataset.asked;
    if (leaving || ctx.response?.status === 401) return;
    const good = ctx.status === "swapped" && ctx.response?.status === 200 && stamp.dateTime !== pulse.dataset.asOf;
    if (good) succeeded();
    else failed();
    mark();
    due = Math.max(later(), Date.now() + 1000 * (Number(ctx.response?.headers.get("Retry-After")) || 0));
    show();
  });
  function succeeded() {
    pulse.dataset.asOf = stamp.dateTime;
    received = Date.now();
    if (failures > 0) makegood.announce("Connection restored; the figures are up to date");
    failures = 0;
    const now = health();
    if (now && before && now !== before) makegood.announce(`Health changed: ${now}`);
    before = now ?? before;
    const title = panels.querySelector("[data-title]")?.dataset.title;
    if (title) document.title = title;
  }
  function failed() {
    failures += 1;
    if (failures === 1) makegood.announce("Connection lost; showing the last figures received");
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden || paused || Date.now() - received < FRESH) return;
    due = 0;
    tick();
  });
  addEventListener("online", () => { due = 0; tick(); });
  addEventListener("pagehide", () => { leaving = true; });
  addEventListener("pageshow", (event) => {
    leaving = false;
    if (event.persisted) { due = 0; listen(); tick(); }
  });
  toggle.addEventListener("click", () => {
    paused = !paused;
    remember("paused", paused);
    makegood.announce(paused ? "Live updates paused" : "Live updates resumed");
    due = 0;
    tick();
  });
  choice.addEventListener("change", () => {
    interval = Number(choice.value);
    remember("interval", interval);
    due = later();
    show();
  });

  // Asked for by a key: at once, also where updates are paused.
  makegood.refresh = () => {
    if (!asking) ask();
  };
  // Nudged by the server, where it does that: as soon as nobody is in the middle of something.
  let bell = null;
  function listen() {
    const wanted = live.dataset.nudges && !document.hidden && !paused && !leaving;
    if (wanted && !bell) {
      bell = new EventSource(live.dataset.nudges);
      bell.onmessage = () => { due = 0; tick(); };
    } else if (!wanted) {
      bell?.close();
      bell = null;
    }
  }
  document.addEventListener("visibilitychange", listen);
  addEventListener("pagehide", listen);
  toggle.addEventListener("click", listen);
  pulse.dataset.asOf = stamp.dateTime;
  show();
  listen();
  setInterval(tick, 1000);
})();
