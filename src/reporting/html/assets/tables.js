// Tables of the class `sortable` are sorted by the column whose heading is clicked, once more for the other way.

// Numbers as the page writes them (1,234.5 or −3 %) by their size, below every other text.
function compareTexts(one, other) {
  const [a, b] = [one, other].map(text => Number(text.replace("−", "-").replace(/[,\s%]/g, "") || NaN));
  if (isNaN(a) && isNaN(b)) return one.localeCompare(other);
  return isNaN(a) ? 1 : isNaN(b) ? -1 : a - b;
}

function sortBy(table, column) {
  const body = table.tBodies[0], heading = table.tHead.rows[0].cells[column];
  const isUp = heading.getAttribute("aria-sort") !== "ascending";
  const rows = [...body.rows].sort((one, other) => {
    const order = compareTexts(one.cells[column].textContent, other.cells[column].textContent);
    return isUp ? order : -order;
  });
  for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", isUp ? "ascending" : "descending");
  body.replaceChildren(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    heading.tabIndex = 0;
    heading.onclick = () => sortBy(table, column);
    heading.onkeydown = event => { if (event.key === "Enter") sortBy(table, column); };
  });
}
