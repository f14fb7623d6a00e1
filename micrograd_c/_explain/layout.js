/* Where nodes are drawn: layers from left to right, after Sugiyama.
 *
 * A node's layer is one more than its furthest operand's, and a leaf stands just before the first
 * node that uses it. An edge over several layers is led through each by a bend, which has a place
 * there as nodes do; the edges of one operand share bends. Nodes of a layer are ordered by the mean
 * of their neighbours, then moved as near to it as the others let them. */

const GAP = {layer: 46, node: 14, bend: 10};
const SWEEPS = 12;
const REACH = 20; // layers that an edge is led through; beyond them it is two stubs, not a line
const STUB = 24;

/* Place `items` ({id, width, height}), in an order in which operands come first, with `edges`
 * ([operand, result], of ids). Returns {width, height, at: Map id -> {x, y}, of the left upper
 * corner, paths: for each edge the SVG path}. */
function place(items, edges) {
  const nodes = new Map(items.map((item) => [item.id, {...item, before: [], after: []}]));
  for (const [from, to] of edges) {
    nodes.get(from).after.push(nodes.get(to));
    nodes.get(to).before.push(nodes.get(from));
  }
  const ordered = [...nodes.values()];
  assignLayers(ordered);
  const layers = Array.from({length: Math.max(...ordered.map((n) => n.layer)) + 1}, () => []);
  for (const node of ordered) layers[node.layer].push(node);
  const bends = addBends(ordered, layers);
  orderLayers(layers);
  const size = placeLayers(layers);
  return {
    ...size,
    at: new Map(ordered.map((n) => [n.id, {x: n.x, y: n.y - n.height / 2}])),
    paths: edges.map(([from, to]) => path(nodes.get(from), nodes.get(to), bends)),
  };
}

function assignLayers(ordered) {
  for (const node of ordered) {
    node.layer = Math.max(0, ...node.before.map((operand) => operand.layer + 1));
  }
  for (const node of ordered) {
    if (!node.before.length && node.after.length) {
      node.layer = Math.min(...node.after.map((user) => user.layer)) - 1;
    }
  }
}

/* Put bends into the layers between a node and its users. Returns Map node -> bends by layer. */
function addBends(ordered, layers) {
  const bends = new Map();
  for (const node of ordered) {
    const users = node.after.filter((user) => user.layer - node.layer <= REACH);
    const reach = Math.max(node.layer, ...users.map((user) => user.layer - 1));
    const nextTo = (layer) => users.filter((user) => user.layer === layer + 1);
    const mine = new Map();
    let last = node;
    node.left = [];
    node.right = nextTo(node.layer);
    for (let layer = node.layer + 1; layer <= reach; layer++) {
      const bend = {layer, width: 0, height: 0, left: [], right: nextTo(layer), isBend: true};
      last.right.push(bend);
      layers[layer].push(bend);
      mine.set(layer, bend);
      last = bend;
    }
    bends.set(node, mine);
  }
  for (const layer of layers) {
    for (const item of layer) for (const next of item.right) next.left.push(item);
  }
  return bends;
}

function orderLayers(layers) {
  const number = (layer) => layer.forEach((item, order) => (item.order = order));
  layers.forEach(number);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const side = sweep % 2 ? 'right' : 'left';
    for (const layer of sweep % 2 ? [...layers].reverse() : layers) {
      for (const item of layer) {
        item.wish = item[side].length ? mean(item[side].map((other) => other.order)) : item.order;
      }
      layer.sort((a, b) => a.wish - b.wish || a.order - b.order);
      number(layer);
    }
  }
}

function mean(numbers) {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

/* Give each item x and y (of its middle). */
function placeLayers(layers) {
  let x = 0;
  for (const layer of layers) {
    const width = Math.max(...layer.map((item) => item.width));
    let y = 0;
    for (const item of layer) {
      item.x = x + (width - item.width) / 2;
      [item.start, item.end] = [x, x + width]; // lines are level in a layer, not behind its nodes
      item.y = y + item.height / 2;
      y += item.height + (item.isBend ? GAP.bend : GAP.node);
    }
    x += width + GAP.layer;
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const sides = [sweep % 2 ? 'right' : 'left'];
    if (sweep >= SWEEPS - 2) sides.push(sweep % 2 ? 'left' : 'right');
    for (const layer of sweep % 2 ? [...layers].reverse() : layers) settle(layer, sides);
  }
  const items = layers.flat();
  const top = Math.min(...items.map((item) => item.y - item.height / 2));
  for (const item of items) item.y -= top;
  const height = Math.max(...items.map((item) => item.y + item.height / 2));
  return {width: x - GAP.layer, height};
}

/* Move each item of a layer to the mean of its neighbours, or as near as the others let it: the
 * least squares that keep order and distances, by joining neighbours that would overlap. */
function settle(layer, sides) {
  const groups = [];
  let offset = 0;
  for (const [i, item] of layer.entries()) {
    const near = sides.flatMap((side) => item[side]);
    if (i > 0) {
      const both = item.isBend && layer[i - 1].isBend;
      offset += (layer[i - 1].height + item.height) / 2 + (both ? GAP.bend : GAP.node);
    }
    const wish = (near.length ? mean(near.map((other) => other.y)) : item.y) - offset;
    let group = {items: [[item, offset]], weight: 1, wish};
    while (groups.length && groups.at(-1).wish >= group.wish) {
      const above = groups.pop();
      const weight = above.weight + group.weight;
      const joined = (above.wish * above.weight + group.wish * group.weight) / weight;
      group = {items: [...above.items, ...group.items], weight, wish: joined};
    }
    groups.push(group);
  }
  for (const group of groups) for (const [item, off] of group.items) item.y = group.wish + off;
}

function path(from, to, bends) {
  if (to.layer - from.layer > REACH) {
    const [x0, y0, x1, y1] = [from.x + from.width, from.y, to.x - STUB, to.y].map(Math.round);
    return `M${x0},${y0}h${STUB}M${x1},${y1}h${STUB}`;
  }
  const points = [[from.x + from.width, from.y], [from.end, from.y]];
  for (let layer = from.layer + 1; layer < to.layer; layer++) {
    const bend = bends.get(from).get(layer);
    points.push([bend.start, bend.y], [bend.end, bend.y]);
  }
  points.push([to.start, to.y], [to.x, to.y]);
  let text = `M${points[0].map(Math.round)}`;
  for (let i = 1; i < points.length; i++) {
    const [[x0, y0], [x1, y1]] = [points[i - 1], points[i]];
    if (x0 === x1) continue;
    const middle = Math.round((x0 + x1) / 2);
    text += `C${middle},${Math.round(y0)} ${middle},${Math.round(y1)} ${[x1, y1].map(Math.round)}`;
  }
  return text;
}
