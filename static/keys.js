/* The keyboard: single keys outside of fields, unless the operator has switched them off, and a dialog that lists
   them. The keys after `g` stand at the navigation's links (data-go). */
"use strict";
(() => {
  const { element, openDialog } = makegood;
  const PATIENCE = 1500;
  const off = document.body.dataset.keys === "off";
  const goes = [...document.querySelectorAll("#mainnav a[data-go]")];
  let going = 0;

  const typing = (target) => target.closest("input, textarea, select, [contenteditable]") !== null;
  const covered = () => document.querySelector("dialog:modal, [popover]:popover-open") !== null;
  const shown = (found) => found.checkVisibility();

  function find() {
    const field = document.querySelector(".find input");
    if (field && shown(field)) field.select();
    else document.querySelector(".find-link")?.click();
  }
  // Rows are moved over by their links, so Enter, Ctrl-Enter and a screen reader do what they always do.
  function move(step) {
    const links = [...document.querySelectorAll("main .leads .lead-link")].filter(shown);
    if (!links.length) return;
    const row = document.activeElement?.closest(".leads");
    const at = row ? links.findIndex((link) => row.contains(link)) : -1;
    const next = at < 0 ? Math.max(0, links.findIndex((link) => link.getBoundingClientRect().top > 60)) : at + step;
    const link = links[Math.min(Math.max(next, 0), links.length - 1)];
    link.focus({ preventScroll: true });
    link.closest(".leads").scrollIntoView({ block: "nearest" });
  }
  function turn(direction) {
    [...document.querySelectorAll(`a[rel=${direction}]`)].find(shown)?.click();
  }
  const KEYS = {
    "/": find,
    j: () => move(1),
    k: () => move(-1),
    n: () => turn("next"),
    p: () => turn("prev"),
    r: () => (makegood.refresh ? makegood.refresh() : location.reload()),
    t: () => makegood.toggleTimes(),
    m: () => openDialog("messages"),
    "?": () => openDialog("keys"),
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      makegood.openPalette?.();
      return;
    }
    if (event.key === "Escape" && event.target.matches(".find input")) event.target.blur();
    if (off || event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || covered()) return;
    if (event.timeStamp - going < PATIENCE && going) {
      going = 0;
      const link = goes.find((one) => one.dataset.go === event.key);
      if (link) {
        event.preventDefault();
        link.click();
        return;
      }
    }
    if (event.key === "g") going = event.timeStamp;
    else if (Object.hasOwn(KEYS, event.key)) {
      event.preventDefault();
      KEYS[event.key]();
    }
  });

  const list = document.getElementById("keys-go");
  list?.replaceChildren(...goes.map((link) => element("div", {},
    element("dt", {}, element("kbd", {}, "g"), " ", element("kbd", {}, link.dataset.go)),
    element("dd", {}, link.querySelector(".nav-label").textContent))));
})();
