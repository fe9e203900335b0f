// What stands around the picture: perturbations, card, table, and the curve of thresholds. Names from the
// data only ever become textContent.

import { count, fixed, make, percent, plural, shape, signed, small } from "./elements.js";
import { forest } from "./forest.js";
import { onlyWords, regulatorNames } from "./layout.js";
import {
  BOTH,
  HERE,
  isKnown,
  OTHER_SIGN,
  OTHER_STRENGTH,
  SIGN_WORDS,
  STEPS,
  standingWords,
  THERE,
  UNTOLD,
} from "./model.js";
import { knownOf, notToBelieve, trustLines } from "./trust.js";

/** A long list of which only the rows in sight are there. row(k) gives the element of the k-th. */
export class LongList {
  constructor(scroller, tall, row) {
    Object.assign(this, { scroller, tall, row, length: 0 });
    this.inner = make("div", { class: "long", role: "presentation" });
    scroller.replaceChildren(this.inner);
    scroller.addEventListener("scroll", () => this.paint());
  }

  set(length) {
    this.length = length;
    this.inner.style.height = `${length * this.tall}px`;
    this.paint();
  }

  paint() {
    const { scrollTop, clientHeight } = this.scroller;
    const first = Math.max(0, Math.floor(scrollTop / this.tall) - 2);
    const last = Math.min(this.length, Math.ceil((scrollTop + (clientHeight || 400)) / this.tall) + 2);
    const rows = [];
    for (let k = first; k < last; k++) {
      const row = this.row(k);
      row.style.transform = `translateY(${k * this.tall}px)`;
      rows.push(row);
    }
    const had = this.inner.contains(this.inner.getRootNode().activeElement);
    this.inner.replaceChildren(...rows);
    if (had) this.inner.querySelector('[tabindex="0"]')?.focus({ preventScroll: true });
  }

  reveal(k) {
    const { scrollTop, clientHeight } = this.scroller;
    if (k * this.tall < scrollTop) this.scroller.scrollTop = k * this.tall;
    else if ((k + 1) * this.tall > scrollTop + clientHeight)
      this.scroller.scrollTop = (k + 1) * this.tall - clientHeight;
  }
}

// ------------------------------------------------------------------------------------------------ threshold

/** Edges and share of false edges against the threshold, with a line to drag and three stops. */
export class ThresholdCurve {
  constructor(root, on) {
    Object.assign(this, { root, on });
    this.svg = root.querySelector("svg");
    this.scales = root.querySelector(".scales");
    this.exact = root.querySelector(".exact");
    this.words = root.querySelector(".now");
    this.sure = root.querySelector(".sure");
    this.stops = root.querySelector(".stops");
    const drag = (event) => {
      const box = this.svg.getBoundingClientRect();
      this.on.drag(this.value(Math.round(((event.clientX - box.left) / box.width) * STEPS)));
    };
    this.svg.addEventListener("pointerdown", (event) => {
      this.svg.setPointerCapture(event.pointerId);
      drag(event);
    });
    this.svg.addEventListener(
      "pointermove",
      (event) => this.svg.hasPointerCapture(event.pointerId) && drag(event),
    );
    this.svg.addEventListener("pointerup", () => this.on.release());
    this.svg.addEventListener("keydown", (event) => this.key(event));
    this.exact.addEventListener("change", () => {
      const value = Number(this.exact.value);
      if (this.exact.value !== "" && value >= 0 && value <= this.scale) {
        this.on.drag(value);
        this.on.release();
      } else this.move(this.now, this.sure.textContent);
    });
  }

  value(step) {
    return Math.max(0, Math.min(1, step / STEPS)) * this.scale;
  }

  take({ counts, falseShare, scale, measure, stops, digits }) {
    Object.assign(this, { counts, scale, measure, digits });
    this.svg.replaceChildren();
    this.width = this.svg.clientWidth || 250;
    this.height = this.svg.clientHeight || 42;
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    const x = (step) => (step / STEPS) * this.width;
    const most = Math.log10(Math.max(10, counts[0]));
    const line = (values, y) =>
      values
        .map((value, step) => (value === null ? "" : `${x(step).toFixed(1)} ${y(value).toFixed(1)}`))
        .filter(Boolean)
        .join("L");
    const low = this.height - 2;
    const edges = line(counts, (value) => low - (Math.log10(Math.max(1, value)) / most) * (low - 3));
    shape("path", { class: "area", d: `M0 ${low}L${edges}L${this.width} ${low}Z` }, this.svg);
    shape("path", { class: "edges", d: `M${edges}` }, this.svg);
    const known = falseShare?.some((one) => one !== null);
    if (known)
      shape(
        "path",
        { class: "false", d: `M${line(falseShare, (value) => low - value * (low - 3))}` },
        this.svg,
      );
    this.drawScales(known);
    this.line = shape("line", { class: "line", y1: 0, y2: this.height }, this.svg);
    this.grip = shape("circle", { class: "grip", cy: 5, r: 4.5 }, this.svg);
    this.stopButtons = stops.map((stop) =>
      make(
        "button",
        {
          class: "stop",
          title: stop.why,
          click: () => {
            this.on.drag(stop.at);
            this.on.release();
          },
        },
        make("span", { text: stop.name }),
        make("b", { text: ` ${count(stop.edges)}` }),
      ),
    );
    this.stopValues = stops.map((stop) => stop.at);
    this.stops.replaceChildren(...this.stopButtons);
    this.exact.step = this.scale / STEPS;
    this.exact.max = this.scale;
    this.svg.setAttribute("aria-valuemin", 0);
    this.svg.setAttribute("aria-valuemax", scale);
  }

  /** What runs across and up, with its ends: below the curves, in as many words as there is room for. */
  drawScales(known) {
    const most = count(this.counts[0]);
    const said = [
      [`edges, 1 to ${most} (log scale)`, "expected false, 0 to 100 %"],
      [`edges 1–${most}, log`, "false 0–100 %"],
      ["edges (log)", "false"],
    ];
    const wide = (words) => words.slice(0, known ? 2 : 1).join("").length * 5.6 + (known ? 104 : 60);
    const [edges, wrong] = said.find((words) => wide(words) <= this.width) || said.at(-1);
    const key = (name, words) => make("span", {}, make("i", { class: name }), words);
    this.scales.replaceChildren(
      make("span", { text: `${this.measure} 0` }),
      make("span", { class: "keys" }, key("", edges), known ? key("dashed", wrong) : null),
      make("span", { text: `${Number(this.scale.toPrecision(3))}` }),
    );
  }

  /** sure: how far the edges above the threshold can be believed, in a line. */
  move(threshold, sure) {
    this.now = threshold;
    const step = Math.round((threshold / this.scale) * STEPS);
    const at = Math.max(3, Math.min(this.width - 3, (step / STEPS) * this.width));
    this.line.setAttribute("x1", at);
    this.line.setAttribute("x2", at);
    this.grip.setAttribute("cx", at);
    const words = plural(this.counts[step], "edge");
    this.words.textContent = words;
    this.sure.textContent = sure;
    this.sure.title = sure;
    this.words.dataset.count = this.counts[step];
    this.exact.value = threshold.toFixed(this.digits);
    this.svg.setAttribute("aria-valuenow", threshold);
    this.svg.setAttribute(
      "aria-valuetext",
      `${this.measure} above ${threshold.toFixed(this.digits)}: ${[words, sure].filter(Boolean).join(", ")}`,
    );
    this.stopValues.forEach((value, k) => {
      this.stopButtons[k].setAttribute(
        "aria-pressed",
        String(Math.abs(value - threshold) < this.scale / STEPS / 2),
      );
    });
  }

  key(event) {
    const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[
      event.key
    ];
    if (!by) return;
    event.preventDefault();
    this.on.drag(this.value(Math.round((this.now / this.scale) * STEPS) + by));
    this.on.release();
  }
}

// ------------------------------------------------------------------------------------------- perturbations

/** What the perturbed genes are sorted by, and what the button says of it. */
const ORDERS = {
  changed: "Genes of the panel that perturbing it changes clearly in training cells, the most first",
  targets: "Edges out of it above the threshold, the most first",
};

/** The perturbed genes, by one of ORDERS; faint where cells are few. */
export class Perturbations {
  constructor(root, on) {
    const scroller = root.querySelector(".genes");
    this.on = on;
    this.legend = root.querySelector(".bars");
    this.sorting = Object.entries(ORDERS).map(([order, title]) =>
      make("button", { text: order, title, click: () => this.sort(order) }),
    );
    root.querySelector(".sorting").append(...this.sorting);
    this.order = "changed";
    this.list = new LongList(scroller, 38, (k) => this.row(k));
    scroller.addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      const now = this.ranked.indexOf(this.focus);
      const next = Math.max(0, Math.min(this.ranked.length - 1, now + by));
      this.on.gene(this.ranked[next]);
      this.list.reveal(next);
    });
  }

  show(graph, edges, focus) {
    this.graph = graph;
    this.focus = focus;
    this.targets = new Map();
    this.again = new Map();
    for (const e of edges) {
      const gene = graph.source[e];
      if (graph.target[e] === gene) continue;
      this.targets.set(gene, (this.targets.get(gene) || 0) + 1);
      if (graph.again[e] >= 0) this.again.set(gene, (this.again.get(gene) || 0) + graph.again[e]);
    }
    this.legend.hidden = !this.again.size;
    this.sort(this.order);
  }

  sort(order) {
    this.order = order;
    this.sorting.forEach((button) => {
      button.setAttribute("aria-pressed", String(button.textContent === order));
    });
    const targets = (gene) => this.targets.get(gene) || 0;
    const { ranked } = this.graph;
    this.ranked = order === "targets" ? [...ranked].sort((a, b) => targets(b) - targets(a)) : ranked;
    this.list.set(this.ranked.length);
  }

  under(gene, few) {
    const { alone, cells, response } = this.graph;
    if (alone.has(gene)) return "no controls beside";
    const words = [];
    if (response[gene] >= 0 && !few) words.push(`${count(response[gene])} changed`);
    if (cells[gene] >= 0)
      words.push(few ? `only ${count(cells[gene])} cells` : `${count(cells[gene])} cells`);
    return words.join(", ");
  }

  row(k) {
    const { graph } = this;
    const gene = this.ranked[k];
    const targets = this.targets.get(gene) || 0;
    const cells = graph.cells[gene];
    const alone = graph.alone.has(gene);
    const few = cells >= 0 && cells < graph.few;
    const again = this.again.has(gene) ? this.again.get(gene) / targets : null;
    const why = alone
      ? "no control cells in its batches, so that no effect of it can be measured"
      : few
        ? `only ${plural(cells, "training cell")}: too few to tell small effects from noise`
        : "";
    const facts = [
      plural(targets, "target"),
      cells >= 0 && !alone ? plural(cells, "cell") : "",
      graph.response[gene] >= 0 && !alone
        ? `${plural(graph.response[gene], "gene")} of the panel changed in training cells`
        : "",
      again === null ? "" : `bar: its edges come back in ${Math.round(again)} % of the networks on average`,
      why,
    ].filter(Boolean);
    const bar = make("span", { class: "bar", "aria-hidden": "true" }, make("i"));
    bar.firstChild.style.width = `${again ?? 0}%`;
    if (again === null) bar.style.visibility = "hidden";
    return make(
      "button",
      {
        class: `gene${few || alone ? " few" : ""}${targets ? "" : " none"}`,
        title: facts.join("\n"),
        "aria-pressed": String(gene === this.focus),
        "aria-label": `${graph.names[gene]}: ${facts.join(", ")}`,
        tabindex: gene === this.focus || (this.focus === null && k === 0) ? 0 : -1,
        click: () => this.on.gene(gene),
      },
      make("span", { class: "name", text: graph.names[gene] }),
      make(
        "span",
        { class: "number" },
        make("b", { text: count(targets) }),
        ` target${targets === 1 ? "" : "s"}`,
      ),
      make("span", {
        class: "cells",
        text: this.under(gene, few),
      }),
      bar,
    );
  }
}

// ------------------------------------------------------------------------------------------------ table

const COLUMNS = [
  ["Source", "", (g, e) => g.names[g.source[e]], (g, e) => g.names[g.source[e]].toLowerCase()],
  ["Target", "", (g, e) => g.names[g.target[e]], (g, e) => g.names[g.target[e]].toLowerCase()],
  ["W", "num", (g, e) => fixed(g.weight[e], 3), (g, e) => -g.weight[e]],
  ["Sign", "", (g, e) => SIGN_WORDS[g.signOf(e)] + (g.contrary[e] ? "*" : ""), (g, e) => -g.signOf(e)],
  ["Effect (training)", "num", (g, e) => signed(g.effect[e]), (g, e) => -Math.abs(g.effect[e])],
  ["95 % interval", "num", (g, e) => interval(g, e), (g, e) => g.error[e]],
  ["p (held out)", "num", (g, e) => small(g.adjusted[e]), (g, e) => g.adjusted[e]],
  [
    "Cells",
    "num",
    (g, e) => (g.cells[g.source[e]] >= 0 ? count(g.cells[g.source[e]]) : ""),
    (g, e) => -g.cells[g.source[e]],
  ],
  ["Comes back", "num", (g, e) => (g.again[e] >= 0 ? `${g.again[e]} %` : ""), (g, e) => -g.again[e]],
  ["Detours", "num", (g, e) => (g.detours[e] >= 0 ? count(g.detours[e]) : ""), (g, e) => g.detours[e]],
  ["Known in", "", (g, e) => g.known[e], (g, e) => (g.known[e] ? g.known[e] : "\uffff")],
];
/** The last column while a comparison is open. */
const COMPARED_COLUMN = [
  "Compared",
  "",
  (g, e) => standingWords(g, e),
  (g, e) => (g.compared.of.has(e) ? g.standingOf(e) + (g.compared.of.get(e).fdr || 0) : Number.NaN),
];
/** Behind the effect of the knock-down, where any source is activated in cells of their own. */
const RAISED_COLUMN = [
  "Activated",
  "num",
  (g, e) => signed(g.effectUp[e]),
  (g, e) => -Math.abs(g.effectUp[e]),
];
const columnsOf = (graph) => [
  ...COLUMNS,
  ...(graph.both ? [RAISED_COLUMN] : []),
  ...(graph.compared ? [COMPARED_COLUMN] : []),
];
const MEANS = {
  Compared: "Whether the other run of the open comparison has this edge, too",
  W: "How probable a direct edge is, from 0 to 1, as far as simulated worlds can tell",
  T: "Size of everything that a change of the source changes, over several hops",
  Sign: "Of the direct edge; *: its measured effect has the other sign, the card of the edge says why",
  "Effect (training)": "log2 fold change of the target in training cells with the source perturbed",
  "95 % interval": "of that log2 fold change",
  Activated: "the same effect where the source is activated, in cells of their own",
  "p (held out)": "Mann-Whitney in cells that were not trained on, after Benjamini-Hochberg over all pairs",
  Cells: "training cells with the source perturbed",
  "Comes back": "share of the networks, found from other draws of the cells, that have this edge",
  Detours: "genes that nobody perturbed over which this edge may run",
  "Known in": "reference networks that list it",
};

const interval = (g, e) => intervalOf(g.effect[e], g.error[e]);

function intervalOf(effect, error) {
  return error > 0 ? `${signed(effect - 1.96 * error)} to ${signed(effect + 1.96 * error)}` : "";
}

/** Which edges the table keeps: by what reference networks say of them. */
const KEPT = {
  "": () => true,
  known: (standing) => standing !== 0,
  not: (standing) => standing === 0,
  other: (standing) => standing < 0,
};

export class EdgeTable {
  constructor(head, scroller, on) {
    Object.assign(this, { head, on, sorted: [2, 1], edges: [], kept: "" });
    this.list = new LongList(scroller, 24, (k) => this.row(k));
    scroller.addEventListener("scroll", () => (head.parentElement.scrollLeft = scroller.scrollLeft));
    scroller.addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
      if (!by || !this.edges.length) return;
      event.preventDefault();
      const now = this.edges.indexOf(this.chosen);
      const next = Math.max(0, Math.min(this.edges.length - 1, now + by));
      this.on.edge(this.edges[next]);
      this.list.reveal(next);
    });
  }

  show(graph, edges, chosen) {
    const same = this.graph === graph && this.given === edges;
    Object.assign(this, { graph, given: edges, chosen });
    if (this.sorted[0] >= columnsOf(graph).length) this.sorted = [2, 1];
    if (!same) this.sort();
    this.drawHead();
    this.list.set(this.edges.length);
    if (chosen >= 0 && this.revealed !== chosen) this.list.reveal(this.edges.indexOf(chosen));
    this.revealed = chosen;
  }

  /** Only edges of this standing (KEPT) from now on. */
  keep(kept) {
    this.kept = kept;
    this.sort();
    this.list.set(this.edges.length);
    this.list.paint();
  }

  sort() {
    const [k, way] = this.sorted;
    const key = columnsOf(this.graph)[k][3];
    const kept = this.given.filter((e) => KEPT[this.kept](this.graph.standing[e]));
    const worth = new Map(kept.map((e) => [e, key(this.graph, e)]));
    const missing = (value) => typeof value === "number" && !isKnown(value);
    this.edges = kept.sort((a, b) => {
      const [x, y] = [worth.get(a), worth.get(b)];
      if (missing(x) || missing(y)) return missing(x) - missing(y) || a - b;
      return (x < y ? -way : x > y ? way : 0) || a - b;
    });
  }

  drawHead() {
    const { measure } = this.graph.facts;
    const columns = columnsOf(this.graph);
    const name = (k) => (k === 2 ? measure : columns[k][0]);
    this.head.replaceChildren(
      ...columns.map(([, kind], k) =>
        make("button", {
          class: `cell ${kind}`,
          role: "columnheader",
          title: MEANS[name(k)],
          "aria-sort": this.sorted[0] === k ? (this.sorted[1] > 0 ? "ascending" : "descending") : undefined,
          text: name(k) + (this.sorted[0] === k ? (this.sorted[1] > 0 ? " ↓" : " ↑") : ""),
          click: () => {
            this.sorted = [k, this.sorted[0] === k ? -this.sorted[1] : 1];
            this.sort();
            this.drawHead();
            this.list.paint();
          },
        }),
      ),
    );
  }

  row(k) {
    const { graph } = this;
    const e = this.edges[k];
    const row = make("div", {
      class: `row sign${graph.signOf(e)}`,
      role: "row",
      "aria-selected": String(e === this.chosen),
      tabindex: e === this.chosen || (this.chosen < 0 && k === 0) ? 0 : -1,
      click: () => this.on.edge(e),
    });
    row.addEventListener("keydown", (event) => event.key === "Enter" && this.on.edge(e));
    for (const [name, kind, words] of columnsOf(graph)) {
      const cell = make("span", { class: `cell ${kind}`, role: "cell", text: words(graph, e) });
      if (name === "Source" || name === "Target" || name === "Compared") cell.title = cell.textContent;
      if (name === "Sign" && graph.contrary[e]) cell.title = MEANS.Sign;
      row.append(cell);
    }
    return row;
  }
}

// ------------------------------------------------------------------------------------------------ card

/** What the edges of a network are taken for, by its measure. */
const EDGES_ARE = {
  W: "effects that the model takes for direct",
  T: "all that follows from a perturbation over several hops",
};

/** The card: overview, gene, bundle or pair. Python's evidence is put in when it arrives. */
export class Card {
  constructor(root, on) {
    Object.assign(this, { root, on });
  }

  /** scene: as for the picture, with folded; evidence: Python's for what is chosen, else null. */
  show(scene, evidence) {
    const { graph, focus, edge, open } = scene;
    const parts = edge
      ? this.pair(scene, edge, evidence)
      : open && scene.bundle
        ? this.bundle(scene, scene.bundle, evidence)
        : focus !== null
          ? this.gene(scene, focus, evidence)
          : this.overview(scene);
    const top = this.shown === this.what(scene) ? this.root.scrollTop : 0;
    this.shown = this.what(scene);
    this.root.replaceChildren(...parts.filter(Boolean));
    this.root.scrollTop = top;
    this.graph = graph;
  }

  what({ focus, edge, open }) {
    return JSON.stringify([focus, edge, open]);
  }

  geneButton(graph, gene, words) {
    return make("button", {
      class: "link",
      text: words ?? graph.names[gene],
      click: () => this.on.gene(gene),
    });
  }

  overview(scene) {
    const { graph, own: edges, ownFolded: folded } = scene;
    const known = graph.perturbed.filter(Boolean).length;
    const hubs = folded.regulators.slice(0, 5);
    const size = (gene) => folded.targets.get(gene).length;
    if (!edges.length)
      return [
        make("h3", { text: "No edges at this threshold" }),
        make("p", { text: "Lower the threshold: take default or generous above." }),
      ];
    const most = hubs.length ? size(hubs[0]) : 1;
    const groups = scene.folded.bundles.filter((bundle) => bundle.genes.length > 1).slice(0, 5);
    const shown = scene.cut
      ? `The strongest ${count(edges.length)} of ${count(scene.cut)} edges,`
      : plural(edges.length, "edge");
    return [
      ...besideParts(graph),
      make("h3", { text: "What this network says" }),
      make("p", {
        text:
          `${shown} from ${count(folded.regulators.length)} of ` +
          `${count(known)} perturbed genes: ${EDGES_ARE[scene.measure]}.`,
      }),
      ...this.trust(scene),
      make("h4", { text: "Most targets" }),
      make(
        "div",
        { class: "hubs" },
        ...hubs.map((gene) => {
          const bar = make("span", { class: "bar", "aria-hidden": "true" }, make("i"));
          bar.firstChild.style.width = `${(100 * size(gene)) / most}%`;
          return make(
            "button",
            {
              class: "hub",
              click: () => this.on.gene(gene),
              title: `${graph.names[gene]}: ${plural(size(gene), "target")}`,
            },
            make("span", { class: "name", text: graph.names[gene] }),
            bar,
            make("b", { text: count(size(gene)) }),
          );
        }),
      ),
      groups.length ? make("h4", { text: "Groups of targets, by the regulators they share" }) : null,
      make(
        "div",
        { class: "groups" },
        ...groups.map((bundle) =>
          make("button", {
            class: "link group",
            text:
              `${regulatorNames(graph, bundle.regulators)}: ${count(bundle.genes.length)} genes` +
              onlyWords(graph, bundle.edges),
            click: () => this.on.bundle(bundle.key),
          }),
        ),
      ),
      graph.leftOut ? make("p", { class: "quiet", text: graph.leftOut }) : null,
    ];
  }

  /** What not to believe, and the four numbers that say so: the most sobering first, all of one size. */
  trust({ graph, own: edges, trust: lines }) {
    const against = edges.filter((e) => graph.contrary[e]).length;
    const rows = lines.flatMap(({ value, says, limits }) => [
      make("dt", { text: value ?? "not known" }),
      make("dd", { text: `${says} ` }, make("small", { text: limits })),
    ]);
    return [
      make("p", { class: "doubt", text: notToBelieve(graph, lines) }),
      make("h4", { text: "How sure, the weakest first" }),
      make("dl", { class: "trust" }, ...rows),
      against
        ? make("p", {
            class: "quiet",
            text:
              `Sign against the measured effect: ${plural(against, "edge")}, * in the table; ` +
              "its card says why.",
          })
        : null,
    ];
  }

  gene({ graph, own: edges }, gene, evidence) {
    const shown = new Set(edges);
    const out = graph.out[gene].filter((e) => shown.has(e) && graph.target[e] !== gene);
    const into = graph.in[gene].filter((e) => shown.has(e) && graph.source[e] !== gene);
    const name = graph.names[gene];
    const signedBy = (sign) => count(out.filter((e) => graph.sign[e] === sign).length);
    const cells = graph.cells[gene];
    const first = graph.alone.has(gene)
      ? `${name} was perturbed, but its batches hold no control cells: no effect of it can be measured.`
      : graph.perturbed[gene]
        ? `${name} has ${out.length ? plural(out.length, "edge") : "no edge"} to other genes here` +
          (out.length ? `: ${signedBy(1)} activating, ${signedBy(-1)} repressing.` : ".")
        : `${name} was never perturbed: no cell speaks for edges out of it.`;
    const sure = knownOf(trustLines(graph, out, null));
    return [
      make("h3", { text: name }),
      make("p", { text: first }),
      sure ? make("p", { text: `Of these edges ${sure}.` }) : null,
      cells >= 0 && !graph.alone.has(gene)
        ? make("p", {
            class: cells < graph.few ? "doubt" : "quiet",
            text:
              `${plural(cells, "training cell")}` +
              (graph.raised[gene] >= 0 ? `, and ${count(graph.raised[gene])} where it is activated` : "") +
              (graph.response[gene] >= 0
                ? `; ${plural(graph.response[gene], "gene")} of the panel changed clearly in them.`
                : ".") +
              (cells < graph.few ? " So few cells show large effects only." : ""),
          })
        : null,
      make(
        "p",
        { class: "actions" },
        make("button", { text: "Show around it", click: () => this.on.around(gene) }),
        graph.perturbed[gene]
          ? make("button", { text: "Its response", click: () => this.on.ask("response") })
          : null,
      ),
      this.edgeList(graph, out, "Strongest targets", (e) => graph.target[e]),
      this.edgeList(graph, into, "Regulated by", (e) => graph.source[e]),
      ...this.words(evidence),
    ];
  }

  edgeList(graph, edges, title, other) {
    const { measure } = graph.facts;
    if (!edges.length) return null;
    return make(
      "div",
      {},
      make(
        "h4",
        { text: title },
        make("span", { class: "heads", text: measure }),
        make("span", { class: "heads", text: "effect" }), // floated to the right: the last stands first
      ),
      make(
        "div",
        { class: "edges" },
        ...edges.slice(0, 6).map((e) =>
          make(
            "button",
            {
              class: `edge sign${graph.sign[e]}`,
              ...(graph.contrary[e] ? { title: MEANS.Sign } : {}),
              click: () => this.on.edge(e),
            },
            make("span", { class: "name", text: graph.names[other(e)] + (graph.contrary[e] ? "*" : "") }),
            make("span", { text: signed(graph.effect[e]) }),
            make("span", { text: fixed(graph.weight[e]) }),
          ),
        ),
      ),
      edges.length > 6
        ? make("p", { class: "quiet", text: `and ${count(edges.length - 6)} more in the table below` })
        : null,
    );
  }

  bundle({ graph }, bundle, evidence) {
    const who = bundle.regulators.map((gene) => graph.names[gene]);
    const genes = plural(bundle.genes.length, "gene");
    const sure = knownOf(trustLines(graph, bundle.edges, null));
    return [
      make("h3", { text: `${who.join(", ")}: ${genes}${onlyWords(graph, bundle.edges)}` }),
      make("p", { text: `${genes} to which ${haveAnEdge(who)}, and no other gene here.` }),
      sure ? make("p", { text: `Of these edges ${sure}.` }) : null,
      make("h4", { text: "Genes" }),
      make("p", { class: "names" }, ...bundle.genes.flatMap((gene) => [this.geneButton(graph, gene), " "])),
      make("h4", { text: "Regulators" }),
      make(
        "p",
        { class: "names" },
        ...bundle.regulators.flatMap((gene) => [this.geneButton(graph, gene), " "]),
      ),
      ...this.words(evidence),
    ];
  }

  pair({ graph, measure, within }, [source, target], evidence) {
    const e = graph.edgeOf(source, target);
    const [a, b] = [graph.names[source], graph.names[target]];
    const facts = [];
    const fact = (words, value, title) =>
      value && facts.push(make("dt", { text: words, title }), make("dd", { text: value }));
    if (e >= 0) {
      fact(
        measure,
        `${fixed(graph.weight[e], 3)}, ${SIGN_WORDS[graph.sign[e]]}` +
          (within.has(e) && graph.standingOf(e) !== THERE ? "" : " (below the threshold)"),
      );
      fact("Compared", graph.compared ? standingWords(graph, e) : "", MEANS.Compared);
      const up = graph.raised[source] >= 0;
      const means = "log2 fold change, with its 95 % interval";
      const effect = (done) => `${done}, training cells`;
      fact(effect(up ? "Knock-down" : "Effect"), effectWords(graph.effect[e], graph.error[e]), means);
      fact(effect("Activated"), up ? effectWords(graph.effectUp[e], graph.errorUp[e]) : "", means);
      fact("Adjusted p, held-out cells", small(graph.adjusted[e]), MEANS["p (held out)"]);
      const cells = graph.cells[source] >= 0 ? count(graph.cells[source]) : "";
      const both = `${cells || 0} with ${a} knocked down, ${count(graph.raised[source])} activated`;
      fact("Cells", up ? both : cells && `${cells} with ${a} perturbed`);
      fact("Comes back", graph.again[e] >= 0 ? `in ${graph.again[e]} % of the ensemble` : "");
      fact(
        "Detours",
        graph.detours[e] >= 0
          ? graph.detours[e]
            ? `${count(graph.detours[e])} cannot be excluded`
            : "none open"
          : "",
      );
      fact("Known in", graph.known[e] || "");
    }
    return [
      make("h3", {}, this.geneButton(graph, source), " → ", this.geneButton(graph, target)),
      make("p", { class: "answer", text: evidence?.answer ?? (evidence ? "" : "Tracing the ways …") }),
      e >= 0 ? make("p", { class: "verdict", text: within.has(e) ? verdict(graph, e) : "" }) : null,
      evidence?.contrary ? make("p", { class: "contrary", text: evidence.contrary }) : null,
      e >= 0 || evidence
        ? null
        : make("p", { class: "quiet", text: `No edge among the strongest: ${measure} is low.` }),
      this.paths(evidence),
      make("dl", {}, ...facts),
      evidence?.offer
        ? make("button", {
            text: `Test all pairs (about ${Math.round(evidence.offer)} s, once)`,
            click: () => this.on.ask("tests"),
          })
        : null,
      this.violins(evidence, a, b),
      ...(evidence?.parts || []).map((parts) => forest(parts, a, b)),
      ...this.words(evidence),
    ];
  }

  violins(evidence, source, target) {
    const space = make("div", { class: "violins" });
    if (!evidence) return space;
    if (!evidence.cells) return null;
    const tall = 36 + 44 * evidence.cells.groups.length;
    const svg = shape("svg", { viewBox: `0 0 280 ${tall}`, role: "img" }, space);
    svg.setAttribute("aria-label", `Expression of ${target} with and without ${source} perturbed`);
    const x = (value) => 74 + (value / (evidence.cells.top || 1)) * 198;
    evidence.cells.groups.forEach((group, k) => {
      const y = 28 + k * 44;
      const most = Math.max(...group.density, 1e-9);
      const step = evidence.cells.top / (group.density.length - 1);
      const side = (way) =>
        group.density.map((d, i) => `${x(i * step).toFixed(1)} ${(y + (way * d * 17) / most).toFixed(1)}`);
      shape(
        "path",
        { class: `violin v${k}`, d: `M${side(-1).join("L")}L${side(1).reverse().join("L")}Z` },
        svg,
      );
      shape("line", { class: "mean", x1: x(group.mean), x2: x(group.mean), y1: y - 18, y2: y + 18 }, svg);
      for (const [words, up] of [
        [group.name, -1],
        [`${count(group.cells)} cells`, 12],
      ])
        shape("text", { x: 68, y: y + up, "text-anchor": "end" }, svg).textContent = words;
    });
    shape("text", { x: 74, y: tall - 20 }, svg).textContent = "0";
    const end = { x: 272, y: tall - 20, "text-anchor": "end" };
    shape("text", end, svg).textContent = fixed(evidence.cells.top, 1);
    shape("text", { x: 173, y: tall - 6, "text-anchor": "middle" }, svg).textContent =
      `${target.slice(0, 24)}, log counts, held-out cells`;
    return space;
  }

  words(evidence) {
    if (!evidence) return [];
    const parts = (evidence.sections || []).map(({ title, lines, kind }) =>
      make(
        "div",
        { class: kind || "" },
        title ? make("h4", { text: title }) : null,
        ...lines.map((line) => make("p", { class: kind === "doubt" ? "doubt" : "quiet", text: line })),
      ),
    );
    if (evidence.links?.length)
      parts.push(
        make(
          "p",
          { class: "actions" },
          ...evidence.links.map(([site, address]) =>
            make("a", { href: address, target: "_blank", rel: "noopener noreferrer", text: site }),
          ),
        ),
      );
    return parts;
  }

  paths(evidence) {
    if (!evidence?.paths?.length) return null;
    return make(
      "div",
      {},
      make("h4", { text: evidence.ways }),
      make(
        "div",
        { class: "ways" },
        ...evidence.paths.map((path, k) =>
          make(
            "button",
            { class: "way", "aria-pressed": String(k === evidence.lit), click: () => this.on.path(k) },
            make("span", { text: path.genes.join(" → ") }),
            make("b", { text: path.share }),
            path.known ? make("small", { text: `known ${path.known}` }) : null,
          ),
        ),
      ),
      make("p", { class: "quiet", text: evidence.remainder }),
      make(
        "p",
        { class: "actions" },
        make("button", { text: "Effects along this path", click: () => this.on.ask("along") }),
        make("button", { text: "All paths", click: () => this.on.ask("paths") }),
      ),
    );
  }
}

/** How many edges of either network the open comparison puts where, and how often that comes by chance. */
export function comparedCounts(graph) {
  const { of, name } = graph.compared;
  const words = {
    [BOTH]: "in both",
    [HERE]: "only here",
    [THERE]: `only in ${name}`,
    [OTHER_SIGN]: "other sign",
    [OTHER_STRENGTH]: "other strength",
    [UNTOLD]: "in one, no difference told",
  };
  const counts = new Map();
  for (const { code } of of.values()) counts.set(code, (counts.get(code) || 0) + 1);
  return Object.keys(words)
    .map(Number)
    .filter((code) => counts.has(code) || code <= THERE)
    .map((code) => ({ code, words: words[code], number: counts.get(code) || 0 }));
}

export function chanceWords({ tested, level, expected, name, threshold }) {
  if (tested)
    return `Differences at a false discovery rate (FDR) of ${percent(level)}, by permuted conditions.`;
  const chance =
    expected === null ? "" : ` Unrelated networks of these sizes share about ${fixed(expected, 1)}.`;
  const above = `Edges of ${name}: above ${threshold.toPrecision(3)}.`;
  return `No test: two runs of the same cells differ, too. ${above}${chance}`;
}

/** The open comparison in the overview. */
function besideParts(graph) {
  if (!graph.compared) return [];
  const counted = comparedCounts(graph).map(({ words, number }) => `${count(number)} ${words}`);
  return [
    make("h3", { text: `Beside ${graph.compared.name}` }),
    make("p", { text: `Edges: ${counted.join(", ")}.` }),
    make("p", { class: "quiet", text: chanceWords(graph.compared) }),
  ];
}

/** "STAT1 has an edge", "JAK2, STAT1 and IFNGR1 all have one". */
function haveAnEdge(names) {
  if (names.length === 1) return `${names[0]} has an edge`;
  const last = `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
  return `${last} ${names.length === 2 ? "both" : "all"} have an edge`;
}

function effectWords(effect, error) {
  if (!isKnown(effect)) return "";
  const fold = `x ${(2 ** effect).toFixed(2)} (log2 ${signed(effect)}`;
  return error > 0 ? `${fold}, ${intervalOf(effect, error)})` : `${fold})`;
}

/** One line that says whether to believe an edge. */
function verdict(graph, e) {
  const held = graph.adjusted[e];
  const again = graph.again[e];
  if (!graph.perturbed[graph.source[e]])
    return "Nothing measured speaks for it: the source was never perturbed.";
  if (held >= 0.05 && again >= 0 && again < 50)
    return "Do not rest on it: held-out cells do not confirm it, and it rarely comes back.";
  if (held >= 0.05) return "Held-out cells do not confirm it.";
  if (again >= 0 && again < 50)
    return "It hangs on which cells were measured: it comes back in under half of an ensemble.";
  if (held < 0.05 && again >= 80) return "Well supported: confirmed in held-out cells, and it comes back.";
  if (held < 0.05) return "Confirmed in held-out cells.";
  return "";
}
