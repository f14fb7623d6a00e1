/* compiled_by_hand.c: what compiled programs are compared with, row by row. The two-moons step as a C
 * programmer would write it who leaves out what adds nothing: rows beyond the margin, units that are
 * dead. The paths of an equation with their derivatives. And what a program that computes rows in
 * blocks can be as fast as: a loop that multiplies and adds. Built by compiled.py. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

enum { MOONS = 2 * 16 + 16 + 16 * 16 + 16 + 16 + 1 };

typedef union {
    struct {
        double w1[2 * 16], b1[16], w2[16 * 16], b2[16], w3[16], b3[1];
    };
    double all[MOONS];
} moons;

INLINE double activate(int tangent, double x) {
    if (!tangent) return x < 0.0 ? 0.0 : x;
    const double e = exp(2.0 * x);
    return (e - 1.0) / (e + 1.0);
}

INLINE double slope(int tangent, double z) {
    return tangent ? 1.0 - z * z : z > 0.0 ? 1.0 : 0.0;
}

INLINE double moons_step(int tangent, moons *m, const double *x, const double *y, size_t rows,
                         double rate, double alpha) {
    moons g = {.all = {0}};
    double loss = 0.0, squares = 0.0;
    for (size_t row = 0; row < rows; row++, x += 2) {
        double h1[16], h2[16], d1[16] = {0}, score = m->b3[0];
        for (int j = 0; j < 16; j++)
            h1[j] = activate(tangent, m->b1[j] + m->w1[j] * x[0] + m->w1[16 + j] * x[1]);
        for (int j = 0; j < 16; j++) h2[j] = m->b2[j];
        for (int i = 0; i < 16; i++) {
            if (!tangent && h1[i] == 0.0) continue;
            for (int j = 0; j < 16; j++) h2[j] += m->w2[i * 16 + j] * h1[i];
        }
        for (int j = 0; j < 16; j++) h2[j] = activate(tangent, h2[j]);
        for (int j = 0; j < 16; j++) score += m->w3[j] * h2[j];
        const double margin = 1.0 - y[row] * score;
        if (margin <= 0.0) continue;
        loss += margin / (double)rows;

        const double dscore = -y[row] / (double)rows;
        double d2[16];
        g.b3[0] += dscore;
        for (int j = 0; j < 16; j++) g.w3[j] += dscore * h2[j];
        for (int j = 0; j < 16; j++) d2[j] = m->w3[j] * dscore * slope(tangent, h2[j]);
        for (int j = 0; j < 16; j++) g.b2[j] += d2[j];
        for (int i = 0; i < 16; i++) {
            if (!tangent && h1[i] == 0.0) continue;
            double sum = 0.0;
            for (int j = 0; j < 16; j++) g.w2[i * 16 + j] += h1[i] * d2[j];
            for (int j = 0; j < 16; j++) sum += m->w2[i * 16 + j] * d2[j];
            d1[i] = sum * slope(tangent, h1[i]);
        }
        for (int j = 0; j < 16; j++) g.b1[j] += d1[j];
        for (int j = 0; j < 16; j++) g.w1[j] += d1[j] * x[0];
        for (int j = 0; j < 16; j++) g.w1[16 + j] += d1[j] * x[1];
    }
    for (int k = 0; k < MOONS; k++) squares += m->all[k] * m->all[k];
    for (int k = 0; k < MOONS; k++) m->all[k] -= rate * (g.all[k] + 2.0 * alpha * m->all[k]);
    return loss + alpha * squares;
}

INLINE void train(int tangent, double *numbers, const double *x, const double *y, size_t rows,
                  double rate, double alpha, double *losses, size_t steps) {
    moons m;
    double *at = numbers;
    for (int j = 0; j < 16; j++, at += 3) {
        m.w1[j] = at[0];
        m.w1[16 + j] = at[1];
        m.b1[j] = at[2];
    }
    for (int j = 0; j < 16; j++, at += 17) {
        for (int i = 0; i < 16; i++) m.w2[i * 16 + j] = at[i];
        m.b2[j] = at[16];
    }
    for (int j = 0; j < 16; j++) m.w3[j] = at[j];
    m.b3[0] = at[16];
    for (size_t k = 0; k < steps; k++)
        losses[k] = moons_step(tangent, &m, x, y, rows, rate, alpha);
    at = numbers;
    for (int j = 0; j < 16; j++, at += 3) {
        at[0] = m.w1[j];
        at[1] = m.w1[16 + j];
        at[2] = m.b1[j];
    }
    for (int j = 0; j < 16; j++, at += 17) {
        for (int i = 0; i < 16; i++) at[i] = m.w2[i * 16 + j];
        at[16] = m.b2[j];
    }
    for (int j = 0; j < 16; j++) at[j] = m.w3[j];
    at[16] = m.b3[0];
}

void moons_relu(double *numbers, const double *x, const double *y, size_t rows, double rate,
                double alpha, double *losses, size_t steps) {
    train(0, numbers, x, y, rows, rate, alpha, losses, steps);
}

void moons_tanh(double *numbers, const double *x, const double *y, size_t rows, double rate,
                double alpha, double *losses, size_t steps) {
    train(1, numbers, x, y, rows, rate, alpha, losses, steps);
}

/* Euler's steps of x' = (a - b y) x, y' = (d x - c) y, each with its derivatives by x0, y0, a, b, c, d.
 * A state is these six numbers; of each row the derivatives of x and of y go to `out`, step by step. */
void lotka_volterra(const double *states, size_t rows, size_t steps, double h, double *out) {
    for (size_t row = 0; row < rows; row++, states += 6) {
        const double a = states[2], b = states[3], c = states[4], d = states[5];
        double x = states[0], y = states[1];
        double dx[6] = {1.0}, dy[6] = {0.0, 1.0};
        for (size_t step = 0; step < steps; step++, out += 12) {
            const double growth = a - b * y, gain = d * x - c;
            const double of_growth[6] = {0.0, 0.0, 1.0, -y, 0.0, 0.0};
            const double of_gain[6] = {0.0, 0.0, 0.0, 0.0, -1.0, x};
            for (int k = 0; k < 6; k++) {
                const double sx = dx[k], sy = dy[k];
                dx[k] += h * (growth * sx + x * (of_growth[k] - b * sy));
                dy[k] += h * (gain * sy + y * (of_gain[k] + d * sx));
            }
            x += h * growth * x;
            y += h * gain * y;
            for (int k = 0; k < 6; k++) out[k] = dx[k], out[6 + k] = dy[k];
        }
    }
}

typedef struct {
    double x, y;
} pair;

/* The same equation's slopes. */
static pair slopes(const double *abcd, pair at) {
    return (pair){(abcd[0] - abcd[1] * at.y) * at.x, (abcd[3] * at.x - abcd[2]) * at.y};
}

/* Given the gradient of the slopes: add that of a, b, c, d, and return that of x, y. */
static pair slopes_back(const double *abcd, pair at, pair g, double *gradient) {
    gradient[0] += g.x * at.x;
    gradient[1] -= g.x * at.y * at.x;
    gradient[2] -= g.y * at.y;
    gradient[3] += g.y * at.x * at.y;
    return (pair){g.x * (abcd[0] - abcd[1] * at.y) + g.y * abcd[3] * at.y,
                  g.y * (abcd[3] * at.x - abcd[2]) - g.x * abcd[1] * at.x};
}

static pair ahead(pair at, double h, pair slope) {
    return (pair){at.x + h * slope.x, at.y + h * slope.y};
}

/* x^2 + y^2 after some steps of RK4, Runge-Kutta's method, at most 1,000, and its gradient by x0,
 * y0, a, b, c, d: forward, then back through the places that slopes were computed at. */
void runge_kutta(const double *state, size_t steps, double h, double *value, double *gradient) {
    static pair places[1000][4];
    const double *abcd = state + 2;
    pair at = {state[0], state[1]};
    for (size_t step = 0; step < steps; step++) {
        pair *place = places[step];
        const pair one = slopes(abcd, place[0] = at);
        const pair two = slopes(abcd, place[1] = ahead(at, h / 2, one));
        const pair three = slopes(abcd, place[2] = ahead(at, h / 2, two));
        const pair four = slopes(abcd, place[3] = ahead(at, h, three));
        at.x += h / 6 * (one.x + 2 * two.x + 2 * three.x + four.x);
        at.y += h / 6 * (one.y + 2 * two.y + 2 * three.y + four.y);
    }
    *value = at.x * at.x + at.y * at.y;
    double of_abcd[4] = {0.0};
    pair g = {2.0 * at.x, 2.0 * at.y};
    for (size_t step = steps; step-- > 0;) {
        const pair *place = places[step];
        const pair sixth = {h / 6 * g.x, h / 6 * g.y}, third = {h / 3 * g.x, h / 3 * g.y};
        const pair four = slopes_back(abcd, place[3], sixth, of_abcd);
        const pair three = slopes_back(abcd, place[2], ahead(third, h, four), of_abcd);
        const pair two = slopes_back(abcd, place[1], ahead(third, h / 2, three), of_abcd);
        const pair one = slopes_back(abcd, place[0], ahead(sixth, h / 2, two), of_abcd);
        g.x += one.x + two.x + three.x + four.x;
        g.y += one.y + two.y + three.y + four.y;
    }
    gradient[0] = g.x;
    gradient[1] = g.y;
    for (int k = 0; k < 4; k++) gradient[2 + k] = of_abcd[k];
}

/* For each block as many evaluations, over and over the slots but the first `reach`: the numbers of a
 * slot are those of one before times a factor, plus those of the one just before. How far the former
 * is before, at most `reach`, stands in `back`. */
void widest_loop(double *numbers, size_t lanes, size_t slots, size_t reach, size_t evaluations,
                 size_t blocks, const uint32_t *back, double factor) {
    for (size_t block = 0; block < blocks; block++) {
        size_t slot = reach;
        for (size_t k = 0; k < evaluations; k++) {
            double *restrict out = &numbers[slot * lanes];
            const double *x = out - back[k] * lanes, *y = out - lanes;
            for (size_t l = 0; l < lanes; l++) out[l] = x[l] * factor + y[l];
            if (++slot == slots) slot = reach;
        }
    }
}
