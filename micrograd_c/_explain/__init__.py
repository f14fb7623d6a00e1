"""Pages that show a computation: `explain`, and `Watch` for a network that learns.

`walk` has the engine walk backward, node by node, and notes what each step did; `notation` writes
operators and derivatives; `watch` notes the steps of a training. `page` makes one HTML file of such
data: `page.html`, with `style.css` and JavaScript in it. `player.js` is of both kinds of page
(steps, keys, slider, colours), `layout.js` places boxes and lines, `graph.js` draws them, `walk.js`
is the page of `explain` and `watch.js` that of `Watch`. `words` has the texts of both by language.
"""
