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

/* One picture for each run, side by side. */
function pictures(item) {
  return shown.images[item.image].found.map((_, run) => {
    const figure = document.createElement("figure");
    figure.className = "view";
    const name = shown.runs[run];
    figure.append(make("svg", { role: "img", "aria-label": name ? `${name}: ${item.text}` : item.text,
      preserveAspectRatio: "xMidYMid meet" }));
    if (name) figure.append(Object.assign(document.createElement("figcaption"), { textContent: name }));
    return figure;
  });
}

function draw(figures, item, view) {
  figures.forEach((figure, run) => drawRun(figure.firstChild, item, run, view));
}

function drawRun(svg, item, run, view) {
  const image = shown.images[item.image];
  svg.replaceChildren();
  svg.setAttribute("viewBox", view.join(" "));
  make("image", { href: image.source, width: image.width, height: image.height }, svg);
  const outlines = [
    ...image.truths.map((shape, row) => [shape, "truth", item.truths.includes(row)]),
    ...image.found[run].map((shape, row) => [shape, shape.is_right ? "right" : "wrong", item.detections[run].includes(row)]),
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
  button.type = "button";
  button.className = "case";
  const figures = pictures(item), views = document.createElement("div");
  views.className = "views";
  views.append(...figures);
  const text = document.createElement("p");
  text.textContent = item.text;
  const name = document.createElement("p");
  name.className = "name";
  name.textContent = image.name;
  button.append(views, text, name);
  button.onclick = () => open(item);
  whenSeen.observe(button);
  button.drawCase = () => draw(figures, item, around(item, image));
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

/* What waits to be seen is drawn for paper and for a picture of the page, too. */
function drawAll(cards) {
  for (const card of cards) {
    whenSeen.unobserve(card);
    card.drawCase();
  }
}
addEventListener("beforeprint", () => drawAll(document.querySelectorAll(".case")));
drawAll(document.querySelector(".cases[data-gallery]")?.children ?? []);

/* The whole image of a case, to zoom with the wheel, two fingers, a double click or the keys, and to drag. */
const dialog = document.getElementById("whole"), wholeViews = dialog.querySelector(".views");
let view = null, opened = null;

function open(item) {
  opened = item;
  const image = shown.images[item.image];
  view = [0, 0, image.width, image.height];
  dialog.querySelector(".title").textContent = `${item.text} · ${image.name}`;
  wholeViews.replaceChildren(...pictures(item));
  for (const svg of wholeViews.querySelectorAll("svg")) listen(svg);
  draw([...wholeViews.children], item, view);
  if (!dialog.open) dialog.showModal();
}

function zoom(factor, at) {
  const image = shown.images[opened.image];
  const width = Math.min(view[2] * factor, image.width);
  const scale = width / view[2];
  look([at.x - (at.x - view[0]) * scale, at.y - (at.y - view[1]) * scale, width, view[3] * scale]);
}

/* Show a part of the image, moved into it where it reaches out. */
function look([x, y, width, height]) {
  const image = shown.images[opened.image];
  view = [Math.min(Math.max(x, 0), Math.max(image.width - width, 0)),
    Math.min(Math.max(y, 0), Math.max(image.height - height, 0)), width, height];
  for (const svg of wholeViews.querySelectorAll("svg")) svg.setAttribute("viewBox", view.join(" "));
}

function point(svg, event) {
  return new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
}

function listen(svg) {
  const fingers = new Map();
  svg.onwheel = (event) => { event.preventDefault(); zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, point(svg, event)); };
  svg.ondblclick = (event) => zoom(0.5, point(svg, event));
  svg.onpointerdown = (event) => { svg.setPointerCapture(event.pointerId); fingers.set(event.pointerId, event); };
  svg.onpointerup = svg.onpointercancel = (event) => fingers.delete(event.pointerId);
  svg.onpointermove = (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const other = [...fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
    if (other) {
      const apart = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY) || 1;
      zoom(apart(before) / apart(event), point(svg, other));
    } else {
      const from = point(svg, before), to = point(svg, event);
      look([view[0] + from.x - to.x, view[1] + from.y - to.y, view[2], view[3]]);
    }
    fingers.set(event.pointerId, event);
  };
}

dialog.onkeydown = (event) => {
  const [x, y, width, height] = view, step = 0.1;
  const middle = { x: x + width / 2, y: y + height / 2 };
  const actions = {
    "+": () => zoom(0.8, middle), "=": () => zoom(0.8, middle), "-": () => zoom(1.25, middle),
    ArrowLeft: () => look([x - step * width, y, width, height]),
    ArrowRight: () => look([x + step * width, y, width, height]),
    ArrowUp: () => look([x, y - step * height, width, height]),
    ArrowDown: () => look([x, y + step * height, width, height]),
  };
  if (!actions[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  actions[event.key]();
};
dialog.querySelector("button").onclick = () => dialog.close();
dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };

for (const box of document.querySelectorAll(".toolbar input")) {
  box.onchange = () => document.body.classList.toggle(`hide-${box.name}`, !box.checked);
}

/* Enter and the space bar do what a click does. */
function pressable(element) {
  element.tabIndex = 0;
  element.onkeydown = (event) => {
    if (event.target !== element || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    element.click();
  };
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
  pressable(cell);
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
    pressable(head);
  });
}
