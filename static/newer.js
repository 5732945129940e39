/* Asks now and then whether a list has newer rows, while somebody can see the answer. The rows stay where they are:
   the answer is a link above them. */
"use strict";
(() => {
  const place = document.querySelector("[data-newer]");
  if (!place) return;
  const EVERY = 30000;
  let due = later();
  function later() { return Date.now() + EVERY * (0.9 + Math.random() * 0.2); }
  function ask() {
    if (document.hidden || Date.now() < due || document.querySelector("dialog[open]")) return;
    due = later();
    place.dispatchEvent(new Event("poll"));
  }
  document.addEventListener("visibilitychange", ask);
  setInterval(ask, 1000);
})();
