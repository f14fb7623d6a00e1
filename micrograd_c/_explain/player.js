/* What both kinds of page have: data, words, numbers, elements, the player and the colours. */

const data = JSON.parse(document.getElementById('data').textContent);
const words = data.words;

/* A text of the page's language, with names in braces filled in. */
function say(key, parts = {}) {
  return words[key].replace(/\{(\w+)\}/g, (whole, name) => (name in parts ? parts[name] : whole));
}

/* A number as shown: two decimals if these are all or it is large, four otherwise; powers of ten
 * where these would hide it. "inf" and "nan" come as text. */
function show(number) {
  if (typeof number === 'string') return number;
  const size = Math.abs(number);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return number.toExponential(2);
  const isShort = size >= 1e3 || Math.abs(number * 100 - Math.round(number * 100)) < 1e-9;
  return number.toFixed(isShort ? 2 : 4);
}

/* An element with attributes and children. `on...` are functions, texts become text. */
function element(name, attributes = {}, ...children) {
  return furnished(document.createElement(name), attributes, children);
}

function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  return furnished(made, attributes, children);
}

function furnished(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, '');
    else if (value !== false) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/* A button that shows a sign, one of SIGNS or a text, and has a name for those who listen. */
function button(sign, name, onclick) {
  const attributes = {type: 'button', 'aria-label': name, title: name, onclick};
  return element('button', attributes, sign in SIGNS ? picture(sign) : sign);
}

const SIGNS = { // paths in a square of 16 by 16; fonts lack some of these characters
  first: 'M3 2v12M13 3L6 8l7 5',
  back: 'M11 3L4 8l7 5',
  play: 'M4 2l10 6-10 6z',
  pause: 'M4 2h3v12h-3zM10 2h3v12h-3z',
  forward: 'M5 3l7 5-7 5',
  last: 'M13 2v12M3 3l7 5-7 5',
  theme: 'M8 0a8 8 0 0 1 0 16z',
};

function picture(sign) {
  const drawn = svg('path', {d: SIGNS[sign]});
  return svg('svg', {viewBox: '0 0 16 16', class: `sign ${sign}`, 'aria-hidden': 'true'}, drawn);
}

/* The colours of the system, until the button is pressed. */
function themeButton() {
  const system = matchMedia('(prefers-color-scheme: dark)');
  let chosen = null;
  const set = () => {
    document.documentElement.dataset.theme = chosen ?? (system.matches ? 'dark' : 'light');
    document.dispatchEvent(new Event('themechange'));
  };
  system.addEventListener('change', set);
  set();
  return button('theme', words.theme, () => {
    chosen = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
    set();
  });
}

/* The page's frame: a heading, what is in `main`, and the player's controls. */
function frame(title, ...content) {
  const live = element('div', {id: 'live', class: 'visually-hidden', 'aria-live': 'polite'});
  document.body.append(
    element('header', {}, element('h1', {}, title), themeButton()),
    element('main', {}, ...content),
    live,
  );
  return live;
}

/* Steps 0 to count - 1: buttons, a slider, keys. `display(step)` shows one and returns a text for
 * those who listen. */
class Player {
  constructor(live, display, milliseconds) {
    Object.assign(this, {live, display, milliseconds, step: 0, count: 1, timer: null});
    const to = (difference) => () => this.go(this.step + difference);
    this.buttons = {
      first: button('first', words.first, () => this.go(0)),
      back: button('back', words.back, to(-1)),
      play: button('play', words.play, () => this.play(this.timer === null)),
      forward: button('forward', words.forward, to(1)),
      last: button('last', words.last, () => this.go(this.count - 1)),
    };
    this.slider = element('input', {
      type: 'range', min: 0, value: 0, 'aria-label': words.slider,
      oninput: () => this.go(Number(this.slider.value)),
    });
    this.place = element('output', {'aria-live': 'off'}); // `live` tells it
    document.body.append(element(
      'div', {id: 'player', role: 'group', 'aria-label': words.slider},
      ...Object.values(this.buttons), this.slider, this.place,
      element('span', {class: 'visually-hidden'}, words.keys),
    ));
    document.addEventListener('keydown', (event) => this.key(event));
  }

  /* Go to a step, and stop playing unless the timer itself asks. */
  go(step, playing = false) {
    if (!playing) this.play(false);
    this.step = Math.max(0, Math.min(this.count - 1, step));
    const text = this.display(this.step);
    const place = say('step', {step: this.step, last: this.count - 1});
    this.slider.max = this.count - 1;
    this.slider.value = this.step;
    this.slider.setAttribute('aria-valuetext', place);
    this.place.textContent = `${this.step} / ${this.count - 1}`;
    // A listener is not told steps that come faster than a text can be read.
    if (!playing || this.milliseconds >= 1000) this.live.textContent = `${place}. ${text}`;
    const {first, back, forward, last} = this.buttons;
    first.disabled = back.disabled = this.step === 0;
    forward.disabled = last.disabled = this.step === this.count - 1;
  }

  play(on) {
    clearInterval(this.timer);
    this.timer = null;
    if (on) {
      if (this.step === this.count - 1) this.go(0);
      this.timer = setInterval(() => {
        this.go(this.step + 1, true);
        if (this.step === this.count - 1) this.play(false);
      }, this.milliseconds);
    }
    const {play} = this.buttons;
    const name = on ? words.pause : words.play;
    play.replaceChildren(picture(on ? 'pause' : 'play'));
    play.title = name;
    play.setAttribute('aria-label', name);
  }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const keys = {
      ArrowRight: () => this.go(this.step + 1),
      ArrowLeft: () => this.go(this.step - 1),
      Home: () => this.go(0),
      End: () => this.go(this.count - 1),
      ' ': () => this.play(this.timer === null),
    };
    const pressed = event.key === ' ' && event.target.closest('button, [role=button]');
    if (!(event.key in keys) || pressed) return;
    event.preventDefault();
    keys[event.key]();
  }
}
