/* The page of explain(): steps forward, then backward; the graph, the rule, a node's story. */

const {nodes, backward, boxes} = data;
const root = nodes.length - 1;
const uses = nodes.map(() => 0); // how many terms each node's gradient has
for (const step of backward) for (const term of step.terms) uses[term.operand] += 1;

/* All steps, one node each: the beginning, forward, the turn, backward. A term gets its number
 * among those of its operand. */
const steps = [
  {kind: 'begin', node: null, operands: []},
  ...nodes.map(({operands}, node) => ({kind: 'forward', node, operands})).filter(
    (step) => step.operands.length,
  ),
  {kind: 'turn', node: root, operands: []},
  ...backward.map((step) => {
    return {...step, kind: 'backward', operands: step.terms.map((term) => term.operand)};
  }),
];
const seen = nodes.map(() => 0);
for (const step of steps) for (const term of step.terms ?? []) term.number = ++seen[term.operand];

/* Steps of one closed box that follow each other are one frame of the player: [first, last]. */
let frames = [];

function makeFrames() {
  frames = [];
  let last = null;
  steps.forEach((step, i) => {
    const isOne = step.kind === 'forward' || step.kind === 'backward';
    const shape = isOne ? `${step.kind} ${graph.shapeOf(step.node)}` : null;
    if (shape !== null && shape === last) frames.at(-1)[1] = i;
    else frames.push([i, i]);
    last = shape;
  });
}

/* Data and gradients after a step, null where there is none. */
function stateAfter(step) {
  const values = nodes.map((node) => (node.operands.length ? null : node.data));
  const gradients = nodes.map(() => null);
  for (const {kind, node, terms} of steps.slice(0, step + 1)) {
    if (kind === 'forward') values[node] = nodes[node].data;
    if (kind === 'turn') {
      gradients.fill(0);
      gradients[root] = 1;
    }
    for (const term of terms ?? []) gradients[term.operand] = term.after;
  }
  return {values, gradients};
}

// ---- texts ----

/* "-3.00 * -2.00": a formula with texts in place of its operands. */
function fill(node, text) {
  const infix = node.formula.startsWith('{');
  const parts = node.operands.map((operand) => {
    const part = text(nodes[operand]);
    const isNegative = /^-[\d.]+$/.test(part) && !node.formula.includes('**');
    return !infix || isNegative || /^[\w.]+$/.test(part) ? part : `(${part})`;
  });
  const place = (all, number, brace) => (brace ? brace[0] : parts[number]);
  return node.formula.replace(/\{(\d+)\}|(\{\{|\}\})/g, place);
}

const byName = (node) => node.name;
const byData = (node) => show(node.data);

/* "a.grad 0.00 + (-3.00 * -2.00) = 6.00", and a change that is seen where there is no rule. */
function sum(step, term) {
  const products = term.partials.map((partial) => ` + (${show(partial)} * ${show(step.grad)})`);
  const added = products.join('') || ` + ${show(term.change)}`;
  return `${gradOf(term.operand)} ${show(term.before)}${added} = ${show(term.after)}`;
}

/* "a.grad", "(a + b).grad" */
function gradOf(place) {
  const {name} = nodes[place];
  return /^\w+$/.test(name) ? `${name}.grad` : `(${name}).grad`;
}

function definition(node) {
  if (node.constant) return say('a_constant', {data: byData(node)});
  if (!node.operands.length) return say('given', {data: byData(node)});
  const [names, numbers] = [fill(node, byName), fill(node, byData)];
  return `${names} = ${numbers === names ? '' : `${numbers} = `}${byData(node)}`;
}

function paragraph(text, attributes = {}) {
  return element('p', attributes, text);
}

function rule(step, term) {
  const lines = [element('code', {class: 'numbers'}, sum(step, term))];
  if (term.rule) lines.unshift(element('code', {}, term.rule));
  if (uses[term.operand] > 1) {
    const parts = {name: nodes[term.operand].name, count: uses[term.operand], number: term.number};
    lines.push(element('span', {class: 'added'}, `⊕ ${say('added', parts)}`));
  }
  return element('div', {class: 'rule'}, ...lines);
}

/* Heading and paragraphs of one step. */
function described(step) {
  const node = nodes[step.node];
  if (step.kind === 'begin') return [words.begin, paragraph(words.begin_text)];
  if (step.kind === 'turn') return [words.turn, paragraph(say('turn_text', {name: node.name}))];
  if (step.kind === 'forward') {
    const line = element('code', {class: 'numbers'}, `${node.name} = ${definition(node)}`);
    return [say('forward_of', {name: node.name}), element('div', {class: 'rule forward'}, line)];
  }
  const own = step.terms.some((term) => !term.rule);
  const lines = step.terms.map((term) => rule(step, term));
  if (own) lines.unshift(paragraph(say('own_text', {name: node.name})));
  if (!lines.length) lines.push(paragraph(words.no_gradient));
  const given = `${node.name} = ${fill(node, byName)}, ${gradOf(step.node)} = ${show(step.grad)}`;
  return [say('backward_of', {name: node.name}), paragraph(given, {class: 'numbers'}), ...lines];
}

/* Heading and paragraphs of the steps of a closed box: what the gradients of its operands and of
 * its weights become. */
function describedBox(first, last) {
  const name = boxName(boxes[Number(graph.shapeOf(steps[first].node).slice(1))]);
  const {kind} = steps[first];
  const heading = say(`${kind}_of`, {name});
  const text = paragraph(say('box_steps', {count: last - first + 1}));
  const some = steps.slice(first, last + 1);
  if (kind === 'forward') {
    const inside = new Set(some.map((step) => step.node));
    const outputs = some.filter((step) => !usersOf[step.node].some((user) => inside.has(user)));
    return [heading, text, ...outputs.map(({node}) => element('div', {class: 'rule forward'},
      element('code', {class: 'numbers'}, `${nodes[node].name} = ${byData(nodes[node])}`)))];
  }
  const ends = new Map();
  const shape = graph.shapeOf(steps[first].node);
  for (const term of some.flatMap((step) => step.terms)) {
    const isInside = graph.shapeOf(term.operand) === shape;
    if (isInside && nodes[term.operand].operands.length) continue; // no input and no weight
    const {before} = ends.get(term.operand) ?? term;
    ends.set(term.operand, {before, after: term.after});
  }
  const cells = (kind, texts) => element('tr', {}, ...texts.map((t) => element(kind, {}, t)));
  const rows = [...ends].sort(([i], [j]) => i - j).map(([i, {before, after}]) => {
    return cells('td', [gradOf(i), show(before), show(after)]);
  });
  const table = element('table', {}, cells('th', [words.grad, words.before, words.after]), ...rows);
  return [heading, text, ...(rows.length ? [table] : [])];
}

/* The whole story of a node: what it is, and each term of its gradient, those to come, too. */
function story(shape, now) {
  const title = element('h2', {}, say('story', {name: shape.name}));
  if (shape.box !== null) {
    const text = paragraph(say('box_nodes', {count: shape.nodes.length}));
    return [title, text, opener(shape.box, true)];
  }
  const [place] = shape.nodes;
  const node = nodes[place];
  const list = element('ul');
  const add = (step, text, rule) => {
    const isLater = step > now;
    const lines = rule ? [element('code', {}, rule), element('br')] : [];
    const attributes = isLater ? {class: 'faint'} : {};
    list.append(element('li', attributes, ...lines, isLater ? say('later', {text}) : text));
  };
  if (node.constant) add(0, say('constant_text', {name: node.name}));
  steps.forEach((step, i) => {
    if (step.kind === 'turn' && place === root) add(i, words.root_term);
    for (const term of step.terms ?? []) {
      if (term.operand !== place) continue;
      add(i, say('from_term', {name: nodes[step.node].name, text: sum(step, term)}), term.rule);
    }
  });
  const home = graph.homes[place].at(-1);
  const closer = home === undefined ? [] : [element('br'), opener(home, false)];
  return [title, paragraph(`${node.name}: ${definition(node)}`, {class: 'numbers'}), list, ...closer];
}

function opener(box, on) {
  const text = say(on ? 'open_box' : 'close_box', {name: boxName(boxes[box])});
  return element('button', {type: 'button', onclick: () => graph.set(box, on)}, text);
}

// ---- the page ----

let chosen = null; // the id of the shape whose story is told
const rules = element('section', {id: 'rules'});
const tale = element('section', {id: 'story'});
const graph = new Graph((shape) => {
  chosen = shape.id;
  tell();
}, () => {
  const now = frames[player.step][1];
  makeFrames();
  player.count = frames.length;
  player.go(frames.findIndex(([first, last]) => first <= now && now <= last));
});

function tell() {
  const shape = graph.shapes.get(chosen);
  for (const other of graph.order) {
    other.group.classList.toggle('chosen', other === shape);
    if (other === shape) other.group.setAttribute('aria-describedby', 'story');
    else other.group.removeAttribute('aria-describedby');
  }
  const hints = [
    paragraph(words.hint, {class: 'faint'}), paragraph(words.keys, {class: 'faint', id: 'keys'}),
  ];
  tale.replaceChildren(...(shape ? story(shape, frames[player.step][1]) : hints));
}

function display(frame) {
  const [first, last] = frames[frame];
  const [title, ...content] = first === last ? described(steps[last]) : describedBox(first, last);
  rules.replaceChildren(element('h2', {}, title), ...content);
  const some = steps.slice(first, last + 1);
  graph.show({
    ...stateAfter(last),
    active: some.flatMap((step) => (step.node === null ? [] : [step.node])),
    operands: some.flatMap((step) => step.operands),
    forward: steps[first].kind === 'forward',
  });
  tell();
  return [title, ...content.map((part) => part.innerText)].join(' ').replace(/\s+/g, ' ');
}

const zoom = (factor) => () => {
  graph.scale(graph.zoom * factor);
  display(player.step); // in sight
};
const tools = element(
  'div', {id: 'tools'},
  button('−', words.smaller, zoom(0.8)), button('+', words.larger, zoom(1.25)),
);
for (const [id, text] of [['open-all', words.open_all], ['close-all', words.close_all]]) {
  const attributes = {type: 'button', id, onclick: () => graph.set(null, id === 'open-all')};
  if (boxes.length) tools.append(element('button', attributes, text));
}
const live = frame(
  words.walk,
  element('div', {id: 'pane'}, tools, graph.scroll),
  element('div', {id: 'side'}, rules, tale),
);
const player = new Player(live, display, 1200);
graph.draw();
graph.fit();
makeFrames();
player.count = frames.length;
player.go(0);
