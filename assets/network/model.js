// The network as the browser holds it: genes, edges by falling weight, and what follows from them at a
// threshold. No drawing and no document in here.

export const isKnown = (value) => !Number.isNaN(value);
export const STEPS = 200; // thresholds between 0 and the top of the scale
export const SIGN_WORDS = { 1: "activates", "-1": "represses", 0: "regulates" };
// What a comparison says of an edge (dashboard/network/beside.py has the same numbers).
export const BOTH = 0;
export const HERE = 1;
export const THERE = 2;
export const OTHER_SIGN = 3;
export const OTHER_STRENGTH = 4;
export const UNTOLD = 5;
export const NOT_COMPARED = 6;
const CURVED_HYPHENS = /[‐‑‒–—―−]/g;
const ARROWS = /\s*(?:<?[-=]{1,3}>|[→⟶⇒➔➝]|>)\s*/;
const BACKWARDS = /\s*(?:<[-=]{1,3}|[←⟵⇐]|<)\s*/;

/** A column of an Arrow table as an array. */
const column = (table, name) => Array.from(table.getChild(name));

/** A column of an Arrow table, `unknown` in every row where it has no such column. */
const optional = (table, name, unknown) =>
  table.getChild(name) ? column(table, name) : new Array(table.numRows).fill(unknown);

/** A number, NaN where the table has none: Number(null) would be 0, an effect that nobody measured. */
const orUnknown = (value) => (value === null || value === undefined ? Number.NaN : Number(value));

export class Graph {
  /** data: what dashboard/network/message.py sends once per network. */
  constructor(data) {
    const gene = (name) => column(data.genes, name);
    const edge = (name) => column(data.edges, name);
    this.names = gene("gene").map(String);
    this.ids = gene("id").map(String);
    this.perturbed = gene("perturbed").map(Number);
    this.cells = gene("cells").map(Number);
    this.response = gene("response").map(Number);
    this.source = edge("source").map(Number);
    this.target = edge("target").map(Number);
    this.weight = edge("weight").map(Number);
    this.sign = edge("sign").map(Number);
    this.effect = edge("effect").map(orUnknown);
    this.error = edge("effect_se").map(orUnknown);
    // of a source that is activated in cells of their own, while effect and cells are of its knock-down
    this.raised = optional(data.genes, "cells_activated", -1).map(Number);
    this.effectUp = optional(data.edges, "effect_activated", null).map(orUnknown);
    this.errorUp = optional(data.edges, "effect_activated_se", null).map(orUnknown);
    this.again = edge("frequency").map(Number); // percent, -1 unknown
    this.detours = edge("detours").map(Number); // -1 unknown
    this.contrary = edge("contrary").map(Number); // 1: its sign is not that of its measured effect
    this.known = edge("known").map(String);
    this.standing = edge("standing").map(Number); // 1 listed somewhere, -1 with the other sign, 0 nowhere
    this.adjusted = this.weight.map(() => Number.NaN);
    this.own = this.weight.length; // what a comparison adds stands behind them
    this.compared = null;
    this.counts = data.counts;
    this.falseShare = data.false_share;
    this.facts = data.facts;
    this.members = data.members; // networks of the ensemble, null without one
    this.memberEdges = data.member_edges; // how many edges one of them has, in words
    this.trust = data.trust;
    this.leftOut = data.left_out;
    this.alone = new Set(data.without_controls); // perturbed, without controls in their batches
    this.few = data.few_cells;
    this.index = new Map(this.names.map((name, i) => [name, i]));
    this.out = this.names.map(() => []);
    this.in = this.names.map(() => []);
    for (let e = 0; e < this.weight.length; e++) {
      this.out[this.source[e]].push(e);
      this.in[this.target[e]].push(e);
    }
    this.ranked = this.names
      .map((_, i) => i)
      .filter((i) => this.perturbed[i] || this.out[i].length)
      .sort((a, b) => this.rank(b) - this.rank(a) || this.out[b].length - this.out[a].length || a - b);
    this.both = this.raised.some((cells) => cells >= 0);
    this.finder = new Finder(this.names, this.ids, this.raised);
  }

  rank(i) {
    return (this.cells[i] >= 0 && this.cells[i] < this.few ? -1e6 : 0) + this.response[i];
  }

  /** p after Benjamini-Hochberg of the edges, once Python has tested the pairs. */
  takeTests(adjusted) {
    adjusted.forEach((p, e) => {
      this.adjusted[e] = orUnknown(p);
    });
  }

  get tested() {
    return this.adjusted.some(isKnown);
  }

  /** Lay another network over this one; null takes it away. Edges of the other alone come behind ours. */
  compare(told) {
    const { own } = this;
    for (const edges of [...this.out, ...this.in]) while (edges.at(-1) >= own) edges.pop();
    for (const values of Object.values(this.columns())) values.length = own;
    this.compared = null;
    if (!told) return;
    const { source, target, code, here, there, sign, fdr } = told.edges;
    const of = new Map();
    const alone = [];
    for (let k = 0; k < source.length; k++) {
      let e = this.edgeOf(source[k], target[k]);
      if (code[k] === THERE && e < 0) e = this.add(source[k], target[k], here[k]);
      if (e < 0) continue;
      of.set(e, { code: code[k], there: there[k], sign: sign[k], fdr: orUnknown(fdr[k]) });
      if (code[k] === THERE) alone.push(e);
    }
    this.compared = { ...told, of, alone };
  }

  columns() {
    const { source, target, weight, sign, again, detours } = this;
    const { contrary, known, standing, adjusted } = this;
    const { effect, error, effectUp, errorUp } = this;
    const effects = { effect, error, effectUp, errorUp };
    return { source, target, weight, sign, contrary, ...effects, again, detours, known, standing, adjusted };
  }

  add(source, target, weight) {
    const [effect, error, effectUp, errorUp, adjusted] = new Array(5).fill(Number.NaN);
    const none = { effect, error, effectUp, errorUp, again: -1, detours: -1, known: "", standing: 0 };
    const row = { source, target, weight, sign: 0, contrary: 0, adjusted, ...none };
    const e = this.weight.length;
    for (const [name, values] of Object.entries(this.columns())) values.push(row[name]);
    this.out[source].push(e);
    this.in[target].push(e);
    return e;
  }

  /** What the open comparison says of an edge: one of BOTH ... UNTOLD; NOT_COMPARED without one. */
  standingOf(e) {
    return this.compared?.of.get(e)?.code ?? NOT_COMPARED;
  }

  /** Sign as drawn: of an edge that the other network has alone, its sign there. */
  signOf(e) {
    const told = this.compared?.of.get(e);
    return told?.code === THERE ? told.sign : this.sign[e];
  }

  edgeOf(source, target) {
    const found = this.out[source].find((e) => this.target[e] === target);
    return found === undefined ? -1 : found;
  }

  /** Edges are sorted by falling weight, so those above a threshold are the first so many. */
  above(threshold) {
    let low = 0;
    let high = this.own;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.weight[middle] > threshold) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Whether an edge was seen a second time, and how that was found out. */
  replicated(e) {
    return this.again[e] >= 0 ? this.again[e] >= 80 : this.adjusted[e] < 0.05;
  }

  /** How sure an edge is, 0 to 1: how often it comes back where that is known, else its weight. */
  certainty(e) {
    return this.again[e] >= 0 ? this.again[e] / 100 : Math.min(1, this.weight[e] / (this.facts.scale || 1));
  }
}

/** What the open comparison says of an edge, in words. */
export function standingWords(graph, e) {
  const { compared, facts } = graph;
  const told = compared.of.get(e);
  if (!told) return "not compared: a gene is not measured there";
  const there = `${facts.measure} ${told.there.toFixed(2)} in ${compared.name}`;
  const words = {
    [BOTH]: "in both",
    [HERE]: "only here",
    [THERE]: `only in ${compared.name}`,
    [OTHER_SIGN]: "in both, with another sign",
    [OTHER_STRENGTH]: "in both, of another strength",
    [UNTOLD]: "in one, no difference told",
  };
  const rate = isKnown(told.fdr) ? `, FDR ${percentOf(told.fdr)}` : "";
  return `${words[told.code]} (${there}${rate})`;
}

const percentOf = (rate) => (rate < 0.01 ? "<1 %" : `${Math.round(100 * rate)} %`);

/** Regulators with their targets, and the other genes folded by the regulators that they share. */
export function fold(graph, edges) {
  const targets = new Map();
  for (const e of edges) {
    if (graph.source[e] === graph.target[e]) continue;
    if (!targets.has(graph.source[e])) targets.set(graph.source[e], []);
    targets.get(graph.source[e]).push(e);
  }
  const regulators = [...targets.keys()].sort(
    (a, b) => targets.get(b).length - targets.get(a).length || a - b,
  );
  const place = new Map(regulators.map((gene, k) => [gene, k]));
  const into = new Map();
  for (const gene of regulators)
    for (const e of targets.get(gene)) {
      if (place.has(graph.target[e])) continue;
      if (!into.has(graph.target[e])) into.set(graph.target[e], []);
      into.get(graph.target[e]).push(e);
    }
  const bundles = new Map();
  for (const [gene, list] of into) {
    const who = list.map((e) => graph.source[e]).sort((a, b) => place.get(a) - place.get(b));
    const key = who.map((i) => graph.names[i]).join("\n") + comparedKey(graph, list);
    if (!bundles.has(key)) bundles.set(key, { key, regulators: who, genes: [], edges: [] });
    bundles.get(key).genes.push(gene);
    bundles.get(key).edges.push(...list);
  }
  const strongest = (bundle) => Math.min(...bundle.edges);
  return {
    regulators,
    targets,
    bundles: [...bundles.values()].sort(
      (a, b) => b.genes.length - a.genes.length || strongest(a) - strongest(b),
    ),
  };
}

const COMPARED = "\u0001"; // before what a comparison says of a bundle, in its key

/** With a comparison open, genes lie in one bundle only where it says the same of them. */
function comparedKey(graph, edges) {
  if (!graph.compared) return "";
  return `\n${COMPARED}${edges
    .map((e) => `${graph.source[e]}:${graph.standingOf(e)}`)
    .sort()
    .join(" ")}`;
}

/** The regulators that a bundle's key names. */
export const bundleGenes = (key) =>
  (key || "").split("\n").filter((part) => part && !part.startsWith(COMPARED));

const ALIKE = 0.2; // least cosine of the targets of two regulators that stand side by side for it

/** Regulators side by side with those that share their targets: chains, each from the largest that is left
 * on, so that the largest stand first. */
export function chain(graph, regulators, targets) {
  const left = new Set(regulators);
  const into = new Map();
  for (const gene of regulators)
    for (const e of targets.get(gene)) {
      if (!into.has(graph.target[e])) into.set(graph.target[e], []);
      into.get(graph.target[e]).push(gene);
    }
  const order = [];
  let now = regulators[0];
  while (now !== undefined) {
    order.push(now);
    left.delete(now);
    const shared = new Map();
    for (const e of targets.get(now))
      for (const other of [graph.target[e], ...into.get(graph.target[e])])
        if (left.has(other)) shared.set(other, (shared.get(other) || 0) + 1);
    let best;
    let most = ALIKE;
    for (const [gene, count] of shared) {
      const alike = count / Math.sqrt(targets.get(now).length * targets.get(gene).length);
      if (alike > most) [best, most] = [gene, alike];
    }
    now = best ?? left.values().next().value;
  }
  return order;
}

/** Looks genes and pairs of genes up as people write them. */
export class Finder {
  /** raised: cells in which a gene is activated beside others where it is knocked down, -1: it is not. */
  constructor(names, ids, raised = []) {
    this.names = names;
    this.exact = new Map();
    this.loose = new Map();
    const add = (map, key, i) => {
      if (key && !map.has(key)) map.set(key, i);
    };
    for (const [i, name] of names.entries()) add(this.exact, tidy(name), i);
    for (const [i, id] of ids.entries()) add(this.exact, tidy(id), i);
    for (const [i, name] of names.entries()) add(this.loose, bare(name), i);
    this.activated = new Map();
    for (const [i, cells] of raised.entries())
      if (cells >= 0)
        for (const words of [", activated", " (activated)"]) add(this.activated, tidy(names[i] + words), i);
  }

  gene(text) {
    const wanted = tidy(text);
    return this.exact.get(wanted) ?? this.activated.get(wanted) ?? this.loose.get(bare(wanted));
  }

  /** {gene} or {source, target}, or null: "stat1", "JAK2 -> UBE2L6", "UBE2L6 <- jak2", "jak2 to ube2l6". */
  find(text) {
    const whole = tidy(text);
    if (!whole) return null;
    for (const known of [this.exact, this.activated]) if (known.has(whole)) return { gene: known.get(whole) };
    const pair = (a, b) => {
      const [source, target] = [this.gene(a), this.gene(b)];
      return source === undefined || target === undefined || source === target ? null : { source, target };
    };
    for (const [between, turned] of [
      [BACKWARDS, true],
      [ARROWS, false],
      [/\s+(?:to|on|onto|and|activates|represses|regulates|changes|vs\.?)\s+/, false],
      [/\s*[,;|/:]\s*/, false],
      [/\s+/, false],
      [/\s*-\s*/, false],
    ]) {
      const all = new RegExp(between.source, "g");
      for (const cut of whole.matchAll(all)) {
        const ends = [whole.slice(0, cut.index), whole.slice(cut.index + cut[0].length)];
        const found = turned ? pair(ends[1], ends[0]) : pair(ends[0], ends[1]);
        if (found) return found;
      }
    }
    const gene = this.gene(whole);
    return gene === undefined ? null : { gene };
  }

  /** Genes that begin with what was typed (behind the last arrow), then those that hold it. */
  suggest(text, most = 8) {
    const whole = tidy(text);
    const typed = (key, i) => key.startsWith(whole) && !tidy(this.names[i]).startsWith(whole);
    const activated = [...this.activated].filter(([key, i]) => typed(key, i));
    if (activated.length) return activated.map(([, gene]) => ({ gene })).slice(0, most);
    const cut = [...whole.matchAll(/(?:<?[-=]{1,3}>|[→⟶⇒➔➝>,]|\bto\b)\s*/g)].pop();
    const head = cut ? whole.slice(0, cut.index) : "";
    const source = cut ? this.gene(head) : undefined;
    const wanted = source === undefined ? whole : whole.slice(cut.index + cut[0].length);
    if (!wanted) return [];
    const first = [];
    const then = [];
    for (const [key, i] of this.exact) {
      if (i === source) continue;
      if (key.startsWith(wanted)) first.push(i);
      else if (key.includes(wanted)) then.push(i);
    }
    const genes = [...new Set([...first, ...then])].slice(0, most);
    return genes.map((target) => (source === undefined ? { gene: target } : { source, target }));
  }

  /** The gene whose name differs least from what was typed, for "did you mean". */
  nearest(text) {
    const wanted = tidy(text);
    let best = null;
    let least = Math.max(2, Math.floor(wanted.length / 3)) + 1;
    for (const name of this.names) {
      const other = tidy(name);
      if (Math.abs(other.length - wanted.length) >= least) continue;
      const apart = distance(wanted, other);
      if (apart < least) [best, least] = [name, apart];
    }
    return best;
  }
}

const tidy = (text) =>
  String(text).normalize("NFKC").replace(CURVED_HYPHENS, "-").trim().replace(/\s+/g, " ").toLowerCase();
const bare = (text) => tidy(text).replace(/[\s._-]/g, "");

/** Levenshtein's distance. */
function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length];
}
