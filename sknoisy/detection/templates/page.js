"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const STEP = 60; // cards that are drawn at a time
  const byId = (id) => document.getElementById(id);
  const KEYS = { k: "keep", t: "take", s: "skip" };
  const FILTERS = ["kind", "given", "suggested", "state", "search"];

  // Decisions by sample: {decision, label}, label as a position in data.classes.
  let decisions = load();
  let past = []; // what decisions replaced, for undo
  let shown = []; // positions in data.cards that pass the filters
  let drawn = 0; // how many of these have an element

  function load() {
    try {
      return JSON.parse(localStorage.getItem(data.key)) || {};
    } catch {
      return {}; // some browsers store nothing for local files
    }
  }

  function store() {
    try {
      localStorage.setItem(data.key, JSON.stringify(decisions));
    } catch { /* the decisions stay in this page until it is closed */ }
  }

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name in made) made[name] = value;
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  const className = (code) => data.classes[code];
  const percent = (p) => (p > 0.995 ? ">99%" : p < 0.005 ? "<1%" : `${Math.round(100 * p)}%`);

  function picture(card) {
    if (card.values) {
      const rows = card.values.map(([name, value]) =>
        element("tr", {}, element("td", {}, name), element("td", {}, value)));
      return element("table", { className: "values" }, ...rows);
    }
    if (card.text !== undefined) return element("div", { className: "text" }, card.text);
    if (!card.picture) return element("div", { className: "blank" }, card.blank || "no picture");
    const image = element("img", { src: card.picture, alt: card.name, loading: "lazy" });
    image.addEventListener("load", () => {
      image.classList.toggle("small", image.naturalHeight < 64);
    });
    return image;
  }

  function draw(position) {
    const card = data.cards[position];
    const name = card.link
      ? element("a", { href: card.link, target: "_blank", rel: "noopener" }, card.name)
      : card.name;
    const same = card.given === card.suggested;
    const labels = same ? className(card.given)
      : `${className(card.given)} → ${className(card.suggested)}`;
    const box = element("div", { className: "card", tabIndex: 0, role: "listitem" });
    box.dataset.position = position;
    const button = (decision, text) => {
      const made = element("button", { type: "button" }, text);
      made.dataset.decision = decision;
      made.addEventListener("click", () => decide(position, decision));
      return made;
    };
    const other = element("select", { ariaLabel: "another class" },
      element("option", { value: "" }, "another class"));
    data.classes.forEach((text, code) => {
      other.append(element("option", { value: code }, text));
    });
    other.addEventListener("change", () => {
      if (other.value !== "") decide(position, "other", Number(other.value));
    });
    const take = button("take", "Take");
    take.disabled = same;
    box.append(
      picture(card),
      element("div", { className: "name" }, name),
      element("div", { className: "labels" }, labels),
      element("div", { className: "sure" }, `likely wrong: ${percent(card.wrong)}`
        + (same ? "" : `, suggestion right: ${percent(card.sure)}`)),
      element("div", { className: "kind" }, card.kinds.join(", ")
        + (card.group < 0 ? "" : `, group ${card.group}`)),
      element("div", { className: "actions" },
        button("keep", "Keep"), take, button("skip", "Skip"), other));
    mark(box);
    return box;
  }

  function mark(box) {
    const card = data.cards[box.dataset.position];
    const made = decisions[card.sample];
    box.classList.toggle("done", Boolean(made));
    for (const button of box.querySelectorAll("button")) {
      button.ariaPressed = String(made?.decision === button.dataset.decision);
    }
    box.querySelector("select").value = made?.decision === "other" ? made.label : "";
  }

  function boxOf(position) {
    return byId("cards").querySelector(`[data-position="${position}"]`);
  }

  function refresh(position) {
    const box = boxOf(position);
    if (box) mark(box);
    count();
    store();
  }

  function count() {
    const done = data.cards.filter((card) => decisions[card.sample]).length;
    byId("progress").textContent =
      `${done} of ${data.cards.length} decided, ${shown.length} shown`;
    byId("export").disabled = done === 0;
  }

  function decide(position, decision, label) {
    const card = data.cards[position];
    if (decision === "take" && card.given === card.suggested) return;
    past.push([position, decisions[card.sample]]);
    if (decision !== "other") label = decision === "take" ? card.suggested : card.given;
    decisions[card.sample] = { decision, label };
    refresh(position);
    const from = shown.indexOf(position);
    focus(shown.findIndex((p, i) => i > from && !decisions[data.cards[p].sample]), from);
  }

  function undo() {
    if (!past.length) return;
    const [position, before] = past.pop();
    const { sample } = data.cards[position];
    if (before) decisions[sample] = before;
    else delete decisions[sample];
    refresh(position);
    focus(shown.indexOf(position));
  }

  function focus(index, otherwise = 0) {
    if (index < 0) index = otherwise;
    if (index < 0 || index >= shown.length) return;
    while (drawn <= index) more();
    boxOf(shown[index])?.focus();
  }

  function more() {
    const next = shown.slice(drawn, drawn + STEP);
    byId("cards").append(...next.map(draw));
    drawn += next.length;
  }

  function filter() {
    const wanted = Object.fromEntries(FILTERS.map((id) => [id, byId(id).value]));
    const text = wanted.search.toLowerCase();
    shown = [...data.cards.keys()].filter((position) => {
      const card = data.cards[position];
      const done = Boolean(decisions[card.sample]);
      return (!wanted.kind || card.kinds.includes(wanted.kind))
        && (wanted.given === "" || card.given === Number(wanted.given))
        && (wanted.suggested === "" || card.suggested === Number(wanted.suggested))
        && (!wanted.state || (wanted.state === "done") === done)
        && (!text || card.name.toLowerCase().includes(text));
    });
    byId("cards").replaceChildren();
    drawn = 0;
    more();
    byId("none").hidden = shown.length > 0;
    count();
  }

  // No spreadsheet takes a field for a formula: see datasets/cells.py.
  const FORMULA = /^'*[=+\-@\t\r]/;
  const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

  // RFC 4180: quotes are doubled, and lines end with CR LF.
  const field = (value) => {
    let text = String(value);
    if (FORMULA.test(text) && !NUMBER.test(text)) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };

  function toCsv() {
    const own = ["sample", "name", "given", "suggested", "decision", "label"];
    // Values that were shown tell later whether a row is still the one that was reviewed.
    const [first] = data.cards;
    const columns = ((first && first.values) || []).map(([name]) => name)
      .filter((name) => name !== "…" && !own.includes(name));
    const rows = [[...own, ...columns]];
    for (const card of data.cards) {
      const made = decisions[card.sample];
      if (!made) continue;
      const values = new Map(card.values);
      rows.push([card.sample, card.name, className(card.given), className(card.suggested),
        made.decision, className(made.label), ...columns.map((name) => values.get(name))]);
    }
    return rows.map((row) => `${row.map(field).join(",")}\r\n`).join("");
  }

  function save() {
    const url = URL.createObjectURL(new Blob([toCsv()], { type: "text/csv;charset=utf-8" }));
    const link = element("a", { href: url, download: "reviewed.csv" });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, summary")) return;
    const box = document.activeElement?.closest?.(".card");
    const position = box ? Number(box.dataset.position) : null;
    const key = event.key.toLowerCase();
    if (key === "arrowright" || key === "arrowleft") {
      const step = key === "arrowright" ? 1 : -1;
      focus(box ? shown.indexOf(position) + step : 0);
    } else if (key === "u") undo();
    else if (!box) return;
    else if (key in KEYS) decide(position, KEYS[key]);
    else if (key === "o") box.querySelector("select").focus();
    else return;
    event.preventDefault();
  }

  function options(id, values, text = (value) => value) {
    for (const value of values) byId(id).append(element("option", { value }, text(value)));
  }

  const codes = (name) => [...new Set(data.cards.map((card) => card[name]))].sort((a, b) => a - b);
  options("kind", new Set(data.cards.flatMap((card) => card.kinds)));
  options("given", codes("given"), className);
  options("suggested", codes("suggested"), className);
  for (const id of FILTERS) byId(id).addEventListener("input", filter);
  byId("export").addEventListener("click", save);
  document.addEventListener("keydown", onKey);
  if ("IntersectionObserver" in window) {
    new IntersectionObserver((seen) => {
      if (seen.some((entry) => entry.isIntersecting) && drawn < shown.length) more();
    }, { rootMargin: "800px" }).observe(byId("more"));
  } else {
    byId("more").append(element("button", { onclick: more }, "More"));
  }
  filter();
})();
