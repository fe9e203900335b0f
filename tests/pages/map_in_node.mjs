// The map of the page Network as it is laid out there, without a browser. Reads {data, threshold, width,
// height, zoom, straight} and writes what is drawn, what of it touches what, and which labels cover one
// another. Letters are taken to be a little wider than those of the page.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [, , assets, input] = process.argv;
const load = (name) => import(pathToFileURL(`${assets}/${name}.js`).href);
const { Graph } = await load("model");
const { mapLayout } = await load("map");
const { along, Picture } = await load("picture");

const SPARE = 2; // pixels between the rim of a line and what it must not touch
const given = JSON.parse(readFileSync(input, "utf8"));
const columns = (table) => ({ getChild: (name) => table[name] });
const data = { ...given.data, genes: columns(given.data.genes), edges: columns(given.data.edges) };
const graph = new Graph(data);
const edges = Array.from({ length: graph.above(given.threshold) }, (_, e) => e);
const measure = (words, size, bold) => words.length * size * (bold ? 0.62 : 0.56);
const layout = mapLayout(graph, edges, { ...given, open: null, measure });
const picture = Object.assign(Object.create(Picture.prototype), {
  layout,
  measure,
  zoom: given.zoom,
  scene: { graph },
});

/** Points on a line; straight: from end to end, which no picture does, to see that touching is noticed. */
function onLine(link) {
  const points = picture.geometry(link);
  const [a, b] = [points[0], points.at(-1)];
  const line = given.straight ? [a, [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], b] : points;
  return along(line, given.straight ? 240 : 60);
}

const inside = ([x, y], [left, top, right, bottom], room) =>
  x > left - room && x < right + room && y > top - room && y < bottom + room;
const touched = [];
for (const link of layout.links) {
  const points = onLine(link);
  const room = link.width / 2 + SPARE;
  layout.nodes.forEach((node, k) => {
    const own = k === link.a || k === link.b; // ends at its dot, beside its name
    const { x, y } = picture.at(node);
    const names = [picture.labelBox(node), ...(own ? [] : picture.countBoxes(node))];
    const dot = !own && points.some((at) => Math.hypot(at[0] - x, at[1] - y) < node.r + room);
    const ends = [layout.nodes[link.a].label, layout.nodes[link.b].label];
    if (dot || names.some((box) => points.some((at) => inside(at, box, own ? 0 : room))))
      touched.push([...ends, dot ? "dot" : "name", node.label]);
  });
}
const boxes = layout.nodes.map((node) => [node.label, picture.labelBox(node)]);
const overlapping = boxes.flatMap(([a, p], k) =>
  boxes
    .slice(k + 1)
    .filter(([, q]) => p[0] < q[2] - 1 && q[0] < p[2] - 1 && p[1] < q[3] - 1 && q[1] < p[3] - 1)
    .map(([b]) => [a, b]),
);
const outside = ([left, top, right, bottom]) =>
  left < 0 || top < 0 || right > given.width || bottom > given.height;
const bundles = layout.nodes.filter((node) => node.row && node.row.genes.length > 1);
process.stdout.write(
  JSON.stringify({
    links: layout.links.length,
    regulators: layout.nodes.filter((node) => node.regulator).map((node) => node.label),
    all_regulators: layout.folded.regulators.map((gene) => graph.names[gene]),
    sides: layout.now.two ? 2 : 1,
    left: layout.left,
    drawn: picture.drawn,
    marked: layout.links
      .filter((link) => picture.isContrary(link))
      .map((link) => [layout.nodes[link.a].label, layout.nodes[link.b].label]),
    touched,
    overlapping,
    outside: boxes.filter(([, box]) => outside(box)).map(([label]) => label),
    bundles: bundles.map(({ label, row, counts }) => ({
      label,
      genes: row.genes.map((gene) => graph.names[gene]),
      regulators: row.regulators.map((gene) => graph.names[gene]),
      counts: Object.fromEntries(counts.map(({ sign, words }) => [sign, Number(words)])),
    })),
  }),
);
