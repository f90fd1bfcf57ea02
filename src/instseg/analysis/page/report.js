"use strict";
const SVG = "http://www.w3.org/2000/svg";
const shown = JSON.parse(document.getElementById("shown").textContent);

function make(name, attributes, parent) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (parent) parent.append(element);
  return element;
}

function addTitle(element, text) {
  make("title", {}, element).textContent = text;
}

/* The part of the image around a case, with a margin, as x, y, width, height. */
function around(item, image) {
  const [x, y, width, height] = item.box;
  const side = Math.max(width, height) * 1.5 + 24;
  const w = Math.min(Math.max(side, width), image.width), h = Math.min(Math.max(side, height), image.height);
  const left = Math.min(Math.max(x + width / 2 - w / 2, 0), image.width - w);
  const top = Math.min(Math.max(y + height / 2 - h / 2, 0), image.height - h);
  return [left, top, w, h];
}

function draw(svg, item, view) {
  const image = shown.images[item.image];
  svg.replaceChildren();
  svg.setAttribute("viewBox", view.join(" "));
  make("image", { href: image.source, width: image.width, height: image.height }, svg);
  const outlines = [
    ...image.truths.map((shape, row) => [shape, "truth", item.truths.includes(row)]),
    ...image.found.map((shape, row) => [shape, shape.is_right ? "right" : "wrong", item.detections.includes(row)]),
  ];
  outlines.sort((a, b) => a[2] - b[2]);
  for (const [shape, kind, isSubject] of outlines) {
    const path = make("path", { d: shape.path, class: `outline ${kind}${isSubject ? " subject" : ""}` }, svg);
    addTitle(path, shape.text);
  }
}

function card(item) {
  const image = shown.images[item.image];
  const button = document.createElement("button");
  button.className = "case";
  const svg = make("svg", { role: "img", "aria-label": item.text, preserveAspectRatio: "xMidYMid meet" });
  const text = document.createElement("p");
  text.textContent = item.text;
  const name = document.createElement("p");
  name.className = "name";
  name.textContent = image.name;
  button.append(svg, text, name);
  button.onclick = () => open(item);
  whenSeen.observe(button);
  button.drawCase = () => draw(svg, item, around(item, image));
  return button;
}

const whenSeen = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((one) => one.isIntersecting)) {
    whenSeen.unobserve(entry.target);
    entry.target.drawCase();
  }
}, { rootMargin: "600px" });

for (const gallery of document.querySelectorAll(".cases[data-gallery]")) {
  gallery.append(...shown.galleries[gallery.dataset.gallery].map((number) => card(shown.cases[number])));
}

/* The whole image of a case, to zoom with the wheel, two fingers or a double click, and to drag. */
const dialog = document.getElementById("whole"), whole = dialog.querySelector("svg");
let view = null, opened = null;

function open(item) {
  opened = item;
  const image = shown.images[item.image];
  view = [0, 0, image.width, image.height];
  dialog.querySelector(".title").textContent = `${item.text} · ${image.name}`;
  draw(whole, item, view);
  if (!dialog.open) dialog.showModal();
}

function zoom(factor, clientX, clientY) {
  const at = point(clientX, clientY), image = shown.images[opened.image];
  const width = Math.min(view[2] * factor, image.width);
  const scale = width / view[2];
  view = [at.x - (at.x - view[0]) * scale, at.y - (at.y - view[1]) * scale, width, view[3] * scale];
  keepInside(image);
}

function keepInside(image) {
  view[0] = Math.min(Math.max(view[0], 0), Math.max(image.width - view[2], 0));
  view[1] = Math.min(Math.max(view[1], 0), Math.max(image.height - view[3], 0));
  whole.setAttribute("viewBox", view.join(" "));
}

function point(x, y) {
  return new DOMPoint(x, y).matrixTransform(whole.getScreenCTM().inverse());
}

whole.onwheel = (event) => { event.preventDefault(); zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, event.clientX, event.clientY); };
whole.ondblclick = (event) => zoom(0.5, event.clientX, event.clientY);
const fingers = new Map();
whole.onpointerdown = (event) => { whole.setPointerCapture(event.pointerId); fingers.set(event.pointerId, event); };
whole.onpointerup = whole.onpointercancel = (event) => fingers.delete(event.pointerId);
whole.onpointermove = (event) => {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  const other = [...fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
  if (other) {
    const apart = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY) || 1;
    zoom(apart(before) / apart(event), other.clientX, other.clientY);
  } else {
    const from = point(before.clientX, before.clientY), to = point(event.clientX, event.clientY);
    view[0] += from.x - to.x;
    view[1] += from.y - to.y;
    keepInside(shown.images[opened.image]);
  }
  fingers.set(event.pointerId, event);
};
dialog.querySelector("button").onclick = () => dialog.close();
dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };

for (const box of document.querySelectorAll(".toolbar input")) {
  box.onchange = () => document.body.classList.toggle(`hide-${box.name}`, !box.checked);
}

/* A cell of the confusion matrix opens its cases below. */
for (const cell of document.querySelectorAll(".matrix td.cell")) {
  cell.onclick = () => {
    const cases = document.getElementById("cell-cases");
    const numbers = shown.cells[cell.dataset.cell] || [];
    document.getElementById("cell-title").textContent = `${cell.title}${
      numbers.length < Number(cell.dataset.count) ? `; ${numbers.length} of them are shown` : ""}`;
    cases.replaceChildren(...numbers.map((number) => card(shown.cases[number])));
    document.getElementById("cell-title").scrollIntoView({ behavior: "smooth", block: "nearest" });
  };
  cell.onkeydown = (event) => { if (event.key === "Enter") cell.onclick(); };
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.onclick = () => {
      const isAscending = head.getAttribute("aria-sort") === "descending" || (column === 0 && !head.hasAttribute("aria-sort"));
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const compare = (a, b) => (column === 0 ? key(a).localeCompare(key(b)) : Number(key(a)) - Number(key(b)));
      const rows = [...table.tBodies[0].rows].sort(compare);
      table.tBodies[0].append(...(isAscending ? rows : rows.reverse()));
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", isAscending ? "ascending" : "descending");
    };
  });
}

for (const button of document.querySelectorAll("pre button")) {
  button.onclick = () => {
    navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "copied";
  };
}
