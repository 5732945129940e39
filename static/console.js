/* What every page of the console does beyond plain links and forms: messages, copy buttons, dialogs, the theme,
   tables that scroll sideways, and paper. Forms are in forms.js, the keyboard in keys.js and palette.js. */
"use strict";
(() => {
  const root = document.documentElement;
  const KEPT = 40;
  root.classList.add("scripted");

  // Where we are comes into sight within its own box: scrollIntoView would move the page as well.
  for (const here of document.querySelectorAll("#mainnav [aria-current], .range-presets [aria-current]")) {
    const box = here.closest("#mainnav, .range-presets");
    const [inner, outer] = [here.getBoundingClientRect(), box.getBoundingClientRect()];
    box.scrollTop += Math.max(inner.bottom + 8 - outer.bottom, 0);
    box.scrollLeft += Math.max(inner.right + 8 - outer.right, 0);
  }

  // --- Storage that may be switched off --------------------------------------------------------------------
  function stored(area, whose = "") {
    const key = (name) => `makegood.${whose}${name}`;
    return {
      get(name) { try { return JSON.parse(area().getItem(key(name))); } catch { return null; } },
      set(name, value) { try { area().setItem(key(name), JSON.stringify(value)); } catch { /* this page only */ } },
      remove(name) { try { area().removeItem(key(name)); } catch { /* nothing was kept */ } },
    };
  }
  const kept = stored(() => localStorage);
  const tab = stored(() => sessionStorage);
  // What one operator saw in this tab is not for the next one who logs in here.
  const own = stored(() => sessionStorage, `${document.body.dataset.operator ?? "nobody"}.`);

  // --- Messages: said once to screen readers, shown as toasts, and listed in a dialog -------------------------
  function announce(text) {
    const region = document.getElementById("announce");
    region.textContent = "";
    requestAnimationFrame(() => { region.textContent = text; });
  }
  function remember(text, tone) {
    const messages = own.get("messages") ?? [];
    messages.unshift({ text, tone, at: new Date().toISOString() });
    own.set("messages", messages.slice(0, KEPT));
  }
  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) if (value !== false) made.setAttribute(key, value === true ? "" : value);
    made.append(...children);
    return made;
  }
  function icon(name) {
    const svg = document.getElementById("icon-sample").content.firstElementChild.cloneNode(true);
    const use = svg.querySelector("use");
    use.setAttribute("href", use.getAttribute("href").replace(/#.*/, `#${name}`));
    return svg;
  }
  // `requestId` is for the message's reader to pass on: it finds the request in the logs.
  function reference(requestId) {
    if (!requestId) return [];
    const copy = element("button", { type: "button", class: "copy", "data-copy": requestId, "aria-label": "Copy the request id" }, icon("copy"));
    return [element("span", { class: "reference" }, "Request id ", element("code", {}, requestId), copy)];
  }
  function toast(text, tone = "info", requestId = "") {
    const close = element("button", { type: "button", class: "iconbutton", "data-dismiss": true, "aria-label": "Dismiss" }, icon("close"));
    const note = element("div", { class: `toast-note toast-${tone}`, "data-toast": true },
      icon(tone === "error" ? "info" : "ok"), element("div", {}, text, ...reference(requestId)), close);
    document.getElementById("toasts").append(note);
    remember(requestId ? `${text} Request id ${requestId}` : text, tone);
    leaveLater(note);
  }
  // Toasts go after eight seconds, but not while they are pointed at or hold the focus. Errors stay.
  function leaveLater(note) {
    if (note.matches(".toast-error")) return;
    const leave = () => {
      if (note.matches(":hover, :focus-within")) setTimeout(leave, 2000);
      else note.remove();
    };
    setTimeout(leave, 8000);
  }
  document.querySelectorAll("[data-toast]").forEach((note) => {
    remember(note.innerText.trim(), note.matches(".toast-error") ? "error" : "ok");
    leaveLater(note);
  });
  function listMessages() {
    const list = document.getElementById("messages-list");
    const messages = own.get("messages") ?? [];
    const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
    list.replaceChildren(...messages.map(({ text, tone, at }) =>
      element("li", { class: tone === "error" ? "bad" : false }, element("time", { datetime: at }, clock.format(new Date(at))), element("span", {}, text))));
    document.getElementById("messages-none").hidden = messages.length > 0;
  }

  // What filters narrow says how much they found.
  const found = document.querySelector(".chips") && document.querySelector("[data-found]");
  if (found) announce(found.textContent.trim());

  // --- Dialogs that the page brings with it -------------------------------------------------------------------
  function openDialog(id) {
    const dialog = document.getElementById(id);
    if (!dialog || dialog.open || document.querySelector("dialog:modal")) return;
    document.querySelectorAll("[popover]:popover-open").forEach((menu) => menu.hidePopover());
    if (id === "messages") listMessages();
    dialog.showModal();
  }
  document.addEventListener("click", (event) => {
    const opens = event.target.closest("[data-open]");
    if (opens) return openDialog(opens.dataset.open);
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      navigator.clipboard?.writeText(copy.dataset.copy).then(() => {
        copy.classList.add("copied");
        announce("Copied");
        setTimeout(() => copy.classList.remove("copied"), 1500);
      }, () => announce("Copying is not allowed in this browser"));
      return;
    }
    event.target.closest("[data-dismiss]")?.closest("[data-toast]")?.remove();
    if (event.target.matches("dialog[data-light]")) event.target.close();
  });

  // --- The theme changes at once; the cookie makes the server render the next page in it ----------------------
  const repaint = () => document.dispatchEvent(new Event("makegood:theme"));
  function cookie(name, value) {
    document.cookie = `${name}=${encodeURIComponent(value)}; path=/; max-age=31536000; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
  }
  function showTheme(chosen) {
    if (chosen === "system") root.removeAttribute("data-bs-theme");
    else root.dataset.bsTheme = chosen;
    const colour = getComputedStyle(root).getPropertyValue("--bar-light").trim();
    const night = getComputedStyle(root).getPropertyValue("--bar-dark").trim();
    document.querySelectorAll("meta[name=theme-color]").forEach((meta) => {
      const own = meta.media.includes("dark") ? "dark" : "light";
      meta.content = (chosen === "system" ? own : chosen) === "dark" ? night : colour;
    });
    repaint();
  }
  document.querySelector("[data-themes]")?.addEventListener("submit", (event) => {
    event.preventDefault();
    const chosen = event.submitter?.value ?? "system";
    cookie("theme", chosen);
    event.target.querySelectorAll("button").forEach((button) => {
      button.setAttribute("aria-pressed", String(button.value === chosen));
    });
    showTheme(chosen);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

  // The browser's own time zone, for pages that are asked to show it.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && !document.cookie.split("; ").includes(`timezone=${encodeURIComponent(zone)}`)) cookie("timezone", zone);

  // --- Tables: what does not fit scrolls in a region of its own, with a name; what fits keeps its head in sight -
  function measure(scroller) {
    const wide = scroller.scrollWidth > scroller.clientWidth + 1;
    scroller.toggleAttribute("data-wide", wide);
    if (!wide) return;
    const heading = scroller.closest(".card, section, figure")?.querySelector("h2, h3, figcaption");
    scroller.tabIndex = 0;
    scroller.setAttribute("role", "region");
    if (!scroller.hasAttribute("aria-label")) scroller.setAttribute("aria-label", (heading ?? document.querySelector("h1"))?.textContent.trim() || "Table");
  }
  const widths = new ResizeObserver((entries) => entries.forEach((entry) => measure(entry.target)));
  const watched = new WeakSet();
  function watchScrollers() {
    document.querySelectorAll(".scroller").forEach((scroller) => {
      if (!watched.has(scroller)) widths.observe(scroller);
      watched.add(scroller);
      measure(scroller);
    });
  }
  document.addEventListener("htmx:after:swap", watchScrollers);
  watchScrollers();

  // --- Paper is white, whatever the screen is ------------------------------------------------------------------
  let theme = "system";
  addEventListener("beforeprint", () => {
    theme = root.dataset.bsTheme ?? "system";
    showTheme("light");
  });
  addEventListener("afterprint", () => showTheme(theme));

  window.makegood = { announce, toast, element, icon, reference, openDialog, kept, own, tab };
})();
