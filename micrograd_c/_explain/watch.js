/* The page of Watch: loss, decision boundary, weights and gradients of each recorded step. */

const {steps, matrices, points, targets, ranges, level, middle} = data;
const SIDE = 420; // pixels of the boundary's canvas
const finite = (numbers) => numbers.filter((number) => typeof number === 'number');
const largest = (numbers) => numbers.reduce((a, b) => Math.max(a, b), -Infinity); // of any number

// ---- colours ----

/* The colour of a number from -1 (blue) over 0 (paper) to 1 (red), as [red, green, blue]. */
function colour(number) {
  const dark = document.documentElement.dataset.theme === 'dark';
  const middle = dark ? [30, 34, 41] : [255, 255, 255];
  const [blue, red] = dark ? [[90, 160, 255], [255, 110, 100]] : [[20, 90, 180], [190, 40, 40]];
  const end = number < 0 ? blue : red;
  const share = Math.min(1, Math.abs(number));
  return middle.map((from, i) => Math.round(from + (end[i] - from) * share));
}

/* Draw numbers, row by row, one pixel each. What is no number stays grey. */
function paint(canvas, numbers, [rows, columns], scale) {
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext('2d');
  const image = context.createImageData(columns, rows);
  numbers.forEach((number, i) => {
    const shade = typeof number === 'number' ? colour(number * scale) : [128, 128, 128];
    image.data.set([...shade, 255], 4 * i);
  });
  context.putImageData(image, 0, 0);
}

// ---- loss ----

const CHART = {width: 400, height: 240, left: 62, right: 12, top: 12, bottom: 26};
const losses = steps.map((step) => step.loss);
const known = finite(losses);
const [least, most] = [-largest(known.map((loss) => -loss)), largest(known)];
const isSteep = least > 0 && most > 30 * least; // then on a logarithmic scale
const scaled = isSteep ? Math.log : (loss) => loss;

function at(step, loss) {
  const {width, height, left, right, top, bottom} = CHART;
  const extent = scaled(most) - scaled(least) || 1;
  const x = left + ((width - left - right) * step) / Math.max(1, steps.length - 1);
  return [x, height - bottom - ((height - top - bottom) * (scaled(loss) - scaled(least))) / extent];
}

function lossChart() {
  const {width, height, left, right, bottom, top} = CHART;
  const curve = losses.flatMap((loss, i) => (typeof loss === 'number' ? [at(i, loss).join()] : []));
  const label = (x, y, text, anchor) => svg('text', {x, y, 'text-anchor': anchor}, text);
  const line = (y) => svg('line', {class: 'axis', x1: left, x2: width - right, y1: y, y2: y});
  const now = svg('circle', {class: 'now', r: 6});
  const drawn = svg(
    'svg', {viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': words.loss},
    line(top), line(height - bottom),
    svg('polyline', {class: 'curve', points: curve.join(' ')}), now,
    ...(most > least ? [label(left - 10, top + 5, show(most), 'end')] : []),
    ...(known.length ? [label(left - 10, height - bottom + 4, show(least), 'end')] : []),
    label(left, height - 6, `${steps[0].step}`, 'start'),
    ...(steps.length > 1 ? [label(width - right, height - 6, `${steps.at(-1).step}`, 'end')] : []),
  );
  return {
    drawn,
    show(i) {
      const isKnown = typeof losses[i] === 'number';
      now.setAttribute('visibility', isKnown ? 'visible' : 'hidden');
      const [x, y] = isKnown ? at(i, losses[i]) : [0, 0];
      now.setAttribute('cx', x);
      now.setAttribute('cy', y);
    },
  };
}

// ---- boundary ----

function boundaryChart() {
  const attributes = {width: SIDE, height: SIDE, role: 'img', 'aria-label': words.boundary};
  const canvas = element('canvas', attributes);
  const small = document.createElement('canvas');
  const size = Math.round(Math.sqrt(steps[0].plane.length));
  const [[x0, x1], [y0, y1]] = ranges;
  return {
    drawn: canvas,
    show(i) {
      // A colour begins at a third of its depth, and deepens up to a distance of 1.
      const shades = steps[i].plane.map((score) => {
        const far = score - level;
        const depth = 0.2 + 0.45 * Math.min(1, Math.abs(far));
        return typeof score === 'number' ? Math.sign(far) * depth : score;
      });
      paint(small, shades, [size, size], 1);
      const context = canvas.getContext('2d');
      context.save();
      context.translate(0, SIDE);
      context.scale(1, -1); // y goes up
      context.imageSmoothingEnabled = true;
      // The plane's numbers are those at the middles of pixels, the outermost at its ends.
      context.drawImage(small, 0.5, 0.5, size - 1, size - 1, 0, 0, SIDE, SIDE);
      context.restore();
      points.forEach(([x, y], k) => {
        const [red, green, blue] = targets.length
          ? colour(targets[k] > middle ? 1 : -1) : [128, 128, 128];
        context.beginPath();
        context.arc(((x - x0) / (x1 - x0)) * SIDE, SIDE * (1 - (y - y0) / (y1 - y0)), 6, 0, 7);
        context.fillStyle = `rgb(${red} ${green} ${blue})`;
        context.fill();
        context.lineWidth = 2;
        context.strokeStyle = getComputedStyle(document.body).backgroundColor;
        context.stroke();
      });
    },
  };
}

// ---- weights and gradients ----

/* Two maps for a matrix. Of weights, one scale for all steps; of gradients, each step's own. */
function maps({name, shape}, which) {
  const largestOf = (numbers) => Math.max(0, largest(finite(numbers).map(Math.abs)));
  const overall = largest(steps.map((step) => largestOf(step.weights[which])));
  const parts = ['weights', 'gradients'].map((key) => {
    const canvas = element('canvas', {role: 'img', style: `height: ${14 * shape[0]}px`});
    const caption = element('p', {});
    const rest = () => say(`${key}_map`, {largest: show(parts[key === 'weights' ? 0 : 1].largest)});
    canvas.addEventListener('pointermove', (event) => {
      const [row, column] = [
        Math.floor((event.offsetY / canvas.clientHeight) * shape[0]),
        Math.floor((event.offsetX / canvas.clientWidth) * shape[1]),
      ];
      const number = steps[player.step][key][which][row * shape[1] + column];
      if (number === undefined || number === null) return;
      caption.textContent = say('cell', {row, column, number: show(number)});
    });
    canvas.addEventListener('pointerleave', () => (caption.textContent = rest()));
    return {
      key, canvas, caption, largest: 0,
      show(i) {
        const numbers = steps[i][key][which];
        this.largest = key === 'weights' ? overall : largestOf(numbers);
        paint(canvas, numbers, shape, 1 / (this.largest || 1));
        canvas.setAttribute('aria-label', `${name}: ${rest()}`);
        caption.textContent = rest();
      },
    };
  });
  const cells = parts.map(({canvas, caption}) => element('div', {}, canvas, caption));
  return {
    drawn: element('div', {class: 'maps'}, element('h3', {}, name), ...cells),
    show: (i) => parts.forEach((part) => part.show(i)),
  };
}

// ---- the page ----

const charts = [lossChart()];
const now = element('p', {id: 'now'});
const sections = [element('section', {}, element('h2', {}, words.loss), now, charts[0].drawn)];
if (isSteep) sections[0].append(element('p', {class: 'faint'}, words.logarithmic));
if (points.length) {
  const chart = boundaryChart();
  charts.push(chart);
  const [x0, x1, y0, y1] = ranges.flat().map((end) => `${Number(end.toPrecision(3))}`);
  const texts = [
    say('boundary_text', {level: `${level}`, x0, x1, y0, y1}),
    targets.length ? words.targets_text : words.examples_text,
  ];
  const text = element('p', {class: 'faint'}, texts.join(' '));
  sections.push(element('section', {}, element('h2', {}, words.boundary), chart.drawn, text));
}
const all = matrices.map(maps);
charts.push(...all);
const heading = element('h2', {}, words.parameters);
const legend = element('p', {class: 'faint'}, words.parameters_text);
sections.push(element('section', {}, heading, legend, ...all.map((map) => map.drawn)));

const live = frame(words.watch, element('div', {id: 'charts'}, ...sections));

function display(i) {
  const texts = [say('watch_text', {step: steps[i].step, loss: show(losses[i])})];
  if (targets.length) texts.push(say('right_text', {right: steps[i].right, count: points.length}));
  now.textContent = texts.join(' ');
  for (const chart of charts) chart.show(i);
  return now.textContent;
}

const player = new Player(live, display, 200);
player.count = steps.length;
player.go(0);
document.addEventListener('themechange', () => display(player.step));
