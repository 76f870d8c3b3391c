// What a form about a deal does beyond what the server does without scripts: it says while one types what the shares leave
// of the value, finds partners while one types, and is sent once by a double click.

for (const form of document.querySelectorAll("form[data-shares]")) {
  const rest = form.querySelector("#rest");
  if (rest) {
    const say = () => remainder(form, rest);
    form.addEventListener("input", say);
    form.addEventListener("change", say);
  }
  form.addEventListener("input", ({ target }) => {
    if (target.dataset.find) find(target);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.dataset.find) return;
    event.preventDefault(); // here it asks for companies, not for the deal to be registered
    find(event.target, 0);
  });
}

for (const form of document.querySelectorAll("form[method=post]")) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
  addEventListener("pageshow", () => (sent = false)); // back from where it led
}

// remainder writes what the value leaves after the shares. An amount that cannot be read says nothing.
function remainder(form, rest) {
  const currency = form.elements.currency.value;
  const format = new Intl.NumberFormat(form.dataset.language, { style: "currency", currency });
  const digits = format.resolvedOptions().maximumFractionDigits;
  const read = (input) => minor(input.value, form.dataset.shares, digits);
  const value = read(form.elements.value);
  const shares = [...form.querySelectorAll("[data-share]")].map((input) => (input.value.trim() ? read(input) : 0));
  const left = shares.reduce((sum, share) => sum - share, value);
  rest.value = Number.isSafeInteger(left) ? format.format(left / 10 ** digits) : "\u2013";
  rest.classList.toggle("over", left < 0);
}

// minor reads an amount as the server does, in minor units; NaN when it is none.
function minor(text, decimal, digits) {
  const other = decimal === "." ? "," : ".";
  let [whole, fraction = "", more] = text.replace(/[\s'\u2019]/g, "").split(decimal);
  const groups = whole.split(other);
  if (groups.length === 2 && !fraction && groups[1].length !== 3) [whole, fraction] = groups;
  else if (groups.every((group, i) => (i ? group.length === 3 : group.length <= 3)) || groups.length === 1) whole = groups.join("");
  else return NaN;
  if (more !== undefined || !/^\d+$/.test(whole) || !/^\d*$/.test(fraction) || fraction.length > digits) return NaN;
  return Number(whole + fraction.padEnd(digits, "0"));
}

const waits = new WeakMap();

// find shows the companies that fit what was typed, as the server's own search does, and keeps the one that is chosen.
function find(input, after = 250) {
  clearTimeout(waits.get(input));
  waits.set(
    input,
    setTimeout(async () => {
      const words = input.value.trim();
      const choices = input.closest(".entry").querySelector(".choices");
      const query = new URLSearchParams({ row: input.dataset.find, q: words });
      const chosen = choices.querySelector(":checked")?.closest("label");
      const answer = words ? await fetch(`/deals/partners?${query}`, { redirect: "error" }).catch(() => null) : null;
      if (input.value.trim() !== words || (words && !answer?.ok)) return; // typed on; or the button still does it
      choices.innerHTML = answer ? await answer.text() : "";
      if (!chosen) return;
      const again = choices.querySelector(`[value="${CSS.escape(chosen.firstElementChild.value)}"]`);
      if (again) again.checked = true;
      else choices.prepend(chosen);
    }, after),
  );
}

for (const button of document.querySelectorAll("[data-find] + button")) button.hidden = true;
