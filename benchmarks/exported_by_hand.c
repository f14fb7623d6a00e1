/* exported_by_hand.c: what programs exported as C are compared with: for one row, results and
 * gradients, by functions that are called as the exported ones are. Built by by_hand.py. */
#include <stddef.h>

#define KEEP double *restrict

typedef int gradient(const double *inputs, const double *parameters, const double *seeds,
                     KEEP results, KEEP input_gradients, KEEP parameter_gradients);

/* Call a function for row after row, from C, so that what a call from Python takes is no part of
 * it. The gradients are the last row's. Returns what the last call but zeros has returned. */
int gradient_of_rows(gradient *function, const double *inputs, size_t inputs_each, size_t rows,
                     const double *parameters, double *results, double *input_gradients,
                     double *parameter_gradients) {
    const double seed = 1.0;
    int status = 0;
    for (size_t row = 0; row < rows; row++, inputs += inputs_each) {
        const int now = function(inputs, parameters, &seed, &results[row], input_gradients,
                                 parameter_gradients);
        status = now != 0 ? now : status;
    }
    return status;
}

/* ---- two moons: 2-16-16-1, ReLU; parameters neuron by neuron, the weights and then the bias ---- */

enum { NIN = 2, N = 16 };

typedef struct {
    struct {
        double w[NIN], b;
    } first[N];
    struct {
        double w[N], b;
    } second[N], last;
} network;

gradient moons_gradient;

int moons_gradient(const double *x, const double *parameters, const double *seeds, KEEP results,
                   KEEP dx, KEEP parameter_gradients) {
    const network *m = (const network *)parameters;
    network *g = (network *)parameter_gradients;
    double h1[N], h2[N], d1[N] = {0}, score = m->last.b;
    for (int j = 0; j < N; j++) {
        const double sum = m->first[j].b + m->first[j].w[0] * x[0] + m->first[j].w[1] * x[1];
        h1[j] = sum < 0.0 ? 0.0 : sum;
    }
    for (int j = 0; j < N; j++) {
        double sum = m->second[j].b;
        for (int i = 0; i < N; i++) sum += m->second[j].w[i] * h1[i];
        h2[j] = sum < 0.0 ? 0.0 : sum;
    }
    for (int i = 0; i < N; i++) score += m->last.w[i] * h2[i];
    results[0] = score;

    g->last.b = seeds[0];
    for (int i = 0; i < N; i++) g->last.w[i] = h2[i] * seeds[0];
    for (int j = 0; j < N; j++) {
        const double d2 = h2[j] > 0.0 ? m->last.w[j] * seeds[0] : 0.0;
        g->second[j].b = d2;
        for (int i = 0; i < N; i++) {
            g->second[j].w[i] = h1[i] * d2;
            d1[i] += m->second[j].w[i] * d2;
        }
    }
    dx[0] = dx[1] = 0.0;
    for (int j = 0; j < N; j++) {
        const double d = h1[j] > 0.0 ? d1[j] : 0.0;
        g->first[j].b = d;
        for (int i = 0; i < NIN; i++) {
            g->first[j].w[i] = x[i] * d;
            dx[i] += m->first[j].w[i] * d;
        }
    }
    return 0;
}

/* ---- the small GPT of gpt_by_hand.c, whose tokens come as doubles ---- */

double gpt_loss(const double *numbers, double *gradients, const int *tokens, int count);

enum { TOKENS = 8 }; /* of gpt.py's names, with what begins and ends them */

gradient gpt_gradient;

int gpt_gradient(const double *inputs, const double *parameters, const double *seeds, KEEP results,
                 KEEP input_gradients, KEEP parameter_gradients) {
    int tokens[TOKENS];
    for (int k = 0; k < TOKENS; k++) tokens[k] = (int)inputs[k];
    results[0] = gpt_loss(parameters, parameter_gradients, tokens, TOKENS - 1);
    (void)seeds, (void)input_gradients;
    return 0;
}
