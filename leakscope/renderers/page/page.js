// Sorting, filtering and opening. Without this script the page shows the same, unsorted.
"use strict";
(() => {
  const valueOf = (row, column, kind) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    return kind === "number" ? Number(text.replaceAll(",", "")) : text.toLowerCase();
  };

  const sort = (button) => {
    const heading = button.closest("th");
    const body = heading.closest("table").tBodies[0];
    const kind = button.dataset.sort;
    // Numbers begin with the biggest, names with the first.
    const first = kind === "number" ? "descending" : "ascending";
    const other = kind === "number" ? "ascending" : "descending";
    const order = heading.getAttribute("aria-sort") === first ? other : first;
    const sign = order === "ascending" ? 1 : -1;
    const rows = Array.from(body.rows, (row) => [valueOf(row, heading.cellIndex, kind), row]);
    rows.sort(([a], [b]) => (a < b ? -sign : a > b ? sign : 0));
    for (const cell of heading.parentNode.cells) {
      if (cell.hasAttribute("aria-sort")) cell.setAttribute("aria-sort", "none");
    }
    heading.setAttribute("aria-sort", order);
    body.append(...rows.map(([, row]) => row));
  };

  const filter = (input) => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = Array.from(document.getElementById(input.dataset.filter).tBodies[0].rows);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    const told = document.getElementById(input.getAttribute("aria-describedby"));
    const all = `${rows.length} ${told.dataset.noun}${rows.length === 1 ? "" : "s"}`;
    told.textContent = shown === rows.length ? all : `${shown} of ${all}`;
  };

  const setOpen = (within, open) => {
    for (const details of document.getElementById(within).querySelectorAll("details")) {
      details.open = open;
    }
  };

  document.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (!button) return;
    if (button.dataset.sort) sort(button);
    if (button.dataset.open) setOpen(button.dataset.open, true);
    if (button.dataset.close) setOpen(button.dataset.close, false);
  });
  document.addEventListener("input", ({ target }) => {
    if (target.dataset.filter) filter(target);
  });
  // On paper nothing can be opened.
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = Array.from(document.querySelectorAll("details:not([open]):not(.numbers)"));
    for (const details of closed) details.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const details of closed) details.open = false;
  });
  for (const control of document.querySelectorAll(".filter, .buttons")) control.hidden = false;
})();
