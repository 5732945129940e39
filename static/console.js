/* What every page of the console does beyond plain links and forms: dialogs, copy buttons, toasts, the theme. */
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");

  function announce(text) {
    const region = document.getElementById("announce");
    region.textContent = "";
    requestAnimationFrame(() => { region.textContent = text; });
  }

  // A form that the server put into #dialogs opens as a modal dialog; when it closes, focus returns to its opener.
  let opener = null;
  document.addEventListener("htmx:before:request", (event) => {
    const source = event.detail.ctx.sourceElement;
    if (source.matches("[data-opens-dialog]")) opener = source;
  });
  document.addEventListener("htmx:after:swap", () => {
    const dialog = document.querySelector("#dialogs dialog:not([open])");
    if (dialog) {
      dialog.addEventListener("close", () => {
        dialog.remove();
        opener?.focus();
      });
      dialog.showModal();
    }
    document.querySelectorAll("form[data-refund]").forEach(previewRefund);
  });
  document.addEventListener("htmx:error", (event) => failed(event.detail.ctx?.sourceElement));
  document.addEventListener("htmx:response:error", (event) => {
    if (![401, 409, 422].includes(event.detail.ctx.response.status)) failed(event.detail.ctx.sourceElement);
  });
  function failed(source) {
    if (!source || source.id === "pulse") return;
    if (source.matches("[data-opens-dialog]") && source.href) {
      location.href = source.href;
      return;
    }
    const note = source.querySelector("[data-failed]");
    if (note) note.hidden = false;
  }

  // The refund form: the balance after, as the amount changes. The server computes it again.
  const written = new Intl.NumberFormat("en");
  function previewRefund(form) {
    const amount = form.elements.credits;
    const after = form.querySelector("[data-after]");
    const button = form.querySelector("[data-submit]");
    const credits = Number(amount.value);
    const valid = amount.value !== "" && Number.isInteger(credits) && credits >= 1 && credits <= Number(amount.max);
    after.textContent = valid ? written.format(Number(form.dataset.balance) + credits) : "–";
    button.textContent = valid ? `Refund ${written.format(credits)} ${credits === 1 ? "credit" : "credits"}` : "Refund";
  }
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-refund]");
    if (form && event.target.name === "credits") previewRefund(form);
  });
  document.addEventListener("click", (event) => {
    const close = event.target.closest("[data-close]");
    if (close && close.closest("dialog")) {
      event.preventDefault();
      close.closest("dialog").close();
      return;
    }
    // The link itself still works; its dialog has done its part.
    const last = event.target.closest("[data-close-after]");
    if (last) setTimeout(() => last.closest("dialog")?.close());
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
  });

  // Toasts go after eight seconds, but not while they are pointed at or hold the focus. Errors stay.
  document.querySelectorAll("[data-toast]:not(.toast-error)").forEach((toast) => {
    const leave = () => {
      if (toast.matches(":hover, :focus-within")) setTimeout(leave, 2000);
      else toast.remove();
    };
    setTimeout(leave, 8000);
  });

  // The theme changes at once; the cookie makes the server render the next page in it.
  document.querySelector("[data-themes]")?.addEventListener("submit", (event) => {
    event.preventDefault();
    const chosen = event.submitter?.value ?? "system";
    document.cookie = `theme=${chosen}; path=/; max-age=31536000; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
    if (chosen === "system") root.removeAttribute("data-bs-theme");
    else root.dataset.bsTheme = chosen;
    event.target.querySelectorAll("button").forEach((button) => {
      button.setAttribute("aria-pressed", String(button.value === chosen));
    });
    document.dispatchEvent(new Event("makegood:theme"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    document.dispatchEvent(new Event("makegood:theme"));
  });

  window.makegood = { announce };
})();
