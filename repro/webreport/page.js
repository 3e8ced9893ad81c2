"use strict";
// Builds the page from its data blocks. Text goes in by textContent alone, so none of it is read as HTML.

const block = (name) => JSON.parse(document.getElementById(name).textContent);
const record = block("record"), cells = block("cells"), evidence = block("evidence");
const byId = (name) => document.getElementById(name);

/** An element with properties (or, with a dash or as `role`, attributes) and children: elements or texts. */
function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || ["role", "scope", "colspan", "tabindex"].includes(key)) made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}
const count = (number) => number.toLocaleString("en");
const signed = (number) => (number > 0 ? "+" : number < 0 ? "−" : "") + Math.abs(number).toFixed(4);
const say = (text) => { byId("spoken").textContent = text; };

// -- The table: sorted by its headers, walked with the arrow keys

const table = byId("results"), measured = (row) => row.status === "measured";

function buildTable() {
  const headers = [["system", true], ["type", true], ...cells.headers.map((header) => [header, false])];
  const head = element("tr", {}, ...headers.map(([header, left], at) => {
    const button = element("button", { type: "button", textContent: header });
    button.addEventListener("click", () => sortBy(at));
    return element("th", { scope: "col", className: left ? "left" : "" }, button);
  }));
  const body = element("tbody", {}, ...record.rows.map(tableRow));
  table.append(element("caption", { className: "hidden", textContent: byId("caption").textContent }),
    element("thead", {}, head), body);
  const first = body.querySelector("button");
  if (first) first.tabIndex = 0;
  body.addEventListener("keydown", walk);
  body.addEventListener("focusin", (event) => {
    for (const button of body.querySelectorAll('button[tabindex="0"]')) button.tabIndex = -1;
    event.target.tabIndex = 0;
  });
}

function tableRow(row, at) {
  const figure = (text, column) => {
    const button = element("button", { type: "button", tabIndex: -1 }, ...withMark(text, column));
    button.addEventListener("click", () => showOrigin(row, column));
    return button;
  };
  const made = element("tr", {});
  made.dataset.at = at;
  if (!measured(row)) {
    made.append(element("th", { scope: "row", className: "left plain" }, element("span", { textContent: row.system })),
      element("td", { className: "left plain", textContent: row.kind }),
      element("td", { className: "left plain", colspan: cells.headers.length, textContent: row.status }));
    return made;
  }
  made.append(element("th", { scope: "row", className: "left" }, figure(cells.labels[at], null)),
    element("td", { className: "left plain", textContent: row.kind }),
    ...cells.rows[at].map((text, column) => element("td", {}, figure(text, evidence.columns[column]))));
  return made;
}

const marks = { "▲": " significantly better", "▼": " significantly worse" };

/** A figure, its mark in a column of its own if any figure of the column has one, in words for who hears it. */
function withMark(text, column) {
  const at = evidence.columns.indexOf(column), mark = text.at(-1);
  if (!cells.rows.some((row) => row[at]?.at(-1) in marks)) return [text];
  const shown = element("span", { className: "mark", "aria-hidden": "true", textContent: mark in marks ? mark : "" });
  return mark in marks ? [text.slice(0, -1).trim(), shown, element("span", { className: "hidden", textContent: marks[mark] })] : [text, shown];
}

/** Sort by a column; a second click turns the order round. What has no value stays at the end. */
function sortBy(at) {
  const headers = [...table.tHead.rows[0].cells], header = headers[at], column = evidence.columns[at - 2];
  const before = header.getAttribute("aria-sort");
  const descends = before ? before === "ascending" : Boolean(column?.descends);
  for (const other of headers) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", descends ? "descending" : "ascending");
  const value = (tr) => {
    const row = record.rows[tr.dataset.at];
    return column ? column.values[tr.dataset.at] : at === 0 ? row.system : row.kind;
  };
  const compare = (one, other) => (typeof one === "string" ? one.localeCompare(other) : one - other);
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    if (a === null || b === null) return (a === null) - (b === null);
    return descends ? compare(b, a) : compare(a, b);
  });
  table.tBodies[0].append(...rows);
  say(`sorted by ${header.textContent}, ${descends ? "descending" : "ascending"}`);
}

function walk(event) {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  const rows = [...table.tBodies[0].rows].map((row) => [...row.querySelectorAll("button")]).filter((row) => row.length);
  const at = rows.findIndex((row) => row.includes(event.target));
  if (!step || at < 0) return;
  event.preventDefault();
  rows[at + step[0]]?.[rows[at].indexOf(event.target) + step[1]]?.focus();
}

// -- Where a figure comes from

const stageNames = { "encode documents": "Documents, encoded", "encode queries": "Queries, encoded", index: "Index", search: "Run" };
const pair = (term, ...content) => [element("dt", { textContent: term }), element("dd", {}, ...content)];
const sum = (text) => element("span", { className: "sum", textContent: text });

function showOrigin(row, column) {
  const at = record.rows.indexOf(row), made = evidence.artifacts[row.system];
  const shown = column ? cells.rows[at][evidence.columns.indexOf(column)] : null;
  byId("origin-heading").textContent = column ? `${row.system}, ${column.header}: ${shown}` : row.system;
  const value = column?.values[at] ?? null, high = column?.highs?.[at];
  const told = made.filter((of) => of.tells.includes(column?.field));
  const makers = told.length ? told : made.slice(-1);
  byId("origin-body").replaceChildren(
    element("p", { textContent: column ? column.how : "A row's run, and all that it was made from." }),
    element("dl", {},
      ...(value === null ? pair("Value", column?.unknown?.[at] ? `not known: ${column.unknown[at]}` : "none") : pair("Value", high === undefined ? String(value) : `${value} to ${high}`)).slice(column ? 0 : 2),
      ...pair("Run", sum(row.run)), ...pair("SHA-256 of the run", sum(row.run_sha256)),
      ...pair("Judgments", `${count(record.queries)} queries, SHA-256 `, sum(record.judgments)),
      ...(row.unanswered.length ? pair("Without an answer", `${count(row.unanswered.length)} queries, each counted as 0`) : []),
      ...pair("Documents", `${count(record.corpus.documents)}, text ${record.text}, SHA-256 `, sum(record.corpus.sha256)),
      ...(row.weights ? pair("Weights", `${row.weights.source}, SHA-256 `, sum(row.weights.sha256)) : []),
      ...pair("Options", row.options || "the defaults")),
    ...makers.flatMap((of) => [
      element("h3", { textContent: `${stageNames[of.stage] ?? of.stage}${makers.length > 1 ? `, ${of.path}` : ""}: made by` }),
      command(null, of.manifest.made.command),
      madeBy(of.manifest.made)]),
    element("h3", { textContent: "All that the run was made from" }),
    ...made.map(artifactDetails));
  byId("origin").showModal();
  byId("origin-heading").focus();
}

function madeBy(made) {
  const versions = Object.entries(made.versions).map(([name, version]) => `${name} ${version}`).join(", ");
  const cpu = made.hardware?.cpu ?? {};
  const machine = [cpu.model ?? cpu.architecture, cpu["number of cores"] && `${cpu["number of cores"]} cores`, made.hardware?.ram];
  return element("dl", {}, ...pair("When", made.when), ...pair("Versions", versions),
    ...pair("Machine", machine.filter(Boolean).join(", ") || "not recorded"));
}

function artifactDetails(of) {
  return element("details", { className: "artifact" },
    element("summary", { textContent: `${stageNames[of.stage] ?? of.stage}: ${of.path}` }),
    element("dl", {}, ...pair("Manifest", sum(of.manifest_path)), ...pair("SHA-256 of the manifest", sum(of.manifest_sha256))),
    element("pre", { className: "manifest", role: "group", tabindex: 0, "aria-label": `Manifest of ${of.path}`, textContent: JSON.stringify(of.manifest, null, 1) }));
}

// -- Commands

function command(does, line) {
  const code = element("pre", { tabindex: 0, role: "group", "aria-label": does ?? "Command" }, element("code", { textContent: line }));
  const copy = element("button", { type: "button", textContent: "Copy", "aria-label": does ? `Copy: ${does}` : "Copy the command" });
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(line);
      copy.textContent = "Copied";
      say("copied");
    } catch { // a browser that keeps the clipboard from pages: mark the line for Ctrl+C
      getSelection().selectAllChildren(code);
      say("selected, to be copied with Ctrl+C");
    }
    setTimeout(() => { copy.textContent = "Copy"; }, 2000);
  });
  return element("div", { className: "command" }, does && element("p", { textContent: does }), element("div", { className: "line" }, code, copy));
}

function buildCommands() {
  const { where, table: ofTable, rows } = evidence.commands;
  byId("where").textContent = `Each command runs as it stands, in the folder in which the table was made, ${where}.`;
  byId("commands").append(
    element("div", { className: "row" }, element("h3", { textContent: "All rows" }), ...ofTable.map((of) => command(of.does, of.line))),
    ...Object.entries(rows).map(([system, commands]) => element("details", { className: "row" },
      element("summary", { textContent: system }), ...commands.map((of) => command(of.does, of.line)))));
}

// -- Two systems by query

const systems = record.rows.filter(measured).map((row) => row.system);
const scores = Object.fromEntries(Object.entries(evidence.scores).map(([measure, packed]) => [measure, unpack(packed)]));
const PAGE = 20;
let chosen = [], visible = 0;

/** Places among the distinct values, a typed array a system: what `scores.packed` has packed. */
function unpack({ distinct, bytes, places }) {
  const kind = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array }[bytes];
  const arrays = places.map((text) => new kind(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer));
  return { distinct, places: Object.fromEntries(systems.map((system, at) => [system, arrays[at]])) };
}
const scoreOf = (measure, system, query) => scores[measure].distinct[scores[measure].places[system][query]];

function choose() {
  const [first, second, measure, order] = ["first", "second", "measure", "order"].map((name) => byId(name).value);
  const { ids, texts } = evidence.queries, words = byId("words").value.toLowerCase().split(/\s+/).filter(Boolean);
  const differences = ids.map((_, query) => scoreOf(measure, first, query) - scoreOf(measure, second, query));
  const places = scores[measure].places;
  const wins = ids.map((_, query) => Math.sign(places[first][query] - places[second][query]));
  tellOutcome(first, second, measure, differences, wins);
  chosen = ids.map((_, query) => query).filter((query) => (!byId("opened").checked || ids[query] in evidence.found)
    && words.every((word) => texts[query].toLowerCase().includes(word) || ids[query].toLowerCase() === word));
  const key = { any: (query) => -Math.abs(differences[query]), first: (query) => -differences[query], second: (query) => differences[query] }[order];
  if (key) chosen.sort((one, other) => key(one) - key(other));
  byId("list").replaceChildren();
  visible = 0;
  showMore();
}

function tellOutcome(first, second, measure, differences, wins) {
  const number = (sign) => wins.filter((win) => win === sign).length;
  const [better, equal, worse] = [number(1), number(0), number(-1)];
  const mean = differences.reduce((total, value) => total + value, 0) / differences.length;
  const tested = record.comparisons.findIndex((of) => of.measure === measure
    && (of.system === first && of.other === second || of.system === second && of.other === first));
  const strong = (text, name) => element("strong", { textContent: text, className: name });
  byId("outcome").replaceChildren(
    strong(first, "of-first"), ` is better on ${count(better)} queries, `, strong(second, "of-second"),
    ` on ${count(worse)}; on ${count(equal)} they are equal. Mean difference in ${measure}: ${signed(mean)}`,
    tested < 0 ? "." : `, p ${evidence.tests.p_values[tested]} by the ${evidence.tests.by}.`);
  const part = (size, name) => {
    const made = element("div", { className: name });
    made.style.flexGrow = size;
    return made;
  };
  byId("balance").replaceChildren(part(better, "in-first"), part(equal, "in-both"), part(worse, "in-second"));
}

function showMore() {
  const [first, second, measure] = ["first", "second", "measure"].map((name) => byId(name).value);
  const next = chosen.slice(visible, visible + PAGE);
  byId("list").append(...next.map((query) => element("li", {}, queryDetails(query, first, second, measure))));
  visible += next.length;
  const left = chosen.length - visible;
  byId("more").hidden = left === 0;
  byId("more").textContent = `${Math.min(PAGE, left)} more of ${count(left)}`;
  if (!chosen.length) byId("list").append(element("li", { className: "hint", textContent: "No query has these words, or this id." }));
}

function queryDetails(query, first, second, measure) {
  const id = evidence.queries.ids[query], [one, other] = [first, second].map((system) => scoreOf(measure, system, query));
  const number = (label, name, text, more = "") => element("span", { className: `number ${more}` }, element("span", { className: `label ${name}`, textContent: label }), text);
  const details = element("details", { className: "query" }, element("summary", {},
    element("span", { className: "text" }, evidence.queries.texts[query] || id, id in evidence.found ? null : element("span", { className: "label", textContent: "figures only" })),
    number(first, "of-first", one.toFixed(4)), number(second, "of-second", other.toFixed(4)),
    number("difference", "", signed(one - other), "difference")));
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(queryInside(query, first, second));
  });
  return details;
}

function queryInside(query, first, second) {
  const id = evidence.queries.ids[query], found = evidence.found[id];
  const figures = element("div", { className: "scroll", tabindex: 0, role: "region", "aria-label": `All figures of query ${id}` }, allFigures(query));
  const inside = element("div", { className: "inside" }, element("p", { className: "label", textContent: `query ${id}` }));
  if (!found) {
    inside.append(figures, element("p", { className: "hint", textContent: "Passages are kept of the queries in which systems differ most; this is none of them." }));
    return inside;
  }
  const side = (system, other, name) => {
    const first5 = found.documents.map((_, at) => at).filter((at) => found.ranks[system][at] && found.ranks[system][at] <= evidence.hits);
    first5.sort((a, b) => found.ranks[system][a] - found.ranks[system][b]);
    return element("div", {}, element("h3", { className: name, textContent: `${system}: first ${first5.length}` }),
      first5.length ? element("ol", { className: "hits" }, ...first5.map((at) => hit(id, found, at, system, other))) : element("p", { textContent: "It found nothing." }));
  };
  inside.append(element("div", { className: "sides" }, side(first, second, "of-first"), side(second, first, "of-second")));
  const within = (at, system) => found.ranks[system][at] && found.ranks[system][at] <= evidence.hits;
  const missed = found.documents.map((_, at) => at).filter((at) => found.grades[at] >= evidence.relevant && !within(at, first) && !within(at, second));
  if (missed.length) {
    inside.append(element("h3", { textContent: "Judged relevant, and among the first of neither" }),
      element("ol", { className: "hits" }, ...missed.map((at) => hit(id, found, at, first, second, true))));
  }
  inside.append(element("details", { className: "terms" }, element("summary", { textContent: "Figures of all systems" }), figures));
  return inside;
}

function allFigures(query) {
  const measures = Object.keys(scores);
  return element("table", { className: "figures" },
    element("thead", {}, element("tr", {}, ...["system", ...measures].map((name) => element("th", { scope: "col", textContent: name })))),
    element("tbody", {}, ...systems.map((system) => element("tr", {}, element("th", { scope: "row", textContent: system }),
      ...measures.map((measure) => element("td", { textContent: scoreOf(measure, system, query).toFixed(4) }))))));
}

/** A passage as `system` found it; with `both`, as neither put it first. */
function hit(id, found, at, system, other, both = false) {
  const docid = found.documents[at], grade = found.grades[at], rankIn = (of) => found.ranks[of][at];
  const place = (of) => (rankIn(of) ? `rank ${count(rankIn(of))} in ${of}` : `not found by ${of}`);
  const judged = grade === null ? "not judged" : `grade ${grade}`;
  return element("li", {},
    element("div", { className: "about" },
      both ? element("span", { textContent: place(system) }) : element("b", { textContent: `${rankIn(system)}.` }),
      element("span", { className: grade >= evidence.relevant ? "grade relevant" : "grade", textContent: judged }),
      element("span", { textContent: docid }),
      both ? null : element("span", { textContent: `score ${found.scores[system][at]}` }),
      element("span", { textContent: place(other) })),
    element("p", { textContent: evidence.passages[docid] ?? "This document is not in the collection." }),
    ...(both ? [system, other] : [system]).map((of) => matching(id, at, of)));
}

/** Why a SPLADE system found a passage: the terms that it shares with the query, and their products. */
function matching(id, at, system) {
  const shared = evidence.terms[system]?.[id]?.[at];
  if (!shared) return null;
  const terms = shared.filter((of) => of.length === 3), [more, rest] = shared.find((of) => of.length === 2) ?? [0, 0];
  if (!terms.length) return element("p", { className: "label", textContent: `${system}: no term in common` });
  const greatest = terms[0][1] * terms[0][2], total = terms.reduce((all, [, q, d]) => all + q * d, rest);
  const line = (head, ...numbers) => element("tr", {}, head, ...numbers.map((of) => element("td", { textContent: of })));
  const rows = terms.map(([term, q, d]) => {
    const bar = element("div");
    bar.style.width = `${(100 * q * d) / greatest}%`;
    const made = line(element("th", { scope: "row", textContent: term }), q, d, count(q * d));
    made.append(element("td", { className: "bar", "aria-hidden": "true" }, bar));
    return made;
  });
  if (more) rows.push(line(element("th", { scope: "row", textContent: `${more} more` }), "", "", count(rest)));
  return element("details", { className: "terms" },
    element("summary", { textContent: `${system}: ${terms.length + more} matching terms, products sum to ${count(total)}` }),
    element("table", {}, element("thead", {}, element("tr", {}, ...["term", "query", "passage", "product"].map((name) => element("th", { scope: "col", textContent: name })), element("td"))),
      element("tbody", {}, ...rows)));
}

function buildChoice() {
  const option = (text) => element("option", { value: text, textContent: text });
  for (const name of ["first", "second"]) byId(name).append(...systems.map(option));
  byId("measure").append(...Object.keys(scores).map(option));
  byId("second").selectedIndex = Math.min(1, systems.length - 1);
  byId("choice").addEventListener("submit", (event) => event.preventDefault());
  byId("choice").addEventListener("change", (event) => {
    if (event.target !== byId("words")) choose(); // words were sought while typed: a click that leaves them keeps its target
  });
  byId("words").addEventListener("input", choose);
  byId("more").addEventListener("click", () => {
    const before = byId("list").children.length;
    showMore();
    byId("list").children[before]?.querySelector("summary")?.focus();
  });
  choose();
}

// -- Notes: what the marks mean, why rows were not run, what was published, what the figures say

function buildNotes() {
  const notes = byId("notes"), items = (texts) => element("ul", {}, ...texts.map((text) => element("li", { textContent: text })));
  if (evidence.legend) notes.append(element("p", { textContent: evidence.legend }));
  const missing = record.rows.filter((row) => !measured(row));
  if (missing.length) notes.append(element("h3", { textContent: "Not run" }), items(missing.map((row) => `${row.system}: ${row.reason}`)));
  if (evidence.published.rows.length) notes.append(element("h3", { textContent: "Published beside measured" }), figuresTable("Published beside measured", evidence.published));
  if (record.claims.length) notes.append(element("h3", { textContent: "What the figures say" }), items(record.claims));
}

function figuresTable(label, { headers, rows }) {
  return element("div", { className: "scroll", tabindex: 0, role: "region", "aria-label": label }, element("table", { className: "figures" },
    element("thead", {}, element("tr", {}, ...headers.map((name) => element("th", { scope: "col", textContent: name })))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, element("th", { scope: "row", textContent: row[0] }), ...row.slice(1).map((text) => element("td", { textContent: text })))))));
}

byId("close").addEventListener("click", () => byId("origin").close());
byId("caption").textContent = evidence.caption;
byId("contents").append(...evidence.contents.map((text) => element("li", { textContent: text })));
if (!document.querySelector(".plots").children.length) byId("plots").hidden = true;
buildTable();
buildNotes();
buildCommands();
if (systems.length > 1) buildChoice();
else for (const part of [byId("queries"), document.querySelector('nav a[href="#queries"]')]) part.hidden = true;
