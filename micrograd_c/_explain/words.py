"""The texts of the pages, in each language. Names in braces are filled in by the page."""

from __future__ import annotations

_ENGLISH = {
    # The player, of both kinds of page.
    "first": "First step",
    "back": "Step back",
    "play": "Play",
    "pause": "Pause",
    "forward": "Step forward",
    "last": "Last step",
    "slider": "Step",
    "step": "Step {step} of {last}",
    "theme": "Light or dark",
    "keys": "Keys: left and right arrow step, Home and End go to either end, space plays.",
    # explain()
    "walk": "Forward and backward",
    "graph": "The graph: {count} nodes. Up and down arrow go from node to node, Enter opens a box.",
    "forward_of": "Forward: {name}",
    "backward_of": "Backward: {name}",
    "begin": "Before anything is computed",
    "begin_text": "These numbers are given. Each node is computed from its operands, from left to "
    "right.",
    "turn": "Backward begins",
    "turn_text": "All gradients are 0, but that of {name}: d{name}/d{name} = 1. Each node now "
    "hands its gradient on to its operands, in the reverse order: times the derivative, added to "
    "what is there.",
    "own_text": "No rule of {name} is known: this is what its _backward adds.",
    "added": "{name} is used {count} times: this is term {number} of {count}, added to the others.",
    "constant_text": "{name} is a number of the operation: nobody asks for its gradient.",
    "no_gradient": "None of the operands has a gradient that anybody asks for.",
    "data": "data",
    "grad": "grad",
    "story": "The story of {name}",
    "hint": "Point at a node, or go to it with Tab and the arrow keys, for its whole story.",
    "given": "given: {data}",
    "a_constant": "a plain number: {data}",
    "later": "to come: {text}",
    "root_term": "backward begins here: grad = 1",
    "from_term": "from {name}: {text}",
    "count": "{count} nodes",
    "box_nodes": "{count} nodes; a click or Enter opens it",
    "open_box": "Open {name}",
    "close_box": "Close {name}",
    "open_all": "Open all",
    "close_all": "Close all",
    "smaller": "Smaller",
    "larger": "Larger",
    "box_steps": "{count} steps at once. Open the box to see each of them.",
    "neuron": "neuron {label}",
    "layer": "layer of {label} neurons",
    "softmax": "softmax",
    "products": "sum of products {label}",
    "weights": "weights",
    "weights_of": "weights of {label} neurons",
    "before": "before",
    "after": "after",
    # Watch
    "watch": "A network learns",
    "loss": "Loss",
    "logarithmic": "The scale is logarithmic.",
    "boundary": "Decision boundary",
    "boundary_text": "The network's output for x from {x0} to {x1} and y from {y0} to {y1}: blue "
    "below {level}, red above.",
    "examples_text": "Dots are the examples.",
    "targets_text": "Dots are the examples, in the colour of their target.",
    "parameters": "Weights and gradients",
    "parameters_text": "Blue is negative, red positive.",
    "weights_map": "weights, up to {largest}",
    "gradients_map": "gradients, up to {largest}",
    "cell": "row {row}, column {column}: {number}",
    "watch_text": "Step {step} of the training: loss {loss}.",
    "right_text": "On the right side of the boundary: {right} of {count} examples.",
}

_FRENCH = {
    "first": "Première étape",
    "back": "Étape précédente",
    "play": "Lecture",
    "pause": "Pause",
    "forward": "Étape suivante",
    "last": "Dernière étape",
    "slider": "Étape",
    "step": "Étape {step} sur {last}",
    "theme": "Clair ou sombre",
    "keys": "Clavier : flèches gauche et droite pour avancer et reculer, Début et Fin pour les "
    "extrémités, espace pour la lecture.",
    "walk": "Aller et retour",
    "graph": "Le graphe : {count} nœuds. Flèches haut et bas pour aller d'un nœud à l'autre, "
    "Entrée pour ouvrir une boîte.",
    "forward_of": "Aller : {name}",
    "backward_of": "Retour : {name}",
    "begin": "Avant tout calcul",
    "begin_text": "Ces nombres sont donnés. Chaque nœud se calcule à partir de ses opérandes, de "
    "gauche à droite.",
    "turn": "Le retour commence",
    "turn_text": "Tous les gradients sont nuls, sauf celui de {name} : d{name}/d{name} = 1. Chaque "
    "nœud transmet maintenant son gradient à ses opérandes, dans l'ordre inverse : multiplié par "
    "la dérivée, ajouté à ce qui s'y trouve.",
    "own_text": "La règle de {name} n'est pas connue : voici ce qu'ajoute son _backward.",
    "added": "{name} sert {count} fois : voici le terme {number} sur {count}, ajouté aux autres.",
    "constant_text": "{name} est un nombre de l'opération : personne ne demande son gradient.",
    "no_gradient": "On ne demande le gradient d'aucun des opérandes.",
    "data": "data",
    "grad": "grad",
    "story": "L'histoire de {name}",
    "hint": "Survolez un nœud, ou atteignez-le avec Tab et les flèches, pour lire son histoire.",
    "given": "donné : {data}",
    "a_constant": "un simple nombre : {data}",
    "later": "à venir : {text}",
    "root_term": "le retour commence ici : grad = 1",
    "from_term": "de {name} : {text}",
    "count": "{count} nœuds",
    "box_nodes": "{count} nœuds ; un clic ou Entrée l'ouvre",
    "open_box": "Ouvrir : {name}",
    "close_box": "Fermer : {name}",
    "open_all": "Tout ouvrir",
    "close_all": "Tout fermer",
    "smaller": "Plus petit",
    "larger": "Plus grand",
    "box_steps": "{count} étapes à la fois. Ouvrez la boîte pour voir chacune d'elles.",
    "neuron": "neurone {label}",
    "layer": "couche de {label} neurones",
    "softmax": "softmax",
    "products": "somme de produits {label}",
    "weights": "poids",
    "weights_of": "poids de {label} neurones",
    "before": "avant",
    "after": "après",
    "watch": "Un réseau apprend",
    "loss": "Perte",
    "logarithmic": "L'échelle est logarithmique.",
    "boundary": "Frontière de décision",
    "boundary_text": "La sortie du réseau pour x de {x0} à {x1} et y de {y0} à {y1} : bleue sous "
    "{level}, rouge au-dessus.",
    "examples_text": "Les points sont les exemples.",
    "targets_text": "Les points sont les exemples, de la couleur de leur cible.",
    "parameters": "Poids et gradients",
    "parameters_text": "Bleu : négatif ; rouge : positif.",
    "weights_map": "poids, jusqu'à {largest}",
    "gradients_map": "gradients, jusqu'à {largest}",
    "cell": "ligne {row}, colonne {column} : {number}",
    "watch_text": "Étape {step} de l'entraînement : perte {loss}.",
    "right_text": "Du bon côté de la frontière : {right} sur {count} exemples.",
}


def _with_spaces(text: str) -> str:
    """Return a French text whose colons and semicolons never begin a line."""
    return text.replace(" :", "\N{NO-BREAK SPACE}:").replace(" ;", "\N{NO-BREAK SPACE};")


WORDS: dict[str, dict[str, str]] = {
    "en": _ENGLISH,
    "fr": {key: _with_spaces(text) for key, text in _FRENCH.items()},
}
