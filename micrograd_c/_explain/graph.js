/* The graph as it is drawn: which boxes are open, the shapes, and what of them is highlighted. */

const PADDING = 16;
const ROW = 17;
const LARGEST_FIT = 1.6; // a small graph is drawn so many times larger, as far as there is room

/* By node: the nodes that it is an operand of. */
const usersOf = data.nodes.map(() => []);
data.nodes.forEach((node, i) => node.operands.forEach((operand) => usersOf[operand].push(i)));

class Graph {
  /* `onchoose(shape)` is called where a node is pointed at or reached by keys, `onchange` after a
   * box was opened or closed. */
  constructor(onchoose, onchange) {
    Object.assign(this, {onchoose, onchange, open: new Set(), zoom: 1});
    this.homes = data.nodes.map(() => []); // the boxes of each node, the outermost first
    data.boxes.forEach((box, i) => box.members.forEach((node) => this.homes[node].push(i)));
    this.svg = svg('svg', {role: 'group'});
    this.scroll = element('div', {id: 'scroll'}, this.svg);
    this.svg.addEventListener('keydown', (event) => this.key(event));
    if (data.nodes.length <= 40) data.boxes.forEach((_, i) => this.open.add(i));
  }

  /* What shows a node: "n3", or "b1" where it is in a box that is closed. */
  shapeOf(node) {
    const closed = this.homes[node].find((box) => !this.open.has(box));
    return closed === undefined ? `n${node}` : `b${closed}`;
  }

  /* Draw all anew. */
  draw() {
    this.shapes = new Map();
    const edges = new Map();
    data.nodes.forEach((node, i) => {
      const id = this.shapeOf(i);
      if (!this.shapes.has(id)) this.shapes.set(id, {id, nodes: []});
      this.shapes.get(id).nodes.push(i);
      for (const operand of node.operands) {
        const from = this.shapeOf(operand);
        if (from !== id) edges.set(`${from} ${id}`, [from, id]);
      }
    });
    const ordered = sorted([...this.shapes.values()], [...edges.values()]);
    for (const shape of ordered) this.measure(shape);
    const layout = place(ordered, [...edges.values()]);
    this.size = [layout.width + 2 * PADDING, layout.height + 2 * PADDING];
    this.edges = [...edges.values()].map(([from, to], i) => {
      return {from, to, path: svg('path', {class: 'edge', d: layout.paths[i]})};
    });
    for (const shape of ordered) this.drawShape(shape, layout.at.get(shape.id));
    const move = {transform: `translate(${PADDING} ${PADDING})`};
    this.svg.replaceChildren(arrow('forward'), arrow('backward'), svg(
      'g', move, ...this.edges.map((edge) => edge.path), ...ordered.map((shape) => shape.group),
    ));
    this.order = ordered;
    this.svg.setAttribute('aria-label', say('graph', {count: data.nodes.length}));
    this.scale(this.zoom);
  }

  /* Draw a graph that is smaller than its frame as large as there is room. */
  fit() {
    const {clientWidth, clientHeight} = this.scroll;
    const room = Math.min(clientWidth / this.size[0], clientHeight / this.size[1]);
    this.scale(Math.max(1, Math.min(LARGEST_FIT, room)));
  }

  scale(zoom) {
    this.zoom = Math.max(0.25, Math.min(2, zoom));
    const [width, height] = this.size;
    this.svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.svg.setAttribute('width', Math.round(width * this.zoom));
    this.svg.setAttribute('height', Math.round(height * this.zoom));
  }

  measure(shape) {
    const node = data.nodes[shape.nodes[0]];
    const isBox = shape.id[0] === 'b';
    shape.box = isBox ? Number(shape.id.slice(1)) : null;
    shape.isConstant = !isBox && node.constant;
    shape.name = isBox ? boxName(data.boxes[shape.box]) : node.name;
    shape.shown = shownNode(shape);
    shape.width = shape.isConstant ? 20 + 8 * shape.name.length : isBox ? 190 : 132;
    shape.height = shape.isConstant ? 26 : shape.shown === null ? 2 * ROW + 8 : 3 * ROW + 8;
  }

  drawShape(shape, {x, y}) {
    const isLeaf = !data.nodes[shape.nodes[0]].operands.length;
    const kind = shape.box !== null ? 'box' : isLeaf ? 'leaf' : '';
    shape.parts = {};
    const text = (name, x, row, content) => {
      shape.parts[name] = svg('text', {class: name, x, y: row * ROW - 1}, content);
      return shape.parts[name];
    };
    const right = shape.width - 8;
    const op = kind === '' ? cut(data.nodes[shape.shown].op, 60) : '';
    const title = cut(shape.name, right - 8 - (op ? 8 + widthOf(op) : 0));
    const rows = [text('title', 8, 1, title), text('op', right, 1, op)];
    if (shape.shown !== null) {
      rows.push(text('key', 8, 2, words.data), text('value data', right, 2, ''));
      rows.push(text('key', 8, 3, words.grad), text('value grad', right, 3, ''));
    } else if (kind === 'box') {
      rows.push(text('key', 8, 2, say('count', {count: shape.nodes.length})));
    }
    const choose = () => this.onchoose(shape);
    shape.group = svg(
      'g', {
        class: `node ${kind}`, transform: `translate(${x} ${y})`, tabindex: -1,
        role: kind === 'box' ? 'button' : 'img',
        onmouseenter: choose, onfocus: choose, onclick: () => this.toggle(shape),
      },
      svg('rect', {width: shape.width, height: shape.height, rx: 7}), ...rows,
    );
  }

  /* Show data and gradients (arrays by node, null where there is none yet), and highlight. */
  show({values, gradients, active, operands, forward}) {
    const [now, near] = [this.shapeSet(active), this.shapeSet(operands)];
    for (const shape of this.order) {
      const {id, shown, nodes} = shape;
      const [value, grad] = shown === null ? [null, null] : [values[shown], gradients[shown]];
      const waiting = nodes.every((node) => values[node] === null);
      const state = [now.has(id), near.has(id) && !now.has(id), waiting, value, grad];
      if (String(shape.state) !== String(state)) this.update(shape, state);
      shape.state = state;
      shape.group.setAttribute('tabindex', -1);
    }
    for (const {from, to, path} of this.edges) {
      const isActive = near.has(from) && now.has(to);
      if (isActive) this.order[0].group.before(path); // above other edges, below all nodes
      path.classList.toggle('active', isActive);
      path.classList.toggle('forward', forward);
    }
    const focus = this.order.find((shape) => now.has(shape.id)) ?? this.order[0];
    focus.group.setAttribute('tabindex', 0);
    if (now.size) this.reveal(focus, this.order.filter((shape) => near.has(shape.id)));
  }

  update(shape, [active, operand, waiting, value, grad]) {
    const texts = [shape.name];
    if (shape.box !== null) texts.push(say('box_nodes', {count: shape.nodes.length}));
    for (const [key, number] of shape.shown === null ? [] : [['data', value], ['grad', grad]]) {
      const text = number === null ? '' : show(number);
      shape.parts[`value ${key}`].textContent = text;
      texts.push(`${words[key]} ${text}`);
    }
    const classes = {active, operand, waiting, 'has-grad': grad !== null && grad !== 0};
    for (const [name, on] of Object.entries(classes)) shape.group.classList.toggle(name, on);
    shape.group.setAttribute('aria-label', texts.join(', '));
  }

  shapeSet(nodes) {
    return new Set(nodes.map((node) => this.shapeOf(node)));
  }

  /* Scroll so that a shape is seen, and `others` with it as far as there is room. */
  reveal(shape, others = []) {
    const frame = this.scroll.getBoundingClientRect();
    const main = shape.group.getBoundingClientRect();
    const boxes = [main, ...others.map((other) => other.group.getBoundingClientRect())];
    const by = (start, end, length) => {
      const low = Math.min(...boxes.map((box) => box[start])) - PADDING;
      const high = Math.max(...boxes.map((box) => box[end])) + PADDING;
      if (low >= frame[start] && high <= frame[end]) return 0;
      const room = frame[length] - (high - low);
      return room > 0 ? low - frame[start] - room / 2 : main[end] + PADDING - frame[end];
    };
    const [left, top] = [by('left', 'right', 'width'), by('top', 'bottom', 'height')];
    const behavior = matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth';
    this.scroll.scrollBy({left, top, behavior});
  }

  toggle(shape) {
    if (shape.box !== null) this.set(shape.box, true);
  }

  /* Open or close a box, and go to what shows its first node then; or all (null). */
  set(box, on) {
    const change = (i) => (on ? this.open.add(i) : this.open.delete(i));
    (box === null ? [...data.boxes.keys()] : [box]).forEach(change);
    this.draw();
    this.onchange();
    if (box !== null) this.shapes.get(this.shapeOf(data.boxes[box].members[0])).group.focus();
  }

  key(event) {
    const group = event.target.closest('.node');
    const at = this.order.findIndex((shape) => shape.group === group);
    const step = {ArrowUp: -1, ArrowDown: 1}[event.key];
    if (at < 0) return;
    if (step) {
      const next = this.order[Math.max(0, Math.min(this.order.length - 1, at + step))];
      next.group.focus();
      this.reveal(next);
    } else if (this.order[at].box !== null && (event.key === 'Enter' || event.key === ' ')) {
      this.toggle(this.order[at]);
    } else return;
    event.preventDefault();
  }
}

/* The node whose data and gradient a shape shows: its own, or a box's only output. */
function shownNode({box, nodes, isConstant}) {
  if (box === null) return isConstant ? null : nodes[0];
  if (data.boxes[box].kind === 'weights') return null;
  const inside = new Set(nodes);
  const outputs = nodes.filter((node) => !usersOf[node].some((user) => inside.has(user)));
  return outputs.length === 1 ? outputs[0] : null;
}

/* The head of an arrow, for the edges under way: results are forward, operands backward. */
function arrow(name) {
  const attributes = {
    id: name, class: `arrow ${name}`, viewBox: '0 0 8 8', refX: 7, refY: 4, orient: 'auto-start-reverse',
    markerWidth: 13, markerHeight: 13, markerUnits: 'userSpaceOnUse',
  };
  return svg('marker', attributes, svg('path', {d: 'M0 0l8 4-8 4z'}));
}

const ruler = document.createElement('canvas').getContext('2d');

/* The width of a bold text in pixels. */
function widthOf(text) {
  ruler.font = `bold 13px ${getComputedStyle(document.body).fontFamily}`;
  return ruler.measureText(text).width;
}

/* The beginning of a text that is so many pixels wide, with a sign where there is more. */
function cut(text, pixels) {
  if (text.length < 40 && widthOf(text) <= pixels) return text;
  const characters = [...text.slice(0, 40)];
  while (characters.length && widthOf(`${characters.join('')}…`) > pixels) characters.pop();
  return `${characters.join('')}…`;
}

function boxName({kind, label}) {
  const key = kind === 'weights' && /^\d+$/.test(label) ? 'weights_of' : kind;
  return say(key, {label}).trim();
}

/* Shapes in an order in which operands come first (Kahn's algorithm). */
function sorted(shapes, edges) {
  const after = new Map(shapes.map((shape) => [shape.id, []]));
  const waits = new Map(shapes.map((shape) => [shape.id, 0]));
  for (const [from, to] of edges) {
    after.get(from).push(to);
    waits.set(to, waits.get(to) + 1);
  }
  const found = shapes.filter((shape) => waits.get(shape.id) === 0);
  const byId = new Map(shapes.map((shape) => [shape.id, shape]));
  for (const shape of found) {
    for (const to of after.get(shape.id)) {
      waits.set(to, waits.get(to) - 1);
      if (waits.get(to) === 0) found.push(byId.get(to));
    }
  }
  return found;
}
