/* The adjustment form: its title, the balance after, and what the button will do, as the form changes. The server computes it
   again. */
"use strict";
(() => {
  const written = new Intl.NumberFormat("en");
  function preview(form) {
    const { credits, direction } = form.elements;
    const amount = Number(credits.value);
    const sign = direction.value === "take" ? -1 : 1;
    const after = Number(form.dataset.balance) + sign * amount;
    const whole = credits.value !== "" && Number.isInteger(amount) && amount >= 1 && amount <= Number(credits.max);
    const valid = whole && after >= 0;
    form.querySelector("[data-after]").textContent =
      valid ? written.format(after) : whole ? `only ${written.format(form.dataset.balance)} to take` : "–";
    // Beyond what the operator may move alone, the same button asks a second operator.
    const most = sign < 0 ? form.dataset.mostTake : form.dataset.mostGive;
    const beyond = valid && most !== undefined && amount > Number(most);
    const button = form.querySelector("[data-submit]");
    button.toggleAttribute("name", beyond);
    if (beyond) Object.assign(button, { name: "ask", value: "1" });
    form.querySelectorAll("[data-alone]").forEach((hint) => { hint.hidden = hint.dataset.alone !== direction.value; });
    const verb = sign < 0 ? "take" : "give";
    const what = `${beyond ? `Ask to ${verb}` : verb[0].toUpperCase() + verb.slice(1)} ${written.format(amount)} ${amount === 1 ? "credit" : "credits"}`;
    button.textContent = valid ? what : "Adjust";
    form.querySelector("[data-title]").textContent =
      valid ? `${what} ${sign < 0 ? "from" : "to"} ${form.dataset.customer}` : `Adjust the credits of ${form.dataset.customer}`;
  }
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-adjust]");
    if (form) preview(form);
  });
  document.addEventListener("htmx:after:swap", () => document.querySelectorAll("form[data-adjust]").forEach(preview));
})();
