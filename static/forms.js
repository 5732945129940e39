/* Forms: as dialogs over the page, sent once, never losing what was typed: not to an error, a closed dialog, a lost
   connection or an ended session. The server decides everything again; without a script all of them are pages. */
"use strict";
(() => {
  const { announce, element, reference, tab, toast } = makegood;
  const root = document.documentElement;
  const OFFLINE = "You are offline: nothing can be sent now";
  const posts = (form) => form.method === "post" && !form.matches("[data-themes]");

  // --- A form that the server put into #dialogs opens as a modal dialog; its opener gets the focus back --------
  let opener = null;
  document.addEventListener("htmx:before:request", (event) => {
    const source = event.detail.ctx.sourceElement;
    if (source.matches("[data-opens-dialog]")) opener = source;
  });
  document.addEventListener("htmx:after:swap", () => {
    const dialog = document.querySelector("#dialogs dialog:not([open])");
    if (dialog) {
      dialog.addEventListener("cancel", (cancelled) => { if (keeps(dialog)) cancelled.preventDefault(); });
      dialog.addEventListener("close", () => {
        dialog.remove();
        opener?.focus();
      });
      dialog.showModal();
      restoreInto(dialog);
    }
    // A form that came back with errors holds what was typed.
    document.querySelectorAll("form:has([data-error-summary])").forEach((form) => { form.dataset.dirty = ""; });
    document.querySelectorAll("form[data-refund]").forEach(previewRefund);
  });

  // Typed text is not thrown away by Esc or the cross: the first time the dialog asks, the second time it goes.
  function keeps(dialog) {
    const form = dialog.querySelector("form[data-dirty]:not([data-sending])");
    if (!form || dialog.querySelector("[data-discard]")) return false;
    const stay = element("button", { type: "button", class: "btn btn-plain btn-small", "data-stay": true }, "Keep editing");
    const discard = element("button", { type: "button", class: "btn btn-plain btn-small" }, "Discard");
    const question = element("div", { class: "note note-warn discard", role: "alert", "data-discard": true },
      element("p", {}, "What you typed here is not sent yet."), element("div", { class: "discard-buttons" }, stay, discard));
    stay.addEventListener("click", () => {
      question.remove();
      form.querySelector("input:not([type=hidden]), select, textarea")?.focus();
    });
    discard.addEventListener("click", () => dialog.close());
    (form.querySelector(".form-foot") ?? form.lastElementChild).before(question);
    stay.focus();
    return true;
  }
  document.addEventListener("click", (event) => {
    const close = event.target.closest("[data-close]");
    const dialog = close?.closest("dialog");
    if (dialog) {
      event.preventDefault();
      if (!close.matches(".iconbutton") || !keeps(dialog)) dialog.close();
      return;
    }
    // The link itself still works; its dialog has done its part.
    const last = event.target.closest("[data-close-after]");
    if (last) setTimeout(() => last.closest("dialog")?.close());
  });
  document.addEventListener("input", (event) => {
    const form = event.target.form;
    if (!form) return;
    if (posts(form)) form.dataset.dirty = "";
    if (form.matches("[data-refund]") && event.target.name === "credits") previewRefund(form);
  });
  addEventListener("beforeunload", (event) => {
    if (document.querySelector("form[data-dirty]:not([data-sending])")) event.preventDefault();
  });

  // --- Sent once, and not at all without a connection --------------------------------------------------------
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!posts(form)) return;
    if (root.hasAttribute("data-offline")) {
      event.preventDefault();
      event.stopImmediatePropagation();
      toast("You are offline: nothing was sent. What you typed is still here.", "error");
    } else if (form.hasAttribute("data-sending")) {
      event.preventDefault();
      event.stopImmediatePropagation();
    } else {
      form.dataset.sending = "";
      event.submitter?.setAttribute("data-pressed", "");
    }
  }, true);
  function sent(form) {
    if (!form) return;
    delete form.dataset.sending;
    form.querySelectorAll("[data-pressed]").forEach((button) => button.removeAttribute("data-pressed"));
  }
  document.addEventListener("htmx:finally:request", (event) => {
    const { ctx } = event.detail;
    if (ctx.response?.headers.get("HX-Redirect")) return; // on the way to another page
    sent(ctx.sourceElement.closest("form"));
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) document.querySelectorAll("form[data-sending]").forEach(sent);
  });
  function showConnection() {
    const away = !navigator.onLine;
    if (away === root.hasAttribute("data-offline")) return;
    root.toggleAttribute("data-offline", away);
    document.getElementById("offline").hidden = !away;
    announce(away ? "You are offline. Actions are switched off." : "Back online. Actions work again.");
    document.querySelectorAll("form[method=post]:not([data-themes]) button:not([type=button])").forEach((button) => {
      if (away) button.setAttribute("aria-disabled", "true");
      else button.removeAttribute("aria-disabled");
      if (away) button.title ||= OFFLINE;
      else if (button.title === OFFLINE) button.removeAttribute("title");
    });
  }
  addEventListener("online", showConnection);
  addEventListener("offline", showConnection);
  showConnection();

  // --- What went wrong is said where it was asked for ---------------------------------------------------------
  const SAID_BY_THE_FORM = [401, 409, 422];
  document.addEventListener("htmx:error", (event) => failed(event.detail.ctx ?? {}));
  document.addEventListener("htmx:response:error", (event) => {
    if (!SAID_BY_THE_FORM.includes(event.detail.ctx.response.status)) failed(event.detail.ctx);
  });
  function failed({ sourceElement: source, response, text }) {
    if (!source || source.id === "pulse") return;
    if (source.matches("[data-opens-dialog]") && source.href) {
      location.href = source.href;
      return;
    }
    const status = response?.status ?? 0;
    const sentence = response?.headers.get("Content-Type")?.startsWith("text/plain") ? text : "";
    const refused = status >= 400 && status < 500;
    const id = status ? response.headers.get("X-Request-Id") : "";
    const note = source.querySelector("[data-failed]");
    if (!note) {
      toast(sentence || (status ? "Something went wrong here. Try again." : "The server did not answer. Try again."), "error", id);
      return;
    }
    const place = note.querySelector("div") ?? note;
    note.words ??= [...place.childNodes];
    if (refused) place.replaceChildren(element("strong", {}, "Nothing was changed."), ` ${sentence || "The server refused this."} `, ...reference(id));
    else place.replaceChildren(...note.words, " ", ...reference(id));
    note.hidden = false;
    note.scrollIntoView({ block: "nearest" });
  }

  // --- The refund form: its title, button and the balance after, as the amount changes. The server computes it again ----------------
  const written = new Intl.NumberFormat("en");
  function previewRefund(form) {
    const amount = form.elements.credits;
    const after = form.querySelector("[data-after]");
    const button = form.querySelector("[data-submit]");
    if (!amount || !after || !button) return;
    const credits = Number(amount.value);
    const valid = amount.value !== "" && Number.isInteger(credits) && credits >= 1 && credits <= Number(amount.max);
    after.textContent = valid ? written.format(Number(form.dataset.balance) + credits) : "–";
    // Beyond what the operator may refund alone, the same button asks a second operator.
    const beyond = valid && form.dataset.most !== undefined && credits > Number(form.dataset.most);
    button.toggleAttribute("name", beyond);
    if (beyond) Object.assign(button, { name: "ask", value: "1" });
    const verb = beyond ? "Ask for approval of" : "Refund";
    const sum = `${written.format(credits)} ${credits === 1 ? "credit" : "credits"}`;
    button.textContent = valid ? `${verb} ${sum}` : "Refund";
    form.querySelector("[data-title]").textContent = valid ? `${verb} ${sum} to ${form.dataset.customer}` : `Refund ${form.dataset.customer}`;
  }

  // --- A draft outlives the session: after the log-in the same operator finds it where it was -----------------
  // Secrets are never kept: no form that has a password or a one-time code in it.
  const operator = document.body.dataset.operator ?? "";
  const secret = "[type=password], [autocomplete=one-time-code]";
  const fields = (form) => [...form.elements].filter((field) => field.name && !field.matches("[type=hidden], [type=file], [type=submit], button"));
  addEventListener("pagehide", () => {
    const form = document.querySelector("form[data-dirty]");
    if (!form || !operator || form.querySelector(secret)) return;
    const typed = fields(form).map((field) => [field.name, field.matches("[type=checkbox], [type=radio]") ? [field.value, field.checked] : field.value]);
    tab.set("draft", { operator, page: location.pathname, action: form.action, opener: form.closest("#dialogs") ? opener?.href : null, typed });
  });
  function fill(form, typed) {
    const left = [...typed];
    for (const field of fields(form)) {
      const at = left.findIndex(([name, value]) => name === field.name && (!Array.isArray(value) || value[0] === field.value));
      if (at < 0) continue;
      const [[, value]] = left.splice(at, 1);
      if (Array.isArray(value)) field.checked = value[1];
      else field.value = value;
    }
    form.dataset.dirty = "";
    if (form.matches("[data-refund]")) previewRefund(form);
    toast("Your session had ended. What you typed is back; nothing of it was sent.");
  }
  let draft = tab.get("draft");
  const strange = !operator || location.pathname.startsWith("/admin/confirm");
  if (draft && strange) tab.set("draft", { ...draft, survives: true });
  else tab.remove("draft");
  if (!draft?.survives || strange || draft.operator !== operator || draft.page !== location.pathname) draft = null;
  function restoreInto(place) {
    const form = draft && [...place.querySelectorAll("form")].find((one) => one.action === draft.action);
    if (!form) return false;
    const { typed } = draft;
    draft = null;
    fill(form, typed);
    return true;
  }
  if (draft && !restoreInto(document) && draft.opener) {
    const link = [...document.querySelectorAll("a[data-opens-dialog]")].find((one) => one.href === draft.opener);
    // A link that htmx has not seen yet would lead away from the page.
    const open = (frames) => {
      if (link?.hasAttribute("data-htmx-powered")) link.click();
      else if (link && frames) requestAnimationFrame(() => open(frames - 1));
    };
    open(600);
  }
})();
