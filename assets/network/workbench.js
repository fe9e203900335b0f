// The workbench: one screen around one state. Python sends the network once; choosing, the threshold, card,
// table and picture answer here. Python hears of every choice (it writes the address, and sends back what
// needs cells: distributions and paths).

import { count, make, percent } from "./elements.js";
import { download } from "./files.js";
import { reach } from "./layout.js";
import { bundleGenes, fold, Graph, SIGN_WORDS, STEPS, THERE } from "./model.js";
import { Card, chanceWords, comparedCounts, EdgeTable, Perturbations, ThresholdCurve } from "./panels.js";
import { casingOf, DASHES, INK, PALETTES, Picture } from "./picture.js";
import { inShort, trustLines } from "./trust.js";

// The charts of thresholds below and this screen tell each other of a drag.
const THRESHOLD_EVENT = "gpovae-threshold";
const COLUMNS_MM = [
  [85, "one column"],
  [114, "one and a half"],
  [174, "two columns"],
];
const WIDEST_MM = COLUMNS_MM.at(-1)[0]; // a picture that is saved without a choice of its width
const POINTS_PER_MM = 72 / 25.4;
const POINTS_PER_UNIT = 6 / 11; // letters of 11 units, the smallest, have 6 points in print
const MAP_AT_MOST = 300; // edges; more are shown as a matrix, unless somebody asks for the map
const TALLEST = 1100; // pixels: in a higher window what is opened below is seen, too
const PATIENCE = 180; // milliseconds between two messages to Python while something is moved
const ASKED_AGAIN = [5000, 15000]; // milliseconds after which what was not answered is said once more
const VIEWS = [
  ["whole", "Map", "Regulators in the middle, their targets folded into groups"],
  ["matrix", "Matrix", "Regulators in rows, targets in columns, colour: effect"],
  ["ego", "Around", "The chosen gene and what it regulates"],
];
const DIRECTIONS = [
  ["out", "what it regulates"],
  ["in", "what regulates it"],
  ["both", "both ways"],
];

const benches = new WeakMap();

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let bench = benches.get(parentElement);
  if (!bench) {
    bench = new Workbench(parentElement);
    benches.set(parentElement, bench);
  }
  bench.send = setTriggerValue;
  bench.take(data);
  return () => {
    bench.destroy();
    benches.delete(parentElement);
  };
}

class Workbench {
  constructor(parent) {
    const find = (selector) => parent.querySelector(selector);
    this.find = find;
    this.root = find(".explorer");
    this.root.bench = this; // tests and benchmarks ask it what is shown
    this.seq = 0;
    this.sight = {
      threshold: 0.5,
      focus: null,
      edge: null,
      view: null,
      open: null,
      hops: 1,
      direction: "out",
      row: 0,
    };
    this.picture = new Picture(find(".canvas"), find(".tip"), {
      gene: (gene, aim) =>
        aim && this.sight.focus !== null ? this.pair(this.sight.focus, gene) : this.gene(gene, true),
      edge: (e) => this.edge(e),
      bundle: (key) => this.bundle(key),
      nothing: () => this.back(),
      say: (words) => this.say(words),
    });
    this.curve = new ThresholdCurve(find(".threshold"), {
      drag: (value) => this.drag(value),
      release: () => this.release(),
    });
    this.list = new Perturbations(find(".list"), { gene: (gene) => this.gene(gene) });
    this.table = new EdgeTable(find(".head"), find(".rows"), { edge: (e) => this.edge(e) });
    this.card = new Card(find(".card"), {
      gene: (gene) => this.gene(gene),
      around: (gene) => this.choose({ focus: gene, edge: null, open: null, view: "ego" }),
      edge: (e) => this.edge(e),
      bundle: (key) => this.bundle(key),
      path: (row) => this.choose({ row }),
      ask: (what) => this.ask(what),
    });
    this.listen(find);
  }

  listen(find) {
    const on = (selector, event, action) => find(selector).addEventListener(event, action);
    on(".undo", "click", () => this.ask("step", -1));
    on(".redo", "click", () => this.ask("step", 1));
    on(".fit", "click", () => this.picture.fit());
    on(".svg", "click", () => this.askFigure("svg", WIDEST_MM));
    on(".png", "click", () => this.askFigure("png", WIDEST_MM));
    on(".full", "click", () => this.toggleFull());
    this.find(".figure-menu .inside").replaceChildren(...this.figureChoices());
    on(".csv", "click", () => this.askFile("csv"));
    on(".standing", "change", (event) => {
      this.table.keep(event.target.value);
      this.drawTitle();
    });
    on(".cx2", "click", () => this.askFile("cx2"));
    on(".runs", "change", (event) => this.ask("run", event.target.value));
    on(".empty button", "click", () => {
      this.drag(this.offered);
      this.release();
    });
    on(".search", "input", () => this.suggest());
    on(".search", "keydown", (event) => this.searchKey(event));
    on(".search", "blur", () => setTimeout(() => this.closeFound(), 150));
    on(".show-picture", "click", () => this.turn("with-picture"));
    on(".show-list", "click", () => this.turn("with-list"));
    for (const menu of this.root.querySelectorAll(".menu"))
      menu.addEventListener("focusout", (event) => {
        if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
      });
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.outside = (event) => {
      if (!event.composedPath().some((one) => one.classList?.contains("menu")))
        for (const menu of this.root.querySelectorAll(".menu")) menu.open = false;
    };
    document.addEventListener("pointerdown", this.outside);
    this.slash = (event) => {
      const target = event.composedPath()[0];
      const typing = target.closest?.("input, textarea, select, [contenteditable=true]");
      if (event.key === "Escape" && target === document.body) this.key(event);
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      find(".search").focus();
    };
    document.addEventListener("keydown", this.slash);
    this.heard = ({ detail }) => {
      if (detail.from !== "picture" && this.graph && detail.measure === this.graph.facts.measure)
        this.drag(detail.value, true);
    };
    window.addEventListener(THRESHOLD_EVENT, this.heard);
    this.resized = new ResizeObserver(() => this.resize());
    this.resized.observe(document.documentElement);
    this.resized.observe(find(".frame"));
  }

  // ------------------------------------------------------------------ from Python

  take(data) {
    if (data.version !== this.version && !data.genes) {
      this.send("missing", Date.now()); // Python believes that this network is here; the screen was made anew
      return;
    }
    this.data = data;
    const fresh = data.version !== this.version;
    const unheard = fresh && data.view.seq < this.seq ? this.said() : null;
    if (fresh) {
      this.graph = new Graph(data);
      this.version = data.version;
      this.askedTests = false;
      this.memory = null;
    }
    if (data.tests && (fresh || !this.graph.tested)) this.graph.takeTests(data.tests);
    if (!this.takeCompared(data.compared, fresh)) {
      this.send("missing", Date.now());
      return;
    }
    this.evidence = data.evidence;
    this.answered = data.view.seq;
    if (unheard) {
      this.takeView(unheard); // chosen while this network was on its way: Python hears of it once more
      this.tell();
    } else if (data.view.seq >= this.seq) this.takeView(data.view);
    this.resize(true);
    const look = JSON.stringify([this.readLook(), data.stops]);
    if (fresh || look !== this.looked) {
      this.looked = look;
      this.drawFrame();
    }
    this.repaint();
    this.takeFile(data.file);
    this.drawMenus();
    this.find(".undo").disabled = !data.view.undo;
    this.find(".redo").disabled = !data.view.redo;
    if (!data.tests && data.tests_ready && !this.askedTests) {
      this.askedTests = true; // the picture stands first: testing all pairs takes a while
      setTimeout(() => this.send("asked", { what: "tests", at: Date.now() }), 50);
    }
    this.root.dataset.ready = String(Number(this.root.dataset.ready || 0) + 1);
  }

  /** The open comparison, whose edges come once. False: they are not here any more. */
  takeCompared(compared, fresh) {
    const version = compared?.version ?? null;
    if (version === this.comparedAt && !fresh) return true;
    if (compared && !compared.edges) return false;
    this.comparedAt = version;
    this.unseen = new Set();
    this.graph.compare(compared);
    this.root.classList.toggle("comparing", compared !== null);
    this.root.classList.toggle("both", this.graph.both);
    return true;
  }

  takeView(view) {
    const index = (name) =>
      name === null || !this.graph.index.has(name) ? null : this.graph.index.get(name);
    const edge = [index(view.edge_from), index(view.edge_to)];
    this.seq = Math.max(this.seq, view.seq);
    this.sight = {
      threshold: view.threshold,
      focus: index(view.gene),
      edge: edge.includes(null) ? null : edge,
      view: view.view,
      open: this.bundleOf(view.bundle),
      hops: view.hops,
      direction: view.direction,
      row: view.row,
    };
    this.mark = view.mark?.map(index).filter((gene) => gene !== null) ?? null;
  }

  /** The key of the bundle that Python names by its regulators; the one that is open where several fit. */
  bundleOf(genes) {
    const named = genes.join("\n");
    if (!named) return null;
    const fits = (key) => bundleGenes(key).join("\n") === named;
    if (fits(this.sight.open)) return this.sight.open;
    return this.folded?.bundles.find((one) => fits(one.key))?.key ?? named;
  }

  takeFile(file) {
    if (!file || file.at === this.fileAt) return;
    this.fileAt = file.at;
    const bytes = Uint8Array.from(atob(file.content), (c) => c.charCodeAt(0));
    download(new Blob([bytes], { type: file.mime }), file.name);
  }

  // ------------------------------------------------------------------ to Python

  ask(what, value) {
    this.send("asked", { what, value: value ?? null, at: Date.now() });
  }

  askFile(format) {
    const { graph } = this;
    const own = this.table.edges.filter((e) => graph.standingOf(e) !== THERE);
    const edges = own.map((e) => [graph.source[e], graph.target[e]]);
    this.send("asked", {
      what: "file",
      value: { format, edges, places: this.picture.places(own) },
      at: Date.now(),
    });
  }

  /** One line for every width of a page's columns, with a button for every kind of file. */
  figureChoices() {
    return COLUMNS_MM.map(([mm, words]) =>
      make(
        "div",
        { class: "setting", title: `${mm} mm: ${words} of a page` },
        make("span", { text: `${mm} mm` }),
        ...["pdf", "svg", "png"].map((format) =>
          make("button", {
            text: format.toUpperCase(),
            "aria-label": `Figure of ${mm} mm as ${format.toUpperCase()}`,
            click: () => this.askFigure(format, mm),
          }),
        ),
      ),
    );
  }

  askFigure(format, mm) {
    this.find(".figure-menu").open = false;
    const across = Math.round((mm * POINTS_PER_MM) / POINTS_PER_UNIT);
    const picture = this.picture.strokes(across);
    const value = { format, mm, view: this.scene.view, ...picture, told: this.toldKeys() };
    this.send("asked", { what: "figure", value, at: Date.now() });
    this.find(".status").textContent = `Drawing a figure of ${mm} mm …`;
  }

  /** What an open comparison tells apart, [words, colour] each, for the legend of a figure. */
  toldKeys() {
    if (!this.graph.compared) return [];
    const casing = (code) => casingOf(code, { palette: PALETTES.light, text: INK });
    return comparedCounts(this.graph)
      .filter(({ code }) => casing(code) && !this.unseen.has(code))
      .map(({ code, words, number }) => [`${words}: ${count(number)}`, casing(code)]);
  }

  /** Everything that is looked at, at once; quick successions are gathered. */
  tell() {
    this.seq += 1;
    clearTimeout(this.telling);
    const wait = Math.max(0, (this.told || 0) + PATIENCE - performance.now());
    this.telling = setTimeout(() => this.sendSight(ASKED_AGAIN), wait);
  }

  /** Said once more after each of `waits` (ms) without an answer: a server that starts again loses what comes
      before it has drawn the page. */
  sendSight([next, ...waits]) {
    this.told = performance.now();
    this.send("sight", this.said());
    if (next === undefined) return;
    this.telling = setTimeout(() => {
      if ((this.answered ?? 0) < this.seq) this.sendSight(waits);
    }, next);
  }

  /** What is looked at, as Python names it. */
  said() {
    const { threshold, focus, edge, view, open, hops, direction, row } = this.sight;
    const name = (gene) => (gene === null ? null : this.graph.names[gene]);
    return {
      seq: this.seq,
      threshold,
      gene: name(focus),
      edge_from: edge && name(edge[0]),
      edge_to: edge && name(edge[1]),
      view,
      bundle: bundleGenes(open),
      hops,
      direction,
      row,
    };
  }

  // ------------------------------------------------------------------ choosing

  choose(change) {
    if ("edge" in change || "focus" in change) this.sight.row = 0;
    Object.assign(this.sight, change);
    this.mark = null;
    this.repaint();
    this.tell();
    this.say(this.chosenWords());
  }

  /** here: it was clicked in the picture, which stays; from list, search or card its own picture opens. */
  gene(gene, here = false) {
    const staying = here && this.viewNow() !== "ego" ? this.viewNow() : null;
    this.choose({ focus: gene, edge: null, open: here ? this.sight.open : null, view: staying });
  }

  edge(e) {
    const view = this.sight.view ?? (this.sight.focus === null ? null : this.viewNow());
    this.choose({ edge: [this.graph.source[e], this.graph.target[e]], view });
  }

  pair(source, target) {
    this.choose({ focus: source, edge: [source, target], open: null, view: null });
  }

  bundle(key) {
    if (key === undefined || key.startsWith("\u0000")) return;
    const open = key === this.sight.open ? null : key;
    this.choose({ open, focus: null, edge: null, view: open ? "whole" : this.sight.view });
  }

  back() {
    const { edge, open, focus, view } = this.sight;
    if (edge) this.choose({ edge: null });
    else if (open) this.choose({ open: null });
    else if (focus !== null) this.choose({ focus: null, view: view === "ego" ? null : view });
  }

  drag(value, quiet = false) {
    this.sight.threshold = Math.max(0, Math.min(this.graph.facts.scale, value));
    this.dragging = true;
    if (!quiet)
      window.dispatchEvent(
        new CustomEvent(THRESHOLD_EVENT, {
          detail: { from: "picture", measure: this.graph.facts.measure, value: this.sight.threshold },
        }),
      );
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.repaint();
    });
  }

  release() {
    this.dragging = false;
    this.repaint();
    this.tell();
  }

  // ------------------------------------------------------------------ what is shown

  viewNow() {
    const { view, focus } = this.sight;
    if (view === "whole" || view === "matrix") return view;
    if (focus !== null) return "ego";
    if (this.dragging && this.scene && this.scene.view !== "ego") return this.scene.view;
    return this.edges.length > MAP_AT_MOST ? "matrix" : "whole";
  }

  repaint() {
    if (!this.graph) return;
    const { graph, sight } = this;
    this.gather();
    const step = Math.round((sight.threshold / graph.facts.scale) * STEPS);
    const evidence = this.evidenceNow();
    const path = evidence?.paths?.[Math.min(sight.row, evidence.paths.length - 1)];
    if (evidence?.paths) evidence.lit = Math.min(sight.row, evidence.paths.length - 1);
    const way = path?.genes ?? (sight.edge ? [] : this.data.view.path);
    const lit = way.slice(1).map((name, k) => [graph.index.get(way[k]), graph.index.get(name)]);
    const bundle = sight.open ? this.folded.bundles.find((one) => one.key === sight.open) : null;
    this.scene = {
      graph,
      edges: this.edges,
      folded: this.folded,
      own: this.own,
      cut: this.cutFrom(),
      ownFolded: this.ownFolded,
      within: this.within,
      view: this.viewNow(),
      focus: sight.focus,
      edge: sight.edge,
      open: bundle ? sight.open : null,
      bundle,
      hops: sight.hops,
      direction: this.directionNow(),
      lit,
      mark: this.mark,
      look: this.look,
      threshold: sight.threshold,
      measure: graph.facts.measure,
      trust: trustLines(graph, this.own, graph.falseShare?.[step]),
    };
    this.curve.move(sight.threshold, inShort(this.scene.trust));
    this.card.show(this.scene, evidence);
    this.list.show(graph, this.own, sight.focus);
    this.table.show(graph, this.listed(), sight.edge ? graph.edgeOf(...sight.edge) : -1);
    this.drawTitle();
    if (this.find(".frame").offsetParent !== null) this.picture.show(this.scene, { keep: this.dragging });
    this.drawStatus(step);
    this.drawChoices();
    this.drawEmpty();
  }

  /** The edges above the threshold; with a comparison open also those of the other network alone, without
   * what its legend has switched off. */
  gather() {
    const { graph, sight } = this;
    const key = JSON.stringify([this.version, sight.threshold, this.comparedAt, [...this.unseen]]);
    if (this.edgesAt === key) return;
    this.edgesAt = key;
    const above = Array.from({ length: graph.above(sight.threshold) }, (_, e) => e);
    const alone = (graph.compared?.alone ?? []).filter((e) => e >= above.length);
    const seen = (e) => !this.unseen.has(graph.standingOf(e));
    this.own = graph.compared ? above.filter(seen) : above;
    this.edges = graph.compared ? [...this.own, ...alone.filter(seen)] : above;
    this.within = new Set(this.edges);
    this.folded = fold(graph, this.edges);
    this.ownFolded = graph.compared ? fold(graph, this.own) : this.folded;
  }

  /** A gene's targets; what regulates it, where it regulates nothing here. */
  directionNow() {
    const { focus, direction } = this.sight;
    if (focus === null || direction !== "out") return direction;
    const own = this.graph.out[focus].some((e) => this.within.has(e) && this.graph.target[e] !== focus);
    return own ? "out" : "in";
  }

  evidenceNow() {
    const { evidence, graph, sight } = this;
    if (!evidence) return null;
    const chosen = sight.edge
      ? sight.edge.map((gene) => graph.names[gene])
      : sight.open
        ? [sight.open]
        : sight.focus !== null
          ? [graph.names[sight.focus]]
          : [];
    return evidence.of.join("\n") === chosen.join("\n") ? evidence : null;
  }

  /** The edges of the table: those of the picture. Same choice, same array, so that it is not sorted anew. */
  listed() {
    const { focus, hops } = this.sight;
    const { edges, bundle, view, direction } = this.scene;
    const key = JSON.stringify([this.edgesAt, focus, bundle?.key, hops, direction, view === "ego"]);
    if (this.memory?.key === key) return this.memory.edges;
    let found = edges;
    if (bundle) {
      const own = new Set(bundle.edges);
      found = edges.filter((e) => own.has(e));
    } else if (focus !== null) {
      const { graph } = this;
      const near = view === "ego" && hops > 1 ? reach(graph, focus, edges, hops, direction) : null;
      found = edges.filter((e) =>
        near
          ? near.has(graph.source[e]) && near.has(graph.target[e])
          : (direction !== "in" && graph.source[e] === focus) ||
            (direction !== "out" && graph.target[e] === focus),
      );
    }
    this.memory = { key, edges: found };
    return found;
  }

  drawTitle() {
    const { focus } = this.sight;
    const { bundle, direction } = this.scene;
    const { graph } = this;
    const alone = this.table.edges.filter((e) => graph.standingOf(e) === THERE).length;
    const number = this.table.edges.length - alone;
    const choice = this.find(".standing");
    choice.hidden = !this.graph.known.some(Boolean);
    if (choice.hidden && choice.value) {
      choice.value = "";
      this.table.keep("");
      return this.drawTitle();
    }
    const kept = choice.value ? ` (${choice.selectedOptions[0].textContent})` : "";
    const whole = focus === null && !bundle && !choice.value && this.scene.cut;
    const words = whole
      ? `The strongest ${count(number)} of ${count(whole)} edges`
      : `${count(number)} edge${number === 1 ? "" : "s"}`;
    const way = { out: "out of", in: "into", both: "around" }[direction];
    const where = bundle
      ? "into this group"
      : focus === null
        ? `above ${this.sight.threshold.toFixed(this.data.digits)}`
        : `${way} ${this.graph.names[focus]}`;
    const also = alone ? `, and ${count(alone)} only in ${graph.compared.name}` : "";
    this.find(".drawer .title").textContent = `${words} ${where}${kept}${also}`;
  }

  /** Edges above the threshold where only the strongest of them are here, else 0. */
  cutFrom() {
    const { graph, sight } = this;
    const here = graph.above(sight.threshold);
    const step = Math.round((sight.threshold / graph.facts.scale) * STEPS);
    return here < graph.own || graph.counts[step] <= here ? 0 : graph.counts[step];
  }

  drawStatus(step) {
    const { layout } = this.picture;
    const words = [];
    const { cut } = this.scene;
    if (cut) words.push(`the strongest ${count(this.graph.own)} of ${count(cut)} edges`);
    const hidden = this.data.hidden?.[step];
    if (hidden) words.push(`${count(hidden)} without evidence hidden`);
    const rare = this.data.rare?.[step];
    if (rare) words.push(`${count(rare)} that come back too rarely hidden`);
    if (layout?.left) words.push(layout.left);
    this.find(".status").textContent = words.join("; ");
    this.find(".status").title = words.join("; ");
  }

  drawChoices() {
    const now = this.scene.view;
    this.find(".choices").replaceChildren(
      ...VIEWS.map(([view, name, title]) => {
        const off = view === "ego" && this.sight.focus === null;
        return make("button", {
          text: name,
          title: off ? "Choose a gene first" : title,
          disabled: off,
          "aria-pressed": String(view === now),
          click: () => this.choose({ view, open: view === "whole" ? this.sight.open : null }),
        });
      }),
    );
    if (this.legendOf !== this.legendKey(now)) this.drawLegend(now);
  }

  drawEmpty() {
    const empty = this.find(".empty");
    const { graph } = this;
    const none = this.edges.length === 0;
    empty.hidden = !none;
    if (!none) return;
    const best = graph.weight[0];
    const step = best > 0 ? Math.ceil((best / graph.facts.scale) * STEPS - 1e-9) - 1 : -1;
    this.offered = step < 0 ? null : (step / STEPS) * graph.facts.scale;
    empty.querySelector("p").textContent =
      this.offered === null
        ? "This network has no edge at all."
        : `No edge has ${graph.facts.measure} above ${this.sight.threshold.toFixed(this.data.digits)}.`;
    const button = empty.querySelector("button");
    button.hidden = this.offered === null;
    if (this.offered !== null)
      button.textContent = `Lower it to ${this.offered.toFixed(this.data.digits)}, where edges appear`;
  }

  // ------------------------------------------------------------------ frame: what rarely changes

  readLook() {
    const style = getComputedStyle(this.root);
    const value = (name, other) => style.getPropertyValue(name).trim() || other;
    const background = value("--st-background-color", "#ffffff");
    const probe = document.createElement("canvas").getContext("2d");
    probe.fillStyle = background;
    probe.fillRect(0, 0, 1, 1);
    const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
    const dark = 0.3 * r + 0.6 * g + 0.1 * b < 128;
    this.look = {
      background,
      text: value("--st-text-color", "#31333F"),
      border: value("--st-border-color", "#c8ccd4"),
      font: value("--st-font", "sans-serif"),
      palette: dark ? PALETTES.dark : PALETTES.light,
      dark,
    };
    this.root.classList.toggle("dark", dark);
    return this.look;
  }

  drawFrame() {
    const { data, graph } = this;
    const runs = this.find(".runs");
    runs.replaceChildren(
      ...data.runs.map(({ name, label }) =>
        make("option", { value: name, text: label, selected: name === data.open }),
      ),
    );
    this.find(".measure").textContent = `${graph.facts.measure} >`;
    this.curve.take({
      counts: graph.counts,
      falseShare: graph.falseShare,
      scale: graph.facts.scale,
      measure: graph.facts.measure,
      stops: data.stops,
      digits: data.digits,
    });
    this.find(".cx2").disabled = false;
  }

  drawMenus() {
    const { view, parts } = this.data;
    const key = JSON.stringify([view, parts, this.data.has_ensemble]);
    if (key === this.menusAt) return;
    this.menusAt = key;
    const select = (words, value, options, change, off = false) => {
      const choices = options.map(([name, text]) => make("option", { value: name, text }));
      const box = make("select", { disabled: off, "aria-label": words }, ...choices);
      box.value = String(value);
      box.addEventListener("change", () => change(box.value));
      return make("div", { class: "setting" }, make("span", { text: words }), box);
    };
    const tick = (words, value, name) =>
      make("button", {
        role: "menuitemcheckbox",
        "aria-checked": String(value),
        text: `${value ? "☑" : "☐"} ${words}`,
        click: () => this.ask("set", { [name]: !value }),
      });
    this.find(".view-menu .inside").replaceChildren(
      select(
        "Edges mean",
        view.measure,
        [
          ["W", "direct edges (W)"],
          ["T", "all influence (T)"],
        ],
        (value) => this.ask("set", { measure: value }),
      ),
      select(
        "Come back in",
        view.often,
        view.shares.map((share) => [share, share ? `at least ${percent(share)}` : "any share"]),
        (value) => this.ask("set", { often: Number(value) }),
        !this.data.has_ensemble || view.measure !== "W",
      ),
      select("Around a gene", this.sight.direction, DIRECTIONS, (value) => this.choose({ direction: value })),
      select(
        "Hops",
        this.sight.hops,
        [1, 2, 3, 4, 5].map((hops) => [hops, String(hops)]),
        (value) => this.choose({ hops: Number(value) }),
      ),
      tick("Self-loops", view.loops, "loops"),
      tick("Edges without evidence", view.blind, "blind"),
      make("button", { text: "Reset all", click: () => this.ask("reset") }),
    );
    this.find(".more-menu .inside").replaceChildren(
      ...parts.map((name) =>
        make("button", {
          text: name,
          "aria-pressed": String(name === view.part),
          click: () => {
            this.find(".more-menu").open = false;
            this.ask("part", name);
          },
        }),
      ),
    );
    if (view.part !== this.part) {
      if (view.part && (this.part !== undefined || this.data.reach))
        setTimeout(
          () => document.querySelector(".st-key-network_more")?.scrollIntoView({ behavior: "smooth" }),
          500,
        );
      this.part = view.part;
    }
  }

  legendKey = (view) =>
    JSON.stringify([view, this.looked, this.comparedAt, [...this.unseen], this.picture.hasContrary]);

  drawLegend(view) {
    this.legendOf = this.legendKey(view);
    const { palette, text } = this.look;
    const line = (inside) =>
      `<svg xmlns="http://www.w3.org/2000/svg" width="26" height="12" aria-hidden="true">${inside}</svg>`;
    const stroke = (color, more = "") =>
      `<path d="M1 6H18" stroke="${color}" ${more || 'stroke-width="2"'}/>`;
    const square = (color) => `<rect x="4" y="1" width="14" height="10" fill="${color}"/>`;
    const matrix = view === "matrix";
    const arm = (x, y) => `M${11 - x} ${6 - y}L${11 + x} ${6 + y}`;
    const drawings = {
      contrary: `<path d="${arm(0, 4)}${arm(3.5, 2)}${arm(3.5, -2)}" stroke="${text}" stroke-width="1.4"/>`,
      activates: matrix
        ? square(palette[1])
        : `${stroke(palette[1])}<path d="M14 1L22 6L14 11Z" fill="${palette[1]}"/>`,
      represses: matrix
        ? square(palette["-1"])
        : `${stroke(palette["-1"])}<path d="M19 1V11" stroke="${palette["-1"]}" stroke-width="2.5"/>`,
      unknown: matrix
        ? square(palette[0])
        : `${stroke(palette[0])}<path d="M14 2L19 6L14 10" fill="none" stroke="${palette[0]}"/>`,
      number:
        `${stroke(text, 'stroke-width="4" opacity="0.35"')}` +
        `<text x="19" y="9.5" font-size="9.5" font-weight="600" fill="${text}">2</text>`,
      faint: stroke(text, 'stroke-width="2" opacity="0.25"'),
      way: stroke(palette.path, 'stroke-width="4"'),
      again: `${square(palette[1])}<circle cx="11" cy="6" r="2.4" fill="${this.look.background}"/>`,
      depth:
        `<rect x="2" y="1" width="8" height="10" fill="${palette[1]}" opacity="0.25"/>` +
        `<rect x="12" y="1" width="8" height="10" fill="${palette[1]}"/>`,
    };
    const drawn = (inside) =>
      document.importNode(
        new DOMParser().parseFromString(line(inside), "image/svg+xml").documentElement,
        true,
      );
    this.find(".legend").replaceChildren(
      ...this.data.legend[view]
        .filter(([mark]) => mark !== "contrary" || this.picture.hasContrary)
        .map(([mark, words]) => make("span", {}, drawn(drawings[mark]), words)),
      ...(this.graph.compared ? this.comparedLegend(matrix, drawn) : []),
    );
  }

  /** What an open comparison tells apart, each with its count, to be switched off and on; and what that rests
   * on. */
  comparedLegend(matrix, drawn) {
    const { look, unseen } = this;
    const { palette, background } = look;
    const edge = (code) => {
      const [casing, dash] = [casingOf(code, look), (DASHES[code] || []).join(" ")];
      if (matrix) {
        const paint = `fill="${dash ? background : palette[1]}" stroke="${casing || palette[1]}"`;
        return `<rect x="4" y="1.5" width="14" height="9" ${paint} stroke-width="2"/>`;
      }
      const line = (colour, width, dashes) =>
        `<path d="M1 6H24" stroke="${colour}" stroke-width="${width}" stroke-dasharray="${dashes}"/>`;
      const cased = casing ? line(casing, 8, "") + line(background, 4.5, "") : "";
      return cased + line(palette[1], 2, dash);
    };
    const chance = chanceWords(this.graph.compared);
    return [
      ...comparedCounts(this.graph).map(({ code, words, number }) =>
        make(
          "button",
          {
            class: "told",
            "aria-pressed": String(!unseen.has(code)),
            title: `${chance}\nClick: show or hide these edges.`,
            click: () => {
              if (!unseen.delete(code)) unseen.add(code);
              this.repaint();
            },
          },
          drawn(edge(code)),
          make("span", { text: words }),
          make("b", { text: count(number) }),
        ),
      ),
      make("span", { text: chance.split(".")[0], title: chance }),
    ];
  }

  /** As high as the window below its top, so that nothing has to be scrolled to. */
  resize(quiet = false) {
    if (!this.root.classList.contains("fills")) {
      const top = this.root.getBoundingClientRect().top + this.scrolled();
      const room = Math.max(600, Math.min(TALLEST, window.innerHeight - top - 6));
      this.root.style.setProperty("--room", `${room}px`);
    }
    const box = this.find(".canvas").getBoundingClientRect();
    const size = `${Math.round(box.width)} ${Math.round(box.height)}`;
    if (size === this.sized) return;
    this.sized = size;
    if (quiet || !this.scene) return;
    this.drawFrame();
    this.repaint();
  }

  scrolled() {
    return document.querySelector('[data-testid="stMain"]')?.scrollTop || 0;
  }

  turn(name) {
    this.root.classList.toggle(name);
    this.repaint();
  }

  toggleFull() {
    this.root.classList.toggle("fills");
    this.resize();
  }

  // ------------------------------------------------------------------ search and keys

  suggest() {
    const text = this.find(".search").value;
    const exact = this.graph.finder.find(text);
    const more = this.graph.finder.suggest(text);
    const same = (a, b) => a.gene === b.gene && a.source === b.source && a.target === b.target;
    this.offers = exact ? [exact, ...more.filter((one) => !same(one, exact))].slice(0, 8) : more;
    this.picked = 0;
    this.drawFound(text);
  }

  drawFound(text) {
    const list = this.find(".found");
    const { names, ids } = this.graph;
    const words = (one) =>
      one.gene !== undefined
        ? names[one.gene] + (ids[one.gene] ? ` (${ids[one.gene]})` : "")
        : `${names[one.source]} → ${names[one.target]}`;
    const rows = this.offers.map((one, k) => {
      const row = make("div", {
        role: "option",
        "aria-selected": String(k === this.picked),
        text: words(one),
      });
      row.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        this.open(one);
      });
      return row;
    });
    if (!rows.length && text.trim()) {
      const near = this.graph.finder.nearest(text.split(/\s*(?:->|→|>|,|\s)\s*/).pop());
      rows.push(
        make("div", {
          class: "none",
          text: `No gene of this run is called that.${near ? ` Did you mean ${near}?` : ""}`,
        }),
      );
    }
    list.replaceChildren(...rows);
    list.hidden = !rows.length;
    this.find(".search").setAttribute("aria-expanded", String(rows.length > 0));
  }

  closeFound() {
    this.find(".found").hidden = true;
    this.find(".search").setAttribute("aria-expanded", "false");
  }

  open(found) {
    this.closeFound();
    this.find(".search").value = "";
    this.find(".search").blur();
    if (found.gene !== undefined) this.gene(found.gene);
    else this.pair(found.source, found.target);
  }

  searchKey(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by && this.offers?.length) {
      this.picked = (this.picked + by + this.offers.length) % this.offers.length;
      this.drawFound(this.find(".search").value);
    } else if (event.key === "Enter") {
      if (!this.offers) this.suggest();
      if (this.offers[this.picked]) this.open(this.offers[this.picked]);
      else this.say(this.find(".found").textContent);
    } else if (event.key === "Escape") {
      this.find(".search").value = "";
      this.closeFound();
      this.find(".search").blur();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  key(event) {
    const typing = event.composedPath()[0].closest?.("input, select");
    const control = event.ctrlKey || event.metaKey;
    if (control && !typing && event.key.toLowerCase() === "z") this.ask("step", event.shiftKey ? 1 : -1);
    else if (control && !typing && event.key.toLowerCase() === "y") this.ask("step", 1);
    else if (event.key === "Escape") {
      if (this.root.classList.contains("fills")) this.toggleFull();
      else this.back();
    } else return;
    event.preventDefault();
  }

  say(words) {
    this.find(".live").textContent = words;
  }

  chosenWords() {
    const { graph, sight } = this;
    if (sight.edge) {
      const e = graph.edgeOf(...sight.edge);
      const [a, b] = sight.edge.map((gene) => graph.names[gene]);
      return e < 0
        ? `${a} to ${b}: no edge`
        : `${a} ${SIGN_WORDS[graph.signOf(e)]} ${b}, ${graph.facts.measure} ${graph.weight[e].toFixed(2)}`;
    }
    if (this.scene.bundle) return `Group of ${this.scene.bundle.genes.length} genes`;
    if (sight.focus !== null) return `${graph.names[sight.focus]}: ${this.table.given.length} edges`;
    return `${this.own.length} edges`;
  }

  destroy() {
    clearTimeout(this.telling);
    document.removeEventListener("pointerdown", this.outside);
    document.removeEventListener("keydown", this.slash);
    window.removeEventListener(THRESHOLD_EVENT, this.heard);
    this.resized.disconnect();
    if (this.frame) cancelAnimationFrame(this.frame);
  }
}
