/* Times: relative ones grow older while the page stays open, and all of them can be shown exactly, with their zone:
   what a pointer reads in the title, the keyboard and paper get this way. */
"use strict";
(() => {
  const { announce, kept } = makegood;
  const UNITS = [["year", 31536000], ["month", 2592000], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const words = new Intl.RelativeTimeFormat("en");
  const button = document.querySelector("[data-exact-times]");
  const short = new WeakMap();
  // The server's clock, as far as this page knows it: the computer's own may be wrong.
  const skew = Date.parse(document.querySelector("meta[name=generated]").content) - Date.now();
  let exactly = kept.get("exact") === true;

  function relative(at) {
    const seconds = (at - Date.now() - skew) / 1000;
    if (Math.abs(seconds) < 5) return "just now";
    const [unit, length] = UNITS.find(([, size]) => Math.abs(seconds) / size >= 0.95) ?? UNITS.at(-1);
    return words.format(Math.round(seconds / length), unit);
  }
  function write(time, text) {
    if (time.textContent !== text) time.textContent = text;
  }
  function show() {
    document.querySelectorAll("time[title]:not(.live-text)").forEach((time) => {
      if (exactly && time.textContent !== time.title) short.set(time, time.textContent);
      if (exactly) write(time, time.title);
      else if (time.hasAttribute("data-ago")) write(time, relative(Date.parse(time.dateTime)));
      else if (short.has(time)) write(time, short.get(time));
    });
    button?.setAttribute("aria-pressed", String(exactly));
  }
  function toggle() {
    exactly = !exactly;
    kept.set("exact", exactly);
    show();
    announce(exactly ? "Times are shown exactly" : "Times are shown in short");
  }

  button?.addEventListener("click", toggle);
  document.addEventListener("htmx:after:swap", show);
  setInterval(show, 15000);
  if (exactly) show();
  makegood.toggleTimes = toggle;
})();
