"use strict";
document.documentElement.classList.add("scripted");

function valueOf(cell) {
  const text = (cell.dataset.v ?? cell.textContent).trim();
  const number = Number(text.replace(/[,%\s]/g, "").replace("−", "-"));
  return text !== "" && Number.isFinite(number) ? number : text;
}

function compare(a, b) {
  const numbers = [a, b].map((value) => typeof value === "number");
  if (numbers[0] && numbers[1]) return a - b;
  if (numbers[0] !== numbers[1]) return numbers[0] ? 1 : -1;
  return a.localeCompare(b);
}

function sortBy(table, heads, column) {
  const head = heads[column];
  const down = head.getAttribute("aria-sort") !== "descending";
  heads.forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [valueOf(row.cells[column]), row]);
  rows.sort((a, b) => (down ? compare(b[0], a[0]) : compare(a[0], b[0])));
  body.append(...rows.map((pair) => pair[1]));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sortBy(table, heads, column));
    head.append(button);
  });
}

function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", openTarget);
openTarget();

const find = document.getElementById("find");
if (find) {
  const countries = [...document.querySelectorAll("details.country")];
  find.addEventListener("input", () => {
    const words = find.value.trim().toLowerCase();
    let shown = 0;
    for (const country of countries) {
      country.hidden = !country.dataset.name.toLowerCase().includes(words);
      shown += country.hidden ? 0 : 1;
    }
    document.getElementById("found").textContent = words ? `${shown} found` : "";
  });
}
