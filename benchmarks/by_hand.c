/* by_hand.c: the two networks as a C programmer would write them, and nothing general: forward,
 * backward and update, row by row, in arrays of fixed size that stay in registers and the first
 * cache. And the limit for a graph: a reverse sweep over an array in which every operand is an
 * index. Compiled by by_hand.py. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

/* ---- a dense layer; weights as [input][output], so that the inner loops run over outputs ---- */

INLINE void forward(int nin, int nout, const double *w, const double *b, const double *x,
                    double *out) {
    for (int j = 0; j < nout; j++) out[j] = b[j];
    for (int i = 0; i < nin; i++)
        for (int j = 0; j < nout; j++) out[j] += w[i * nout + j] * x[i];
}

/* Add the gradients of weights and biases, given that of the sums. */
INLINE void backward(int nin, int nout, double *dw, double *db, const double *x,
                     const double *dout) {
    for (int j = 0; j < nout; j++) db[j] += dout[j];
    for (int i = 0; i < nin; i++)
        for (int j = 0; j < nout; j++) dw[i * nout + j] += x[i] * dout[j];
}

/* The gradient of the inputs; weights as [output][input]. */
INLINE void backward_inputs(int nin, int nout, const double *t, const double *dout, double *dx) {
    for (int i = 0; i < nin; i++) dx[i] = 0.0;
    for (int j = 0; j < nout; j++)
        for (int i = 0; i < nin; i++) dx[i] += t[j * nin + i] * dout[j];
}

INLINE void transpose(int rows, int columns, const double *from, double *to) {
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) to[j * rows + i] = from[i * columns + j];
}

/* Between a network's own order, each neuron's weights and then its bias, and the one above. */
INLINE double *load(int nin, int nout, double *from, double *w, double *b) {
    for (int j = 0; j < nout; j++) {
        for (int i = 0; i < nin; i++) w[i * nout + j] = *from++;
        b[j] = *from++;
    }
    return from;
}

INLINE double *store(int nin, int nout, double *to, const double *w, const double *b) {
    for (int j = 0; j < nout; j++) {
        for (int i = 0; i < nin; i++) *to++ = w[i * nout + j];
        *to++ = b[j];
    }
    return to;
}

/* ---- two moons: 2-16-16-1, ReLU, the mean of max(0, 1 - y*score), and alpha times squares ---- */

enum { MOONS = 2 * 16 + 16 + 16 * 16 + 16 + 16 + 1 };

typedef union {
    struct {
        double w1[2 * 16], b1[16], w2[16 * 16], b2[16], w3[16], b3[1];
    };
    double all[MOONS];
} moons;

static double moons_step(moons *m, const double *x, const double *y, size_t rows, double rate,
                         double alpha) {
    moons g = {.all = {0}};
    double t2[16 * 16], loss = 0.0, squares = 0.0;
    transpose(16, 16, m->w2, t2);
    for (size_t row = 0; row < rows; row++, x += 2) {
        double h1[16], h2[16], d1[16], d2[16], score;
        forward(2, 16, m->w1, m->b1, x, h1);
        for (int j = 0; j < 16; j++) h1[j] = h1[j] < 0.0 ? 0.0 : h1[j];
        forward(16, 16, m->w2, m->b2, h1, h2);
        for (int j = 0; j < 16; j++) h2[j] = h2[j] < 0.0 ? 0.0 : h2[j];
        forward(16, 1, m->w3, m->b3, h2, &score);

        /* No row is left out, so that the time is the same whatever the network has learnt. */
        const double margin = 1.0 - y[row] * score;
        const double dscore = margin > 0.0 ? -y[row] / (double)rows : 0.0;
        loss += margin > 0.0 ? margin / (double)rows : 0.0;

        backward(16, 1, g.w3, g.b3, h2, &dscore);
        for (int j = 0; j < 16; j++) d2[j] = h2[j] > 0.0 ? m->w3[j] * dscore : 0.0;
        backward(16, 16, g.w2, g.b2, h1, d2);
        backward_inputs(16, 16, t2, d2, d1);
        for (int j = 0; j < 16; j++) d1[j] = h1[j] > 0.0 ? d1[j] : 0.0;
        backward(2, 16, g.w1, g.b1, x, d1);
    }
    for (int k = 0; k < MOONS; k++) squares += m->all[k] * m->all[k];
    for (int k = 0; k < MOONS; k++) m->all[k] -= rate * (g.all[k] + 2.0 * alpha * m->all[k]);
    return loss + alpha * squares;
}

/* Take steps; the loss of each into losses. */
void moons_train(double *numbers, const double *x, const double *y, size_t rows, double rate,
                 double alpha, double *losses, size_t steps) {
    moons m;
    double *at = load(2, 16, numbers, m.w1, m.b1);
    load(16, 1, load(16, 16, at, m.w2, m.b2), m.w3, m.b3);
    for (size_t k = 0; k < steps; k++) losses[k] = moons_step(&m, x, y, rows, rate, alpha);
    at = store(2, 16, numbers, m.w1, m.b1);
    store(16, 1, store(16, 16, at, m.w2, m.b2), m.w3, m.b3);
}

/* ---- the lecture's network: 3-4-4-1, tanh, the sum of squared errors ---- */

enum { NOTEBOOK = 3 * 4 + 4 + 4 * 4 + 4 + 4 + 1 };

typedef union {
    struct {
        double w1[3 * 4], b1[4], w2[4 * 4], b2[4], w3[4], b3[1];
    };
    double all[NOTEBOOK];
} notebook;

INLINE void squash(int n, double *x) {
    for (int j = 0; j < n; j++) {
        const double e = exp(2.0 * x[j]);
        x[j] = (e - 1.0) / (e + 1.0);
    }
}

INLINE void unsquash(int n, const double *out, double *d) {
    for (int j = 0; j < n; j++) d[j] *= 1.0 - out[j] * out[j];
}

static double notebook_step(notebook *m, const double *x, const double *y, size_t rows,
                            double rate) {
    notebook g = {.all = {0}};
    double t2[4 * 4], loss = 0.0;
    transpose(4, 4, m->w2, t2);
    for (size_t row = 0; row < rows; row++, x += 3) {
        double h1[4], h2[4], d1[4], d2[4], out;
        forward(3, 4, m->w1, m->b1, x, h1);
        squash(4, h1);
        forward(4, 4, m->w2, m->b2, h1, h2);
        squash(4, h2);
        forward(4, 1, m->w3, m->b3, h2, &out);
        squash(1, &out);

        const double error = out - y[row];
        double d3 = 2.0 * error;
        loss += error * error;

        unsquash(1, &out, &d3);
        backward(4, 1, g.w3, g.b3, h2, &d3);
        for (int j = 0; j < 4; j++) d2[j] = m->w3[j] * d3;
        unsquash(4, h2, d2);
        backward(4, 4, g.w2, g.b2, h1, d2);
        backward_inputs(4, 4, t2, d2, d1);
        unsquash(4, h1, d1);
        backward(3, 4, g.w1, g.b1, x, d1);
    }
    for (int k = 0; k < NOTEBOOK; k++) m->all[k] -= rate * g.all[k];
    return loss;
}

/* Take steps; the loss of each into losses. */
void notebook_train(double *numbers, const double *x, const double *y, size_t rows, double rate,
                    double *losses, size_t steps) {
    notebook m;
    double *at = load(3, 4, numbers, m.w1, m.b1);
    load(4, 1, load(4, 4, at, m.w2, m.b2), m.w3, m.b3);
    for (size_t k = 0; k < steps; k++) losses[k] = notebook_step(&m, x, y, rows, rate);
    at = store(3, 4, numbers, m.w1, m.b1);
    store(4, 1, store(4, 4, at, m.w2, m.b2), m.w3, m.b3);
}

/* ---- the reverse sweep over an array ---- */

enum { LEAF, ADD, MULTIPLY, RELU };

typedef struct {
    double data, grad;
    int32_t left, right, op;
} node;

size_t node_size(void) { return sizeof(node); }

void fill(node *nodes, const double *data, const int32_t *left, const int32_t *right,
          const int32_t *op, size_t count) {
    for (size_t k = 0; k < count; k++)
        nodes[k] = (node){data[k], 0.0, left[k], right[k], op[k]};
}

void clear(node *nodes, size_t count) {
    for (size_t k = 0; k < count; k++) nodes[k].grad = 0.0;
}

double gradient(const node *nodes, size_t k) { return nodes[k].grad; }

void sweep(node *nodes, size_t count) {
    nodes[count - 1].grad = 1.0;
    for (size_t k = count; k-- > 0;) {
        const node *at = &nodes[k];
        node *left = &nodes[at->left], *right = &nodes[at->right];
        switch (at->op) {
        case ADD:
            left->grad += at->grad;
            right->grad += at->grad;
            break;
        case MULTIPLY: {
            const double x = left->data, y = right->data;
            left->grad += y * at->grad;
            right->grad += x * at->grad;
            break;
        }
        case RELU:
            left->grad += at->data > 0.0 ? at->grad : 0.0;
            break;
        default:
            break;
        }
    }
}
