/* The palette (Ctrl-K): every page of the console, what was seen lately in this tab, and what the search finds, which
   knows pages and what is done on them by other words, too. Without its answer Enter still leads to the search page. */
"use strict";
(() => {
  const { element, icon, openDialog, own } = makegood;
  const dialog = document.getElementById("palette");
  if (!dialog) return;
  const field = dialog.querySelector("input");
  const list = dialog.querySelector("[role=listbox]");
  const status = dialog.querySelector("[role=status]");
  const pages = [...document.querySelectorAll("#mainnav a")].map((link) => ({
    label: link.querySelector(".nav-label").textContent, detail: "Page", href: link.href, symbol: link.dataset.symbol,
  }));
  const WAIT = 150;
  const SEEN = 8;
  const KINDS = { page: "Page", action: "Action", list: "List" };
  let options = [];
  let chosen = 0;
  let timer = 0;
  let asked = null;

  // Seen lately: pages below the navigation's, by their titles.
  const here = location.pathname + location.search;
  const inNavigation = pages.some((page) => new URL(page.href).pathname === location.pathname);
  if (!inNavigation && document.querySelector("main h1") && !/\/(search|confirm|login)\b/.test(location.pathname) && !document.querySelector("main [data-error-page]")) {
    const seen = (own.get("seen") ?? []).filter((page) => page.href !== here);
    own.set("seen", [{ label: document.title.replace(/ – Makegood$/, ""), href: here }, ...seen].slice(0, SEEN));
  }

  function show(found) {
    const query = field.value.trim();
    const sought = query.toLowerCase();
    const matches = (page) => page.label.toLowerCase().includes(sought);
    const begins = (page) => page.label.toLowerCase().split(" ").some((word) => word.startsWith(sought));
    const rank = (page) => begins(page) + [sought, `${sought}s`].includes(page.label.toLowerCase());
    const listed = pages.filter(matches).sort((one, other) => rank(other) - rank(one));
    const seen = (own.get("seen") ?? []).filter((page) => page.href !== here && matches(page)).map((page) => ({ ...page, detail: "Seen lately", symbol: "late" }));
    const said = new Set(listed.map((page) => page.label));
    const places = found.filter((hit) => hit.place && !said.has(hit.label));
    places.forEach((place) => said.add(place.label));
    const others = seen.filter((page) => !said.has(page.label));
    options = query ? [...found.filter((hit) => !hit.place), ...listed, ...places, ...others] : [...seen, ...pages];
    if (query) options.push({ label: `Search for “${query}”`, detail: "All ids", href: `${dialog.dataset.search}?q=${encodeURIComponent(query)}`, symbol: "search" });
    list.replaceChildren(...options.map((option, index) => element("li", { role: "option", id: `palette-${index}`, "aria-selected": "false" },
      icon(option.symbol), element("span", { class: "palette-label" }, option.label), element("span", { class: "quiet" }, option.detail ?? ""))));
    choose(0);
    status.textContent = query ? `${options.length - 1} found` : "";
  }
  function choose(index) {
    list.children[chosen]?.setAttribute("aria-selected", "false");
    chosen = (index + options.length) % options.length;
    const option = list.children[chosen];
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", option.id);
  }
  function go(option, apart) {
    if (apart) window.open(option.href, "_blank", "noopener");
    else location.href = option.href;
    dialog.close();
  }
  const read = ({ kind, title, note, url, symbol }) => ({
    label: title, detail: [KINDS[kind] ?? kind, note].filter(Boolean).join(" · "), href: url, symbol, place: kind in KINDS,
  });
  async function suggest(query) {
    asked?.abort();
    asked = new AbortController();
    try {
      const response = await fetch(`${dialog.dataset.suggest}?q=${encodeURIComponent(query)}`, { signal: asked.signal, headers: { Accept: "application/json" } });
      if (response.ok && !response.redirected) return (await response.json()).hits.map(read);
    } catch { /* the pages and the search page remain */ }
    return [];
  }
  field.addEventListener("input", () => {
    const query = field.value.trim();
    show([]);
    clearTimeout(timer);
    if (query.length < 2 || !dialog.dataset.suggest) return;
    timer = setTimeout(async () => {
      const found = await suggest(query);
      if (found.length && field.value.trim() === query) show(found);
    }, WAIT);
  });
  field.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) choose(chosen + steps[event.key]);
    else if (event.key === "Enter") go(options[chosen], event.ctrlKey || event.metaKey);
    else return;
    event.preventDefault();
  });
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) go(options[[...list.children].indexOf(option)], event.ctrlKey || event.metaKey);
  });
  makegood.openPalette = () => {
    openDialog("palette");
    if (!dialog.open) return;
    field.value = "";
    show([]);
    field.focus();
  };
})();
