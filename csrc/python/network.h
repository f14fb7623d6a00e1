/* network.h: functions of the module. layer(), network() and parameters() return NotImplemented
 * where micrograd_c/nn.py is to ask the objects one by one. */
#ifndef MG_PYTHON_NETWORK_H
#define MG_PYTHON_NETWORK_H

#include "python/proxy.h"

/* describe_network(Layer, ('neurons',), Neuron, ('w', 'b', 'activation'), label): the two classes,
 * the attributes of their objects in the order in which they are set, the label of an output.
 * Returns None. */
PyObject *value_describe_network(PyObject *module, PyObject *args);
/* layer(neurons, xs): [neuron(xs) for neuron in neurons] */
PyObject *value_layer(PyObject *module, PyObject *const *args, Py_ssize_t count);
/* network(layers, xs): each layer of the outputs of the layer before. Returns a list of Values, or
 * the Value itself if there is one. */
PyObject *value_network(PyObject *module, PyObject *const *args, Py_ssize_t count);
/* parameters(layers): the weights and the bias of each neuron, in order, a list. */
PyObject *value_parameters(PyObject *module, PyObject *layers);

#endif
